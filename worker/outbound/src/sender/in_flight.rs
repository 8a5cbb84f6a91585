//! Commands in flight, each in a task of its own; what is simply to be sent is claimed together.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use runtime::broker::PublishFailure;
use runtime::db::within;
use tokio::task::{JoinError, JoinSet};

use crate::attempt::{self, Attempt, ClaimedAll};
use crate::attempt_log::shard_of;
use crate::ledger::queue::{self, DueRow};
use crate::places::{Place, PlaceKey};
use crate::services::{LEDGER_WITHIN, Next, Services};

/// Commands one worker drives at once.
const IN_FLIGHT_MAX: usize = 64;
/// Commands that wait for a place in memory. The others wait in the ledger.
const FOUND_MAX: usize = 1024;

/// Commands in flight; each task returns the identity of its command.
///
/// What is to be sent is claimed beside the loop. Claims whose shards of the log differ are under way at once; what is of a shard that is
/// being claimed gathers until that claim has ended.
#[derive(Default)]
pub(super) struct InFlight {
    tasks: JoinSet<String>,
    /// In flight or being claimed.
    active: HashSet<String>,
    claims: JoinSet<Claim>,
    /// Shards of the log that are being claimed from.
    claiming: BTreeSet<u32>,
    gathered: Vec<DueRow>,
    /// Due, and without a place so far, in the order in which they are started.
    found: Vec<DueRow>,
    /// More may be due than the last look found, or than is kept.
    more: bool,
}

/// A claim that has ended, with the places of its commands.
pub(super) struct Claim {
    shards: BTreeSet<u32>,
    places: HashMap<String, Place>,
    came: ClaimedAll,
}

impl InFlight {
    /// Looks for what is due, and starts as much of it as there are places.
    pub(super) async fn look(&mut self, services: &Services) {
        let active: Vec<String> = self.active.iter().cloned().collect();
        match within(LEDGER_WITHIN, queue::due(&services.pool, &active)).await {
            Ok(due) => {
                // What was known before is found again, unless somebody else has it meanwhile.
                self.gathered.clear();
                self.found.clear();
                self.more = due.more;
                self.start(services, due.commands);
            }
            Err(error) => tracing::debug!(%error, "Could not look for due commands"),
        }
    }

    /// Starts what was found before, as far as there are places.
    pub(super) fn start_found(&mut self, services: &Services) {
        self.start_also(services, Vec::new());
    }

    /// Starts what was found before, then these, as far as there are places.
    pub(super) fn start_also(&mut self, services: &Services, due: Vec<DueRow>) {
        let mut found = std::mem::take(&mut self.found);
        found.extend(due);
        self.start(services, found);
    }

    /// Starts as many of the due commands as there are places; the others wait for one.
    fn start(&mut self, services: &Services, due: Vec<DueRow>) {
        let mut places: HashMap<String, Place> = HashMap::new();
        let mut order = Vec::new();
        let mut shards = BTreeSet::new();
        for row in due {
            let Ok(channel) = row.channel.parse() else { continue };
            if self.active.contains(&row.identity) {
                continue;
            }
            if self.is_full() {
                self.keep(row);
                continue;
            }
            let shard = shard_of(channel, &row.account_id);
            if !row.reading && self.claiming.contains(&shard) {
                self.gathered.push(row);
                continue;
            }
            let key =
                PlaceKey { channel, account_id: row.account_id.clone(), reading: row.reading };
            let Some(place) = services.places.take(key) else {
                self.keep(row);
                continue;
            };
            let DueRow { identity, reading, .. } = row;
            self.active.insert(identity.clone());
            if reading {
                self.step(services, identity, place);
            } else {
                shards.insert(shard);
                order.push(identity.clone());
                places.insert(identity, place);
            }
        }
        if !order.is_empty() {
            self.claiming.extend(&shards);
            let services = services.clone();
            self.claims.spawn(async move {
                // Where it breaks down, its commands are found again when it would have lapsed.
                let came = contained(claim(&services, order)).await.unwrap_or_default();
                Claim { shards, places, came }
            });
        }
    }

    /// It waits for a place.
    fn keep(&mut self, row: DueRow) {
        if self.found.len() < FOUND_MAX {
            self.found.push(row);
        } else {
            self.more = true;
        }
    }

    /// Returns the next claim that has ended, or `None` once something in flight has, where `or_else` asks for that.
    pub(super) async fn ended(&mut self, or_else: bool) -> Option<Claim> {
        tokio::select! {
            Some(Ok(claim)) = self.claims.join_next() => Some(claim),
            Some(ended) = self.tasks.join_next(), if or_else => {
                self.forget(ended);
                None
            }
            else => std::future::pending().await,
        }
    }

