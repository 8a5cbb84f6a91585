//! Storing a batch, whatever happens: trouble of the moment is waited out, and a batch with something that cannot be stored is halved until
//! the one event stands alone, which is set aside.

use std::collections::VecDeque;
use std::time::Duration;

use runtime::db::{Fault, Patience, advice, describe, fault, report};
use runtime::health::Health;
use runtime::lease::{Lease, Position};
use runtime::retry::Backoff;
use tokio_util::sync::CancellationToken;

use crate::read::{Incoming, Parked};
use crate::store::{Store, StoreError};

/// How long storing a batch may take at first: a connection that something in between forgot answers never.
const STORED_WITHIN: Duration = Duration::from_secs(10);
/// The same where it took longer again and again; beyond the limit that the connections set for a statement.
const STORED_WITHIN_MAX: Duration = Duration::from_secs(160);

/// The check of `/readyz` that says whether events can be projected.
pub(crate) const CHECK: &str = "projection";

/// The cause of events that Postgres does not take.
pub(crate) const NOT_STORABLE: &str = "not_storable";

/// Why a batch was not stored, or not all of it.
pub(crate) enum Unapplied {
    /// The process stops, or the lease is lost.
    Stopped,
    /// Another process moved the position: take the lease anew and read it.
    Fenced,
    /// Another schema serves by now.
    Moved,
}

/// Where batches are stored, and in whose name.
pub(crate) struct Sink<'a> {
    pub(crate) store: &'a Store,
    pub(crate) health: &'a Health,
    pub(crate) lease: &'a Lease,
    pub(crate) stop: &'a CancellationToken,
}

/// What to do with a batch that Postgres did not take.
enum Remedy {
    /// The same once more after a pause.
    Again(&'static str),
    /// Each half by itself.
    Halve,
    /// Its one event is set aside.
    SetAside,
}

fn remedy(fault: Fault, batch: &[Incoming]) -> Remedy {
    match (fault, batch) {
        (Fault::Passing | Fault::Never, _) | (_, []) => Remedy::Again("storing events"),
        (Fault::TooMuch, [_]) => Remedy::Again("storing one event"),
        (Fault::Data, [one]) if !is_bare(one) => Remedy::SetAside,
        // Not even a row of `parked` without a word of the event can be written: that is not the event's fault.
        (Fault::Data, [_]) => Remedy::Again("parking an event"),
        (Fault::Data | Fault::TooMuch, _) => Remedy::Halve,
    }
}

impl Sink<'_> {
    /// Stores a batch and moves the position. Returns the events that were set aside.
    pub(crate) async fn store(
        &self,
        from: Position,
        to: Position,
        batch: Vec<Incoming>,
    ) -> Result<Vec<Parked>, Unapplied> {
        let mut parked = Vec::new();
        let mut at = from;
        let mut queue: VecDeque<(Position, Vec<Incoming>)> = VecDeque::from([(to, batch)]);
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        let mut patience = Patience::new(STORED_WITHIN, STORED_WITHIN_MAX);
        while let Some((end, mut batch)) = queue.pop_front() {
            let applying = self.store.apply(self.lease, at, end, batch.clone());
            let error = match patience.within(applying).await {
                Ok(aside) => {
                    self.health.set(CHECK, Ok(()));
                    backoff.reset();
                    parked.extend(aside);
                    at = end;
                    continue;
                }
                Err(StoreError::Fenced) => return Err(Unapplied::Fenced),
                Err(StoreError::Moved) => return Err(Unapplied::Moved),
                Err(StoreError::Database(error)) => error,
            };
            match remedy(fault(&error), &batch) {
                Remedy::Again(doing) => {
                    self.wait(doing, &error, &mut backoff).await?;
                    queue.push_front((end, batch));
                }
                Remedy::Halve => {
                    let second = batch.split_off(batch.len() / 2);
                    let seq = batch.last().map_or(at.seq, |last| last.seq);
                    queue.push_front((end, second));
                    queue.push_front((Position { seq, era: end.era, at: None }, batch));
                }
                Remedy::SetAside => {
                    let aside = batch.into_iter().map(|one| not_storable(one, &error)).collect();
                    queue.push_front((end, aside));
                }
            }
        }
        Ok(parked)
    }

    /// Waits before another try and says why, once.
    async fn wait(
        &self,
        doing: &'static str,
        error: &sqlx::Error,
        backoff: &mut Backoff,
    ) -> Result<(), Unapplied> {
        let pause = backoff.next(rand::random());
        unavailable(self.health, doing, error, backoff.attempts());
        let slept = self.stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        slept.ok_or(Unapplied::Stopped)
    }
}

/// Reports that Postgres does not serve; logs it at the first of `failures` in a row, and from time to time where somebody must act.
pub(crate) fn unavailable(
    health: &Health,
    doing: &'static str,
    error: &sqlx::Error,
    failures: u32,
) {
    report(health, CHECK, error, failures);
    if failures == 1 && advice(error).is_none() {
        tracing::warn!(doing, error = %describe(error), "Postgres does not take it; trying again until it does");
    }
    health.set(CHECK, Err(format!("{doing}: {}", describe(error))));
}

/// Whether an event is set aside without anything of its own.
fn is_bare(one: &Incoming) -> bool {
    let bare = |parked: &Parked| parked.event_id.is_none() && parked.account_id.is_empty();
    one.outcome.as_ref().err().is_some_and(bare)
}

/// An event that Postgres does not take, as it is set aside: under its id, or, where it was set aside already, under none.
fn not_storable(one: Incoming, error: &sqlx::Error) -> Incoming {
    let Incoming { seq, channel, account_id, outcome } = one;
    let (event_id, kind, account_id) = match outcome {
        Ok((arrival, kind)) => {
            (Some(arrival.event_id().to_string()), Some(kind.to_string()), account_id)
        }
        Err(parked) => (None, parked.kind, String::new()),
    };
    // A label, an index entry and a log line stay short, whatever somebody published.
    let event_id =
        event_id.map(|id| id.chars().filter(|char| !char.is_control()).take(64).collect());
    let parked = Parked {
        seq,
        event_id,
        kind,
        channel,
        account_id: account_id.clone(),
        cause: NOT_STORABLE,
        detail: describe(error),
    };
    Incoming { seq, channel, account_id, outcome: Err(parked) }
}
