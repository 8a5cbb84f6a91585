//! Commands in flight, each in a task of its own; what is simply to be sent is claimed together.

use std::collections::{HashMap, HashSet};

use runtime::broker::PublishFailure;
use runtime::db::within;
use tokio::task::{JoinError, JoinSet};

use crate::attempt::{self, Attempt, ClaimedAll};
use crate::ledger::queue::{self, DueRow};
use crate::places::{Place, PlaceKey};
use crate::services::{LEDGER_WITHIN, Next, Services};

/// Commands one worker drives at once.
const IN_FLIGHT_MAX: usize = 64;

/// What a look came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looked {
    /// Commands that were started.
    pub(super) started: usize,
    /// There were more than places.
    pub(super) starved: bool,
}

/// Commands in flight; each task returns the identity of its command.
#[derive(Default)]
pub(super) struct InFlight {
    tasks: JoinSet<String>,
    active: HashSet<String>,
}

impl InFlight {
    /// Looks for what is due, and starts as much of it as there are places.
    pub(super) async fn look(&mut self, services: &Services) -> Looked {
        let active: Vec<String> = self.active.iter().cloned().collect();
        match within(LEDGER_WITHIN, queue::due(&services.pool, &active)).await {
            Ok(due) => self.start(services, due).await,
            Err(error) => {
                tracing::debug!(%error, "Could not look for due commands");
                Looked { started: 0, starved: false }
            }
        }
    }

    /// Starts as many of the due commands as there are places.
    pub(super) async fn start(&mut self, services: &Services, due: Vec<DueRow>) -> Looked {
        let found = due.len();
        let mut sends: HashMap<String, Place> = HashMap::new();
        let mut order = Vec::new();
        let mut started = 0;
        for DueRow { identity, channel, account_id, reading } in due {
            let Ok(channel) = channel.parse() else { continue };
            if IN_FLIGHT_MAX <= self.tasks.len() + sends.len() {
                break;
            }
            let key = PlaceKey { channel, account_id, reading };
            let Some(place) = services.places.take(key) else { continue };
            started += 1;
            if reading {
                self.step(services, identity, place);
            } else {
                order.push(identity.clone());
                sends.insert(identity, place);
            }
        }
        if !order.is_empty() {
            self.claim(services, &order, sends).await;
        }
        Looked { started, starved: started < found }
    }

    /// Claims what is to be sent together; the rest goes step by step.
    async fn claim(
        &mut self,
        services: &Services,
        order: &[String],
        mut places: HashMap<String, Place>,
    ) {
        let claimed = match within(LEDGER_WITHIN, attempt::claim_all(services, order)).await {
            Ok(Some(claimed)) => claimed,
            Ok(None) => {
                if let Err(error) = services.log.catch_up().await {
                    tracing::warn!(error = %format!("{error:#}"), "Could not read the log of attempts; nothing is sent before");
                    put_off(services, order).await;
                }
                return;
            }
            Err(error) if error.is::<PublishFailure>() => {
                tracing::warn!(error = %format!("{error:#}"), "Attempts cannot be logged; nothing is sent before");
                put_off(services, order).await;
                return;
            }
            Err(error) => {
                tracing::debug!(error = %format!("{error:#}"), "Could not claim commands together; each on its own");
                ClaimedAll { attempts: Vec::new(), rest: order.to_vec() }
            }
        };
        for attempt in claimed.attempts {
            let Some(place) = places.remove(&attempt.command.identity) else { continue };
            self.active.insert(attempt.command.identity.clone());
            self.tasks.spawn(carry_out(services.clone(), attempt, place));
        }
        for identity in claimed.rest {
            if let Some(place) = places.remove(&identity) {
                self.step(services, identity, place);
            }
        }
    }

    fn step(&mut self, services: &Services, identity: String, place: Place) {
        self.active.insert(identity.clone());
        self.tasks.spawn(drive(services.clone(), identity, place));
    }

    pub(super) fn is_full(&self) -> bool {
        IN_FLIGHT_MAX <= self.tasks.len()
    }

    /// Forgets what has ended.
    pub(super) fn reap(&mut self) {
        while let Some(done) = self.tasks.try_join_next() {
            self.forget(done);
        }
    }

    /// Returns once something has ended; never where nothing is in flight.
    pub(super) async fn ended(&mut self) {
        match self.tasks.join_next().await {
            Some(done) => self.forget(done),
            None => std::future::pending().await,
        }
    }

    pub(super) async fn drain(&mut self) {
        while self.tasks.join_next().await.is_some() {}
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

/// Nothing was claimed, and would not be at once.
async fn put_off(services: &Services, identities: &[String]) {
    let pause = services.waits.retry_min;
    let reschedule = queue::reschedule(&services.pool, identities, pause);
    if let Err(error) = within(LEDGER_WITHIN, reschedule).await {
        tracing::debug!(%error, "Commands that could not be claimed are due at once");
    }
}

/// Makes a claimed attempt, then drives its command as far as it goes now.
async fn carry_out(services: Services, attempt: Attempt, _place: Place) -> String {
    let identity = attempt.command.identity.clone();
    let next = attempt::carry_out(&services, attempt).await;
    go_on(&services, &identity, next).await;
    identity
}

/// Drives one command as far as it goes now.
async fn drive(services: Services, identity: String, _place: Place) -> String {
    let next = attempt::step(&services, &identity).await;
    go_on(&services, &identity, next).await;
    identity
}

async fn go_on(services: &Services, identity: &str, mut next: anyhow::Result<Next>) {
    loop {
        match next {
            Ok(Next::Idle) => return,
            Ok(Next::Again) => next = attempt::step(services, identity).await,
            Ok(Next::Ended) => {
                services.reporter.report(identity.to_owned());
                return;
            }
            Err(error) => {
                tracing::warn!(command.identity = %identity, error = %format!("{error:#}"), "A step of a command failed; it is tried again");
                put_off(services, &[identity.to_owned()]).await;
                return;
            }
        }
    }
}
