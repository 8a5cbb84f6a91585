//! The sending side of one worker: claims what is due in the ledger, and sees each claimed command through as far as it goes now.
//!
//! Several workers may run it: the ledger decides who does what. A command is claimed by locking its row and writing down what is about
//! to happen (`attempt`); that transaction commits before Meta is asked.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use runtime::db::within;
use runtime::notify::Listener;
use schemas::Channel;
use sqlx::{PgPool, Row};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use super::attempt::Next;
use super::concurrency::Pace;
use super::{admin, echoes, ledger, outcome};
use crate::Waits;
use facts::FactStore;
use facts::accounts::AccountStore;
use facts::follow_up::conversation_state;
use graph::Graph;

/// Commands one worker sees through at once.
const IN_FLIGHT_MAX: usize = 64;
/// Of these, how many may only read (looks for lost sends, pages of an import): sends always have places left.
const READING_MAX: usize = 24;
/// How often the ledger is looked at without being woken.
const POLL: Duration = Duration::from_millis(250);
/// How often commands are let go whose freeze or stop has ended unseen.
const RELEASE: Duration = Duration::from_secs(1);
/// How old an unpublished outcome is before somebody other than its own task publishes it.
const OUTCOME_GRACE: Duration = Duration::from_secs(1);
/// How long one piece of work with the ledger may take: a connection that something in between forgot answers never.
pub(super) const LEDGER_WITHIN: Duration = Duration::from_secs(15);
/// Outcomes that fail before the rest waits for the next time.
const OUTCOME_FAILURES_MAX: usize = 3;
/// How long open work may take to end when the process stops; then it is left for the next owner.
const DRAIN: Duration = Duration::from_secs(8);

/// Sends, reconciles and reports.
#[derive(Clone)]
pub struct Sender {
    /// The ledger.
    pub pool: PgPool,
    /// Meta.
    pub graph: Graph,
    /// Tokens.
    pub accounts: AccountStore,
    /// Where outcomes go.
    pub facts: FactStore,
    /// Who this process is, uniquely.
    pub worker: String,
    /// `SEND_LEASE`, `RECONCILE_AFTER`, `RETRY_MIN`, `RETRY_MAX`, `GRAPH_TIMEOUT`
    pub waits: Waits,
    paces: Arc<Mutex<HashMap<PaceKey, Pace>>>,
    reading: Arc<AtomicUsize>,
    freed: Arc<Notify>,
}

/// A command that may be due, and its account.
struct Candidate {
    identity: String,
    account: PaceKey,
}

/// An account, and whether it is for reading back: slow reads must not take the places of sends.
type PaceKey = (Channel, String, bool);

impl Sender {
    /// A sender of this worker.
    pub fn new(
        pool: PgPool,
        graph: Graph,
        accounts: AccountStore,
        facts: FactStore,
        worker: String,
        waits: Waits,
    ) -> Self {
        let (paces, reading) = (Arc::default(), Arc::default());
        let freed = Arc::new(Notify::new());
        Self { pool, graph, accounts, facts, worker, waits, paces, reading, freed }
    }

