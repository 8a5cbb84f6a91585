//! The sending side of one worker: claims what is due in the ledger, and drives each claimed command as far as it goes now.
//!
//! Several workers may run it: the ledger decides who does what. A command is claimed by locking its row and writing down what is about
//! to happen ([`crate::attempt`]); that transaction commits before Meta is asked.

mod in_flight;
mod outcomes;

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
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::attempt_log::AttemptLog;
use crate::handover::HandedOver;
use crate::ledger::queue::{self, DueRow};
use crate::ledger::under_way;
use crate::places::Places;
use crate::reporter::{Reporting, reporter};
use crate::services::{LEDGER_WITHIN, Services};
use crate::settler::{Settling, settler};
use crate::tokens::Tokens;
use crate::{Waits, attempt_log, clocks, echoes, templates};
use in_flight::{Claim, InFlight};
use outcomes::sweep;

/// How often the ledger is looked at without being woken.
const POLL: Duration = Duration::from_millis(250);
/// Between two looks, however often it is woken: a look reads what is due of all accounts.
const LOOK_PAUSE: Duration = Duration::from_millis(10);
/// A look that took long is followed by a pause of so many times as long.
const LOOK_SHARE: u32 = 10;
/// How often commands are let go whose freeze or stop has ended unseen.
const RELEASE: Duration = Duration::from_secs(1);
/// Between two comparisons of echoes: what comes meanwhile is compared together.
const EXAMINE_PAUSE: Duration = Duration::from_millis(50);
/// How long open work may take to end when the process stops; then it is left for the next owner.
const DRAIN: Duration = Duration::from_secs(8);

/// Sends, reconciles and reports.
pub struct Sender {
    services: Services,
    settling: Settling,
    reporting: Reporting,
}

/// What the loop goes on with.
enum Woken {
    /// The time for a look may have come.
    Clock,
    /// More may be due than is known.
    Notified,
    /// A place is free.
    Freed,
    /// Commands of the intake.
    HandedOver(Vec<DueRow>),
    /// A claim that has ended.
    Claimed(Claim),
}

/// When the ledger is looked at.
struct Looks {
    earliest: Instant,
    next: Instant,
}

impl Looks {
    fn is_due(&self) -> bool {
        self.next <= Instant::now()
    }

    /// The next look is as soon as may be.
    fn soon(&mut self) {
        self.next = self.next.min(self.earliest);
    }

    fn looked(&mut self, since: Instant) {
        let now = Instant::now();
        let pause = LOOK_PAUSE.max((now - since) * LOOK_SHARE).min(POLL);
        *self = Self { earliest: now + pause, next: now + POLL };
    }
}

