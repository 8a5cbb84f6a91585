//! Follows INBOX_EVENTS from the stored position while holding the lease. Order does not matter here; completeness does.

use std::time::{Duration, Instant};

use runtime::broker::Broker;
use runtime::follow::{End, Reader, Received, Source, StreamRecreated, Taken, follow};
use runtime::health::Health;
use runtime::lease::{Lease, Position};
use schemas::facts::WithdrawReason;
use schemas::{Event, Fact, subjects};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::announce::announce;
use crate::apply::{CHECK, Sink, Unapplied, unavailable};
use crate::meters;
use crate::read::{Incoming, Parked};
use crate::store::{NAME, Store, StoreError};

/// Events per transaction at most: a commit waits for the disk, and a conversation's row is written once for all of them.
const BATCH_MAX: usize = 2000;

/// Events that are taken from the stream at once, at most: while some are stored, the next ones are read.
const AHEAD_MAX: usize = 2 * BATCH_MAX;

/// Events of one batch that get a span each.
const SPANS_MAX: usize = 32;

/// How often it is asked whether the schema still serves, where nothing is to be stored.
const SERVING_EVERY: Duration = Duration::from_secs(1);

/// How often it is tried to drop models that were given up.
const DROP_EVERY: Duration = Duration::from_secs(10);

/// One projector over one read model.
pub(crate) struct Projector {
    broker: Broker,
    store: Store,
    health: Health,
    /// Rings when something was set aside.
    parked: Notify,
    /// Rings when a model was given up.
    left: Notify,
}

/// Ends the reports about the work under one lease, also where it is dropped: whoever holds the lease next reports its lag, and what
/// hinders it.
struct Reporting<'a> {
    health: &'a Health,
}

impl Drop for Reporting<'_> {
    fn drop(&mut self) {
        self.health.set(CHECK, Ok(()));
        meters::lag(0);
        meters::parked(0);
    }
}

impl Projector {
    /// A projector that writes `store`.
    pub(crate) fn new(broker: Broker, store: Store, health: Health) -> Self {
        Self { broker, store, health, parked: Notify::new(), left: Notify::new() }
    }

    /// Projects whenever this process holds the lease, until `shutdown` or until another schema serves.
    pub(crate) async fn run(&self, shutdown: CancellationToken) {
        let served = shutdown.child_token();
        let held = self
            .store
            .leases()
            .while_held(NAME, served.clone(), |lease, stop| self.work(lease, stop, served.clone()));
        tokio::select! {
            () = held => {}
            // Also those who only wait for the lease.
            () = self.watch_serving(&served) => {}
        }
    }

    /// Cancels `served` when another schema serves; never returns.
    async fn watch_serving(&self, served: &CancellationToken) {
        loop {
            tokio::time::sleep(SERVING_EVERY).await;
            if let Ok(schema) = self.store.serving().await
                && schema != *self.store.schema()
            {
                served.cancel();
            }
        }
    }

    async fn work(&self, lease: Lease, stop: CancellationToken, served: CancellationToken) {
        let _reporting = Reporting { health: &self.health };
        let end = tokio::select! {
            biased;
            end = self.project(&lease, &stop) => end,
            () = announce(&self.broker, &self.store, &self.parked) => return,
            () = drop_left(&self.store, &self.left) => return,
        };
        match end {
            Unapplied::Stopped => {}
            Unapplied::Fenced => tracing::warn!(
                epoch = lease.epoch,
                "The position was moved by somebody else; reading it again"
            ),
            Unapplied::Moved => served.cancel(),
        }
    }

    async fn project(&self, lease: &Lease, stop: &CancellationToken) -> Unapplied {
        let source = Source {
            stream: subjects::INBOX_EVENTS,
            filter: subjects::EVENT_ALL.to_owned(),
            messages_max: AHEAD_MAX,
            bytes_max: usize::MAX,
        };
        let sink = Sink { store: &self.store, health: &self.health, lease, stop };
        let (parked, left) = (&self.parked, &self.left);
        let mut batches = Batches { sink, parked, left, end: Unapplied::Stopped };
        match follow(&self.broker, &source, &mut batches, stop).await {
            End::Stopped => Unapplied::Stopped,
            End::Lost => batches.end,
        }
    }
}

/// Stores what is read while the lease is held.
struct Batches<'a> {
    sink: Sink<'a>,
    parked: &'a Notify,
    left: &'a Notify,
    /// Why the last batch did not take effect.
    end: Unapplied,
}

