//! The sending side of one worker: claims what is due in the ledger, and drives each claimed command as far as it goes now.
//!
//! Several workers may run it: the ledger decides who does what. A command is claimed by locking its row and writing down what is about
//! to happen ([`crate::attempt`]); that transaction commits before Meta is asked.

mod outcomes;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use facts::FactStore;
use facts::accounts::AccountStore;
use facts::follow_up::conversation_state;
use graph::Graph;
use runtime::BoxFuture;
use runtime::broker::Broker;
use runtime::db::within;
use runtime::health::Health;
use runtime::notify::Listener;
use sqlx::PgPool;
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::attempt_log::AttemptLog;
use crate::ledger::queue::{self, DueRow};
use crate::places::{Place, PlaceKey, Places};
use crate::services::{LEDGER_WITHIN, Next, Services};
use crate::{Waits, attempt, attempt_log, echoes};
use outcomes::{report, sweep};

/// Commands one worker drives at once.
const IN_FLIGHT_MAX: usize = 64;
/// How often the ledger is looked at without being woken.
const POLL: Duration = Duration::from_millis(250);
/// How often commands are let go whose freeze or stop has ended unseen.
const RELEASE: Duration = Duration::from_secs(1);
/// How long open work may take to end when the process stops; then it is left for the next owner.
const DRAIN: Duration = Duration::from_secs(8);

/// Sends, reconciles and reports.
#[derive(Clone)]
pub struct Sender {
    services: Services,
}

/// Commands in flight, each in a task of its own that returns its identity.
#[derive(Default)]
struct InFlight {
    tasks: JoinSet<String>,
    active: HashSet<String>,
}

/// When commands were last let go, and what was known of the accounts then.
struct Released {
    accounts_version: i64,
    at: Instant,
}

impl Sender {
    /// A sender of this worker; `worker` names the process, uniquely.
    pub fn new(
        pool: PgPool,
        broker: Broker,
        graph: Graph,
        accounts: AccountStore,
        facts: FactStore,
        worker: String,
        waits: Waits,
    ) -> Self {
        let places = Places::default();
        let log = AttemptLog::new(broker, pool.clone(), &worker);
        Self { services: Services { pool, graph, accounts, facts, worker, waits, places, log } }
    }

    /// Works until `shutdown`, then lets what is in flight end. Trouble with the database is waited out. The check `sending` of `health`
    /// says whether the ledger is behind the log of attempts.
    pub fn run(self, health: Health, shutdown: CancellationToken) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let services = self.services;
            let mut in_flight = InFlight::default();
            let listener = Listener::start(services.pool.clone(), conversation_state::WAKE);
            let mut released = Released { accounts_version: -1, at: Instant::now() };
            // Beside the loop: neither many outcomes at once, nor an echo whose command somebody holds, hold up a send.
            let mut beside = JoinSet::new();
            let examine_now = Arc::new(Notify::new());
            beside.spawn(examine(services.clone(), Arc::clone(&examine_now), shutdown.clone()));
            beside.spawn(sweep(services.clone(), POLL, shutdown.clone()));
            beside.spawn(attempt_log::watch(services.log.clone(), health, shutdown.clone()));
            while !shutdown.is_cancelled() {
                // They end with the process; before, only by a bug, which is one of the whole worker.
                if let Some(Err(broken)) = beside.try_join_next() {
                    std::panic::resume_unwind(broken.into_panic());
                }
                while let Some(done) = in_flight.tasks.try_join_next() {
                    in_flight.forget(done);
                }
                if let Err(error) = within(LEDGER_WITHIN, released.look(&services)).await {
                    tracing::debug!(%error, "Could not look for commands to release");
                }
                examine_now.notify_one();
                let active: Vec<String> = in_flight.active.iter().cloned().collect();
                let started = match within(LEDGER_WITHIN, queue::due(&services.pool, &active)).await
                {
                    Ok(due) => in_flight.start(&services, due),
                    Err(error) => {
                        tracing::debug!(%error, "Could not look for due commands");
                        0
                    }
                };
                if started == 0 || IN_FLIGHT_MAX <= in_flight.tasks.len() {
                    tokio::select! {
                        () = shutdown.cancelled() => {}
                        () = tokio::time::sleep(POLL) => {}
                        () = listener.notified() => {}
                        () = services.places.freed() => {}
                        Some(done) = in_flight.tasks.join_next() => in_flight.forget(done),
                    }
                }
            }
            let drained = async {
                while in_flight.tasks.join_next().await.is_some() {}
                while beside.join_next().await.is_some() {}
            };
            if tokio::time::timeout(DRAIN, drained).await.is_err() {
                tracing::warn!("Sends still open at the end are reconciled by the next owner");
            }
        })
    }
}