/// When commands were last let go, and what was known of the accounts then.
struct Released {
    accounts_version: i64,
    looked: Instant,
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
        let tokens = Tokens::new(accounts.clone());
        let (settler, settling) = settler(pool.clone(), &worker);
        let (reporter, reporting) = reporter(facts.clone());
        let services = Services {
            pool,
            graph,
            accounts,
            facts,
            worker,
            waits,
            places,
            log,
            tokens,
            settler,
            reporter,
        };
        Self { services, settling, reporting }
    }

    /// Works until `shutdown`, then lets what is in flight end. Trouble with the database is waited out. The check `sending` of `health`
    /// says whether the ledger is behind the log of attempts.
    pub fn run(
        self,
        handed_over: HandedOver,
        health: Health,
        shutdown: CancellationToken,
    ) -> BoxFuture<'static, ()> {
        Box::pin(self.work(handed_over, health, shutdown))
    }

    async fn work(self, mut handed_over: HandedOver, health: Health, shutdown: CancellationToken) {
        let Self { services, settling, reporting } = self;
        let mut in_flight = InFlight::default();
        // They write down what the others hand them, and end with them.
        let mut behind = JoinSet::new();
        behind.spawn(settling.run());
        behind.spawn(reporting.run());
        // Beside the loop: neither many outcomes at once, nor an echo whose command somebody holds, hold up a send.
        let mut beside = JoinSet::new();
        let [due_listener, echo_listener] = Listener::start_all(
            services.pool.clone(),
            [conversation_state::WAKE, conversation_state::ECHOES],
        );
        beside.spawn(examine(services.clone(), echo_listener, shutdown.clone()));
        beside.spawn(sweep(services.clone(), POLL, shutdown.clone()));
        beside.spawn(clocks::watch(services.clone(), shutdown.clone()));
        beside.spawn(templates::watch(services.clone(), shutdown.clone()));
        beside.spawn(attempt_log::watch(services.log.clone(), health, shutdown.clone()));
        let mut released = Released::never();
        let mut looks = Looks { earliest: Instant::now(), next: Instant::now() };
        let mut woken = Woken::Clock;
        while !shutdown.is_cancelled() {
            // They end with the process; before, only by a bug, which is one of the whole worker.
            for tasks in [&mut beside, &mut behind] {
                if let Some(Err(broken)) = tasks.try_join_next() {
                    std::panic::resume_unwind(broken.into_panic());
                }
            }
            in_flight.reap();
            match std::mem::replace(&mut woken, Woken::Clock) {
                Woken::Claimed(claim) => in_flight.go_on(&services, claim),
                Woken::HandedOver(commands) => in_flight.start_also(&services, commands),
                Woken::Freed if in_flight.has_more_to_find() => looks.soon(),
                Woken::Freed => in_flight.start_found(&services),
                Woken::Notified => looks.soon(),
                Woken::Clock => {}
            }
            if looks.is_due() {
                let since = Instant::now();
                if let Err(error) = within(LEDGER_WITHIN, released.look(&services)).await {
                    tracing::debug!(%error, "Could not look for commands to release");
                }
                in_flight.look(&services).await;
                looks.looked(since);
            }
            // A place that is given back matters to those who wait for one; while a claim is under way, they wait for its end.
            let waits = in_flight.waits_for_places() && !in_flight.is_claiming();
            tokio::select! {
                () = shutdown.cancelled() => {}
                ended = in_flight.ended(waits) => {
                    woken = ended.map_or(Woken::Freed, Woken::Claimed);
                }
                () = tokio::time::sleep_until(looks.next) => {}
                commands = handed_over.next() => woken = Woken::HandedOver(commands),
                () = due_listener.notified() => woken = Woken::Notified,
                () = services.places.freed(), if waits => woken = Woken::Freed,
            }
        }
        let drained = async {
            // A claim may have ended just now.
            let claimed = if let Woken::Claimed(claim) = woken { Some(claim) } else { None };
            in_flight.drain(&services, claimed).await;
            while beside.join_next().await.is_some() {}
            drop(services);
            while behind.join_next().await.is_some() {}
        };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::warn!("Sends still open at the end are reconciled by the next owner");
        }
    }
}

impl Released {
    fn never() -> Self {
        let now = Instant::now();
        Self { accounts_version: -1, looked: now.checked_sub(POLL).unwrap_or(now), at: now }
    }

    /// Commands whose reason to wait has gone are due at once: when accounts have changed, and else every [`RELEASE`], for one that was
    /// being claimed when its freeze or stop ended.
    async fn look(&mut self, services: &Services) -> sqlx::Result<()> {
        if self.looked.elapsed() < POLL {
            return Ok(());
        }
        let mut conn = services.pool.acquire().await?;
        let version = facts::accounts::store::version(&mut conn).await?;
        self.looked = Instant::now();
        let again = version != self.accounts_version || RELEASE <= self.at.elapsed();
        if again || !services.places.is_known_to_others() {
            services.places.know(under_way::living(&mut conn, &services.worker).await?);
        }
        if again {
            queue::release(&mut conn).await?;
            (self.accounts_version, self.at) = (version, Instant::now());
        }
        Ok(())
    }
}

/// Compares echoes with the ledger when some have come, and from time to time, until `shutdown`.
async fn examine(services: Services, listener: Listener, shutdown: CancellationToken) {
    loop {
        let compared = async {
            // What comes too early for its part is due later, and nobody notifies of that.
            let _ = tokio::time::timeout(POLL, listener.notified()).await;
            tokio::time::sleep(EXAMINE_PAUSE).await;
            within(LEDGER_WITHIN, echoes::examine(&services.pool)).await
        };
        match shutdown.run_until_cancelled(compared).await {
            Some(Ok(ended)) => {
                for identity in ended {
                    services.reporter.report(identity);
                }
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "Could not compare echoes with the ledger");
            }
            None => break,
        }
    }
}