impl Reader for Batches<'_> {
    type Error = sqlx::Error;

    async fn position(&mut self) -> sqlx::Result<Position> {
        let position = self.sink.store.leases().position(NAME).await?;
        tracing::info!(
            position = position.seq,
            epoch = self.sink.lease.epoch,
            "Projecting from the stored position"
        );
        meters::position(position.seq);
        Ok(position)
    }

    async fn take(&mut self, batch: &[Received], from: u64, to: Position) -> sqlx::Result<Taken> {
        if batch.iter().any(erases) {
            // A model that is kept for `rebuild revert` follows no more, so what is erased would stay in it. It is dropped beside this: whoever
            // reads it, such as a backup, does not hold up the events.
            if self.sink.store.leave_kept().await? {
                tracing::info!(
                    "The read model kept from the last swap is given up: something was erased"
                );
                self.left.notify_one();
            }
        }
        let mut chunks = batch.chunks(BATCH_MAX);
        let mut at = Position { seq: from, era: to.era, at: None };
        let mut ahead = chunks.next().map(|chunk| (chunk, reading(chunk)));
        while let Some((chunk, reading)) = ahead.take() {
            // Only a runtime that ends gives no answer.
            let Ok(incoming) = reading.await else { return Ok(Taken::Lost) };
            ahead = chunks.next().map(|chunk| (chunk, self::reading(chunk)));
            let end = chunk.last().map_or(to, |last| last.position(to.era));
            if let Err(end) = self.store(chunk, incoming, at, end).await {
                self.end = end;
                return Ok(Taken::Lost);
            }
            at = end;
            if ahead.is_some() && self.sink.stop.is_cancelled() {
                return Ok(Taken::Lost);
            }
        }
        Ok(Taken::Yes)
    }

    fn failed(&mut self, error: &sqlx::Error, failures: u32) {
        unavailable(self.sink.health, "reading the position", error, failures);
    }

    fn recovered(&mut self) {
        self.sink.health.set(CHECK, Ok(()));
    }

    fn lag(&mut self, messages: u64) {
        meters::lag(messages);
    }

    fn recreated(&mut self, recreated: &StreamRecreated) {
        // Going on would skip or repeat; the rows stay as they are, and an operator restores or adopts the stream.
        tracing::error!(error = %recreated, "Projecting has stopped");
        self.sink.health.set(CHECK, Err(recreated.to_string()));
        meters::lag_unknown();
    }

    async fn put_back(&mut self, stored: Position) -> sqlx::Result<Taken> {
        match self.sink.store.start_over(self.sink.lease, stored).await {
            Ok(()) => Ok(Taken::Yes),
            Err(StoreError::Fenced) => {
                self.end = Unapplied::Fenced;
                Ok(Taken::Lost)
            }
            Err(StoreError::Moved) => {
                self.end = Unapplied::Moved;
                Ok(Taken::Lost)
            }
            Err(StoreError::Database(error)) => Err(error),
        }
    }

    fn trusted(&mut self) {
        self.sink.health.set(CHECK, Ok(()));
    }
}

/// Drops models that were given up, also by a process that was killed before it dropped them; never returns.
async fn drop_left(store: &Store, left: &Notify) {
    let mut failures = 0_u32;
    loop {
        match store.drop_left().await {
            Ok(()) => failures = 0,
            Err(error) => {
                failures = failures.saturating_add(1);
                if failures == 1 {
                    tracing::warn!(%error, "A read model that was given up is not dropped yet; trying again");
                }
            }
        }
        tokio::select! {
            () = left.notified() => {}
            () = tokio::time::sleep(DROP_EVERY) => {}
        }
    }
}

/// Whether a message is the withdrawal of something erased.
fn erases(message: &Received) -> bool {
    let event = || serde_json::from_slice::<Event>(&message.payload).ok();
    message.subject.ends_with(".fact-withdrawn")
        && event().is_some_and(|event| {
            matches!(event.data.fact, Fact::FactWithdrawn(body) if body.reason == WithdrawReason::Erased)
        })
}

impl Batches<'_> {
    /// Stores the events of one transaction.
    async fn store(
        &self,
        chunk: &[Received],
        incoming: Vec<Incoming>,
        from: Position,
        to: Position,
    ) -> Result<(), Unapplied> {
        let started = Instant::now();
        // Live events carry their trace on to here; when catching up, a span each would cost more than it is worth.
        let spans: Vec<tracing::Span> = chunk.iter().take(SPANS_MAX).map(span_of).collect();
        let parked = self.sink.store(from, to, incoming).await?;
        meters::stored(&meters::kinds_of(chunk), started.elapsed());
        self.report(&parked);
        drop(spans);
        meters::position(to.seq);
        Ok(())
    }

    fn report(&self, parked: &[Parked]) {
        if !parked.is_empty() {
            self.parked.notify_one();
        }
        for event in parked {
            meters::set_aside(event.cause);
            tracing::error!(
                position = event.seq,
                event.id = event.event_id.as_deref().unwrap_or("-"),
                event.kind = event.kind.as_deref().unwrap_or("-"),
                cause = event.cause,
                detail = %event.detail,
                "Set event `{}` at position {} aside and went on",
                event.event_id.as_deref().unwrap_or("-"),
                event.seq,
            );
        }
    }
}

/// Reads events on a thread beside the one that stores.
fn reading(chunk: &[Received]) -> JoinHandle<Vec<Incoming>> {
    let chunk = chunk.to_vec();
    tokio::task::spawn_blocking(move || chunk.iter().map(Incoming::of).collect())
}

/// The end of an event's trace: from delivery to the commit of its rows.
fn span_of(message: &Received) -> tracing::Span {
    let span = tracing::info_span!("project", position = message.sequence);
    runtime::telemetry::continue_trace(&span, message.traceparent());
    span
}