impl InFlight {
    /// Starts as many of the due commands as there are places. Returns how many.
    fn start(&mut self, services: &Services, due: Vec<DueRow>) -> usize {
        let mut started = 0;
        for DueRow { identity, channel, account_id, reading } in due {
            let Ok(channel) = channel.parse() else { continue };
            if IN_FLIGHT_MAX <= self.tasks.len() {
                continue;
            }
            let key = PlaceKey { channel, account_id, reading };
            if let Some(place) = services.places.take(key) {
                self.active.insert(identity.clone());
                self.tasks.spawn(drive(services.clone(), identity, place));
                started += 1;
            }
        }
        started
    }

    fn forget(&mut self, done: Result<String, JoinError>) {
        match done {
            Ok(identity) => {
                self.active.remove(&identity);
            }
            Err(error) => {
                // A bug; which command it was is not known, so all may be looked at again: the ledger keeps them apart.
                tracing::error!(
                    error = runtime::telemetry::task_end(&error),
                    "A send failed inside"
                );
                self.active.clear();
            }
        }
    }
}

impl Released {
    /// Commands whose reason to wait has gone are due at once: when accounts have changed, and else every [`RELEASE`], for one that was
    /// being claimed when its freeze or stop ended.
    async fn look(&mut self, services: &Services) -> sqlx::Result<()> {
        let mut conn = services.pool.acquire().await?;
        let version = facts::accounts::store::version(&mut conn).await?;
        if version != self.accounts_version || RELEASE <= self.at.elapsed() {
            queue::release(&mut conn).await?;
            *self = Self { accounts_version: version, at: Instant::now() };
        }
        Ok(())
    }
}

/// Drives one command as far as it goes now.
async fn drive(services: Services, identity: String, _place: Place) -> String {
    loop {
        match attempt::step(&services, &identity).await {
            Ok(Next::Idle) => break,
            Ok(Next::Again) => {}
            Ok(Next::Ended) => {
                report(&services, &identity).await;
                break;
            }
            Err(error) => {
                tracing::warn!(command.identity = %identity, error = %format!("{error:#}"), "A step of a command failed; it is tried again");
                let pause = services.waits.retry_min;
                let reschedule = queue::reschedule(&services.pool, &identity, pause);
                if let Err(error) = within(LEDGER_WITHIN, reschedule).await {
                    tracing::debug!(command.identity = %identity, %error, "A failing command is due at once");
                }
                break;
            }
        }
    }
    identity
}

/// Compares echoes with the ledger whenever the loop has come round, until `shutdown`; then lets open reports end.
async fn examine(services: Services, now: Arc<Notify>, shutdown: CancellationToken) {
    let mut reports = JoinSet::new();
    loop {
        let compared = async {
            now.notified().await;
            within(LEDGER_WITHIN, echoes::examine(&services.pool)).await
        };
        match shutdown.run_until_cancelled(compared).await {
            Some(Ok(ended)) => {
                for identity in ended {
                    let services = services.clone();
                    reports.spawn(async move { report(&services, &identity).await });
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