    pub(super) fn is_claiming(&self) -> bool {
        !self.claims.is_empty()
    }

    /// Carries out what was claimed, and starts what has gathered meanwhile.
    pub(super) fn go_on(&mut self, services: &Services, claim: Claim) {
        self.carry_out(services, claim);
        let gathered = std::mem::take(&mut self.gathered);
        self.start_also(services, gathered);
    }

    /// Makes the attempts of a claim. The rest of its commands goes step by step.
    fn carry_out(&mut self, services: &Services, claim: Claim) {
        let Claim { shards, mut places, came } = claim;
        self.claiming.retain(|shard| !shards.contains(shard));
        for attempt in came.attempts {
            let Some(place) = places.remove(&attempt.command.identity) else { continue };
            let (services, identity) = (services.clone(), attempt.command.identity.clone());
            self.tasks.spawn(async move {
                contained(carry_out(&services, attempt, place)).await;
                identity
            });
        }
        for identity in came.rest {
            if let Some(place) = places.remove(&identity) {
                self.step(services, identity, place);
            }
        }
        for identity in places.keys() {
            self.active.remove(identity);
        }
    }

    fn step(&mut self, services: &Services, identity: String, place: Place) {
        let services = services.clone();
        self.tasks.spawn(async move {
            contained(drive(&services, &identity, place)).await;
            identity
        });
    }

    /// Whether a place that is given back lets something go on.
    pub(super) fn waits_for_places(&self) -> bool {
        !self.found.is_empty() || self.more
    }

    /// Whether what was found is used up, and more may be due.
    pub(super) fn has_more_to_find(&self) -> bool {
        self.found.is_empty() && self.more
    }

    fn is_full(&self) -> bool {
        IN_FLIGHT_MAX <= self.active.len()
    }

    /// Forgets what has ended.
    pub(super) fn reap(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            self.forget(ended);
        }
    }

    /// Returns once everything has ended. What was claimed just now, or is being claimed, is carried out; nothing else is started.
    pub(super) async fn drain(&mut self, services: &Services, claimed: Option<Claim>) {
        if let Some(claim) = claimed {
            self.carry_out(services, claim);
        }
        while let Some(ended) = self.claims.join_next().await {
            if let Ok(claim) = ended {
                self.carry_out(services, claim);
            }
        }
        while self.tasks.join_next().await.is_some() {}
    }

    fn forget(&mut self, ended: Result<String, JoinError>) {
        if let Ok(identity) = ended {
            self.active.remove(&identity);
        }
    }
}

/// A bug in work on some commands must not take the others with it. `None`: it broke down.
async fn contained<T>(work: impl Future<Output = T>) -> Option<T> {
    let ended = AssertUnwindSafe(work).catch_unwind().await;
    ended.inspect_err(|_| tracing::error!("Sending broke down: a bug; the others go on")).ok()
}

/// Claims what is to be sent together. What is neither claimed nor the rest is found by a later look.
async fn claim(services: &Services, order: Vec<String>) -> ClaimedAll {
    match within(LEDGER_WITHIN, attempt::claim_all(services, &order)).await {
        Ok(Some(claimed)) => claimed,
        Ok(None) => {
            if let Err(error) = services.log.catch_up().await {
                tracing::warn!(error = %format!("{error:#}"), "Could not read the log of attempts; nothing is sent before");
                put_off(services, &order).await;
            }
            ClaimedAll::default()
        }
        Err(error) if error.is::<PublishFailure>() => {
            tracing::warn!(error = %format!("{error:#}"), "Attempts cannot be logged; nothing is sent before");
            put_off(services, &order).await;
            ClaimedAll::default()
        }
        Err(error) => {
            tracing::debug!(error = %format!("{error:#}"), "Could not claim commands together; each on its own");
            ClaimedAll::nothing(order)
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
async fn carry_out(services: &Services, attempt: Attempt, _place: Place) {
    let identity = attempt.command.identity.clone();
    let next = attempt::carry_out(services, attempt).await;
    go_on(services, &identity, next).await;
}

/// Drives one command as far as it goes now.
async fn drive(services: &Services, identity: &str, _place: Place) {
    let next = attempt::step(services, identity).await;
    go_on(services, identity, next).await;
}

async fn go_on(services: &Services, identity: &str, mut next: anyhow::Result<Next>) {
    loop {
        match next {
            Ok(Next::Idle) => return,
            Ok(Next::Again) => next = attempt::step(services, identity).await,
            Ok(Next::In(pause)) => {
                tokio::time::sleep(pause).await;
                next = attempt::step(services, identity).await;
            }
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