    /// Works until `shutdown`, then lets what is in flight end. Trouble with the database is waited out.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut tasks: JoinSet<String> = JoinSet::new();
        let mut active: HashSet<String> = HashSet::new();
        let listener = Listener::start(self.pool.clone(), conversation_state::WAKE);
        let mut accounts_version = -1;
        let mut released = tokio::time::Instant::now();
        // Beside the loop: neither many outcomes at once, nor an echo whose command somebody holds, hold up a send.
        let mut beside = JoinSet::new();
        let examine = Arc::new(Notify::new());
        beside.spawn(self.clone().examine(Arc::clone(&examine), shutdown.clone()));
        beside.spawn(self.clone().sweep(shutdown.clone()));
        while !shutdown.is_cancelled() {
            // They end with the process; before, only by a bug, which is one of the whole worker.
            if let Some(Err(broken)) = beside.try_join_next() {
                std::panic::resume_unwind(broken.into_panic());
            }
            while let Some(done) = tasks.try_join_next() {
                forget(&mut active, done);
            }
            let release = self.release_held(&mut accounts_version, &mut released);
            if let Err(error) = within(LEDGER_WITHIN, release).await {
                tracing::debug!(%error, "Could not look for commands to release");
            }
            examine.notify_one();
            let mut started = 0;
            match within(LEDGER_WITHIN, self.candidates(&active)).await {
                Ok(candidates) => {
                    for candidate in candidates {
                        if tasks.len() < IN_FLIGHT_MAX && self.start(&candidate.account) {
                            active.insert(candidate.identity.clone());
                            tasks.spawn(self.clone().see_through(candidate));
                            started += 1;
                        }
                    }
                }
                Err(error) => tracing::debug!(%error, "Could not look for due commands"),
            }
            if started == 0 || IN_FLIGHT_MAX <= tasks.len() {
                self.pause(&listener, &mut tasks, &mut active, &shutdown).await;
            }
        }
        let drained = async {
            while tasks.join_next().await.is_some() {}
            while beside.join_next().await.is_some() {}
        };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::warn!("Sends still open at the end are reconciled by the next owner");
        }
    }

    /// Waits for news: a notification, a task that ended, or the next poll.
    async fn pause(
        &self,
        listener: &Listener,
        tasks: &mut JoinSet<String>,
        active: &mut HashSet<String>,
        shutdown: &CancellationToken,
    ) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(POLL) => {}
            () = listener.notified() => {}
            () = self.freed.notified() => {}
            Some(done) = tasks.join_next() => forget(active, done),
        }
    }

    /// Commands that are due, first in their lane, with nothing else of the lane in flight. People pass automations that wait for a
    /// parked outcome.
    async fn candidates(&self, active: &HashSet<String>) -> sqlx::Result<Vec<Candidate>> {
        let rows = sqlx::query(
            // A share for every account, for sending and for reading back, so that a long queue of one holds up no other.
            "select due.identity, due.channel, due.account_id, due.reading
               from (select distinct channel, account_id from worker.commands
                      where state = 'open' and due_at <= clock_timestamp()) a
              cross join (values (true), (false)) k (reading)
              cross join lateral (
                    select c.identity, c.channel, c.account_id, c.due_at, k.reading from worker.commands c
                     where c.channel = a.channel and c.account_id = a.account_id
                       and c.state = 'open' and c.due_at <= clock_timestamp() and c.identity <> all($1)
                       and k.reading = (c.command = 'sync' or exists (select from worker.parts r
                                                                       where r.identity = c.identity and r.state = 'sending'))
                       and not exists (select from worker.commands e
                                        where e.lane = c.lane and e.state = 'open' and e.stream_seq < c.stream_seq
                                          and not (e.held is not distinct from 'parked' and c.requester = 'person'))
                       and not exists (select from worker.parts p
                                        where p.lane = c.lane and p.state = 'sending' and p.identity <> c.identity)
                     order by c.due_at, c.stream_seq limit 32) due
              order by due.due_at limit 512",
        )
        .bind(active.iter().cloned().collect::<Vec<_>>())
        .fetch_all(&self.pool)
        .await?;
        let read = |row: &sqlx::postgres::PgRow| -> sqlx::Result<Option<Candidate>> {
            let channel = row.try_get::<String, _>("channel")?.parse().ok();
            let (identity, account): (String, String) =
                (row.try_get("identity")?, row.try_get("account_id")?);
            let reading = row.try_get("reading")?;
            Ok(channel.map(|channel| Candidate { identity, account: (channel, account, reading) }))
        };
        rows.iter().filter_map(|row| read(row).transpose()).collect()
    }

    /// Takes one command as far as it goes now.
    async fn see_through(self, candidate: Candidate) -> String {
        let identity = candidate.identity;
        let _place = Place { sender: self.clone(), account: candidate.account };
        loop {
            match self.step(&identity).await {
                Ok(Next::Idle) => break,
                Ok(Next::Again) => {}
                Ok(Next::Ended) => {
                    self.clone().report(identity.clone()).await;
                    break;
                }
                Err(error) => {
                    tracing::warn!(command.identity = %identity, error = %format!("{error:#}"), "A step of a command failed; it is tried again");
                    self.put_off(&identity).await;
                    break;
                }
            }
        }
        identity
    }

    /// A claim that was rolled back leaves its command due: it would fail again at once, and again.
    async fn put_off(&self, identity: &str) {
        let put_off = sqlx::query(
            "update worker.commands set due_at = clock_timestamp() + make_interval(secs => $2)
              where identity = $1 and state = 'open' and due_at <= clock_timestamp()",
        )
        .bind(identity)
        .bind(self.waits.retry_min.as_secs_f64())
        .execute(&self.pool);
        if let Err(error) = within(LEDGER_WITHIN, put_off).await {
            tracing::debug!(command.identity = %identity, %error, "A failing command is due at once");
        }
    }

    /// Publishes the outcome of a command that has ended.
    async fn report(self, identity: String) -> String {
        let published = within(LEDGER_WITHIN, outcome::publish(&self.facts, &identity));
        if let Err(error) = published.await {
            tracing::debug!(error = %format!("{error:#}"), "The outcome of a command is published later");
        }
        identity
    }

    fn pace<T>(&self, account: &PaceKey, work: impl FnOnce(&mut Pace) -> T) -> T {
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        work(paces.entry(account.clone()).or_default())
    }

    /// Takes a place, if there is one. Only the loop of this worker does.
    fn start(&self, account: &PaceKey) -> bool {
        let reads = account.2;
        if reads && READING_MAX <= self.reading.load(Ordering::Relaxed) {
            return false;
        }
        let started = self.pace(account, |pace| pace.start(runtime::now()));
        if started && reads {
            self.reading.fetch_add(1, Ordering::Relaxed);
        }
        started
    }

    fn end(&self, account: &PaceKey) {
        if account.2 {
            self.reading.fetch_sub(1, Ordering::Relaxed);
        }
        self.pace(account, |pace| pace.end(runtime::now()));
    }

    /// Meta answered a send of the account, well or not.
    pub(super) fn learn(&self, account: &(Channel, String), well: bool) {
        self.pace(&(account.0, account.1.clone(), false), |pace| {
            if well { pace.went_well() } else { pace.went_wrong() }
        });
    }

    /// Commands whose reason to wait has gone are due at once: when accounts have changed, and else every [`RELEASE`], for one that was
    /// being claimed when its freeze or stop ended.
    async fn release_held(
        &self,
        accounts_version: &mut i64,
        released: &mut tokio::time::Instant,
    ) -> sqlx::Result<()> {
        let mut conn = self.pool.acquire().await?;
        let version = facts::accounts::store::version(&mut conn).await?;
        if version != *accounts_version || RELEASE <= released.elapsed() {
            admin::release(&mut conn).await?;
            (*accounts_version, *released) = (version, tokio::time::Instant::now());
        }
        Ok(())
    }

    /// Compares echoes with the ledger whenever the loop has come round, until `shutdown`; then lets open reports end.
    async fn examine(self, go: Arc<Notify>, shutdown: CancellationToken) {
        let mut reports = JoinSet::new();
        loop {
            let compared = async {
                go.notified().await;
                within(LEDGER_WITHIN, echoes::examine(&self.pool)).await
            };
            match shutdown.run_until_cancelled(compared).await {
                Some(Ok(ended)) => {
                    for identity in ended {
                        reports.spawn(self.clone().report(identity));
                    }
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "Could not compare echoes with the ledger");
                }
                None => break,
            }
            while reports.try_join_next().is_some() {}
        }
        while reports.join_next().await.is_some() {}
    }

    async fn sweep(self, shutdown: CancellationToken) {
        let mut clock = tokio::time::interval(POLL);
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let rounds = async {
            loop {
                clock.tick().await;
                self.sweep_outcomes().await;
                self.gauge().await;
            }
        };
        shutdown.run_until_cancelled(rounds).await;
    }

    /// Publishes outcomes whose own task did not get to it.
    async fn sweep_outcomes(&self) {
        let unpublished = async {
            let now = ledger::now(&mut *self.pool.acquire().await?).await?;
            outcome::unpublished(&self.pool, now.minus(OUTCOME_GRACE), 100).await
        };
        let Ok(left) = within(LEDGER_WITHIN, unpublished).await else { return };
        let mut failed = 0;
        for identity in left {
            let published = within(LEDGER_WITHIN, outcome::publish(&self.facts, &identity));
            let Err(error) = published.await else { continue };
            // One may be at fault itself; several in a row are not.
            failed += 1;
            metrics::counter!("hookline_command_outcome_failures_total").increment(1);
            tracing::debug!(command.identity = %identity, error = %format!("{error:#}"), "An outcome is published later");
            if OUTCOME_FAILURES_MAX <= failed {
                return;
            }
        }
    }

    async fn gauge(&self) {
        let counted = sqlx::query(
            "select count(*) filter (where state = 'open') as open, count(*) filter (where state = 'unknown') as parked,
                    count(*) filter (where state = 'open' and held is not null) as held,
                    (select count(*) from worker.commands where state <> 'open' and not outcome_published) as unpublished
               from worker.commands where state in ('open', 'unknown')",
        )
        .fetch_one(&self.pool);
        if let Ok(row) = within(LEDGER_WITHIN, counted).await {
            for name in ["open", "parked", "held", "unpublished"] {
                #[allow(clippy::cast_precision_loss)] // a count of rows
                let count = row.try_get::<i64, _>(name).unwrap_or(0) as f64;
                metrics::gauge!("hookline_send_commands", "state" => name).set(count);
            }
        }
    }
}

/// A place that was taken; given back whatever becomes of the task.
struct Place {
    sender: Sender,
    account: PaceKey,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.sender.end(&self.account);
        self.sender.freed.notify_one();
    }
}

fn forget(active: &mut HashSet<String>, done: Result<String, tokio::task::JoinError>) {
    match done {
        Ok(identity) => {
            active.remove(&identity);
        }
        Err(error) => {
            // A bug; which command it was is not told, so all may be looked at again: the ledger keeps them apart.
            tracing::error!(error = runtime::telemetry::task_end(&error), "A send failed inside");
            active.clear();
        }
    }
}
