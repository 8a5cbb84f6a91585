//! Follows INBOX_EVENTS from the stored position while holding the lease. Order matters to nothing here; completeness does.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use metrics::{counter, gauge, histogram};
use runtime::broker::Broker;
use runtime::db::Patience;
use runtime::follow::{RECREATED_PAUSE, Reader, Received, Source, StreamRecreated, Taken, follow};
use runtime::health::Health;
use runtime::lease::{Lease, Position};
use runtime::retry::Backoff;
use schemas::subjects;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::announce::announce;
use crate::read::{Incoming, Parked, read};
use crate::store::{Fault, Store, StoreError, fault};

/// The name of the lease and of the position.
pub const NAME: &str = "projector";

/// Events per transaction at most.
const BATCH_MAX: usize = 1000;

/// Events of one batch that get a span each.
const SPANS_MAX: usize = 32;

/// How long storing a batch may take at first: a connection that something in between forgot answers never.
const STORED_WITHIN: Duration = Duration::from_secs(10);
/// The same where it took longer again and again; beyond the limit that the connections set for a statement.
const STORED_WITHIN_MAX: Duration = Duration::from_secs(160);

/// The check of `/readyz` that tells whether events can be projected.
const CHECK: &str = "projection";

/// One projector over one read model.
pub struct Projector {
    broker: Broker,
    store: Store,
    health: Health,
    /// Rings when something was set aside.
    parked: Notify,
}

/// The end of the work under one lease, also where it is dropped.
struct Left<'a> {
    health: &'a Health,
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        self.health.set(CHECK, Ok(()));
        gauge!("hookline_projector_lag_messages").set(0.0);
        gauge!("hookline_projector_parked").set(0.0);
    }
}

/// Why the work under one lease ended.
pub(crate) enum End {
    /// The process stops, or the lease is lost.
    Stopped,
    /// Somebody else moved the position: take the lease anew and look.
    Fenced,
    /// Another schema serves by now.
    Moved,
}

/// How often it is asked whether the schema still serves, where nothing is to be stored.
const SERVING_EVERY: Duration = Duration::from_secs(1);

impl Projector {
    /// A projector that writes `store`.
    pub fn new(broker: Broker, store: Store, health: Health) -> Self {
        Self { broker, store, health, parked: Notify::new() }
    }

    /// Projects whenever this process holds the lease, until `shutdown` or until another schema serves.
    pub async fn run(&self, shutdown: CancellationToken) {
        let served = shutdown.child_token();
        let held = self
            .store
            .leases()
            .while_held(NAME, served.clone(), |lease, stop| self.work(lease, stop, served.clone()));
        tokio::select! {
            () = held => {}
            // Also those who only wait for the lease.
            () = self.moved(&served) => {}
        }
    }

    /// Notices that another schema serves, and stops what is done with this one; never returns.
    async fn moved(&self, served: &CancellationToken) {
        loop {
            tokio::time::sleep(SERVING_EVERY).await;
            if let Ok(schema) = self.store.serving().await
                && schema != self.store.schema()
            {
                served.cancel();
            }
        }
    }

    async fn work(&self, lease: Lease, stop: CancellationToken, served: CancellationToken) {
        // Whoever holds it next tells its lag, and what hinders it.
        let _left = Left { health: &self.health };
        let end = tokio::select! {
            biased;
            end = self.project(&lease, &stop) => end,
            () = announce(&self.broker, &self.store, &self.parked) => return,
        };
        match end {
            End::Stopped => {}
            End::Fenced => tracing::warn!(
                epoch = lease.epoch,
                "The position was moved by somebody else; reading it again"
            ),
            End::Moved => served.cancel(),
        }
    }

    async fn project(&self, lease: &Lease, stop: &CancellationToken) -> End {
        let source = Source {
            stream: subjects::INBOX_EVENTS,
            filter: subjects::EVENT_ALL.to_owned(),
            messages_max: BATCH_MAX,
            bytes_max: usize::MAX,
            recreated_pause: RECREATED_PAUSE,
        };
        let mut reader = Batches { projector: self, lease, stop, end: End::Stopped };
        match follow(&self.broker, &source, &mut reader, stop).await {
            runtime::follow::End::Stopped => End::Stopped,
            runtime::follow::End::Lost => reader.end,
        }
    }

    fn report(&self, kinds: &BTreeMap<String, u64>, parked: &[Parked], started: Instant) {
        for (kind, count) in kinds {
            counter!("hookline_projector_events_total", "kind" => kind.clone()).increment(*count);
        }
        histogram!("hookline_projector_batch_seconds").record(started.elapsed().as_secs_f64());
        if !parked.is_empty() {
            self.parked.notify_one();
        }
        for event in parked {
            counter!("hookline_projector_parked_total", "cause" => event.cause).increment(1);
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

/// Stores what is read while the lease is held.
struct Batches<'a> {
    projector: &'a Projector,
    lease: &'a Lease,
    stop: &'a CancellationToken,
    /// Why the last batch did not take effect.
    end: End,
}

impl Reader for Batches<'_> {
    type Error = sqlx::Error;

    async fn position(&mut self) -> sqlx::Result<Position> {
        let position = self.projector.store.leases().position(NAME).await?;
        tracing::info!(
            position = position.seq,
            epoch = self.lease.epoch,
            "Projecting from the stored position"
        );
        gauge!("hookline_projector_position").set(precise(position.seq));
        Ok(position)
    }

    async fn take(&mut self, batch: &[Received], from: u64, to: Position) -> sqlx::Result<Taken> {
        let Projector { store, health, .. } = self.projector;
        let kinds = kinds_of(batch);
        let started = Instant::now();
        // Live events carry their trace on to here; when catching up, a span each would cost more than it tells.
        let spans: Vec<tracing::Span> = batch.iter().take(SPANS_MAX).map(span_of).collect();
        let incoming = batch
            .iter()
            .map(|message| read(message.sequence, &message.subject, &message.payload))
            .collect();
        let from = Position { seq: from, created: to.created };
        match apply_all(store, health, self.lease, from, to, incoming, self.stop).await {
            Ok(parked) => self.projector.report(&kinds, &parked, started),
            Err(end) => {
                self.end = end;
                return Ok(Taken::Lost);
            }
        }
        drop(spans);
        gauge!("hookline_projector_position").set(precise(to.seq));
        Ok(Taken::Yes)
    }

    fn failed(&mut self, error: &sqlx::Error, failures: u32) {
        unavailable(&self.projector.health, "reading the position", error, failures);
    }

    fn recovered(&mut self) {
        self.projector.health.set(CHECK, Ok(()));
    }

    fn lag(&mut self, messages: u64) {
        gauge!("hookline_projector_lag_messages").set(precise(messages));
    }

    fn recreated(&mut self, recreated: &StreamRecreated) {
        // Going on would skip or repeat; the rows stay as they are, and an operator restores the stream.
        tracing::error!(error = %recreated, "Projecting has stopped");
        self.projector.health.set(CHECK, Err(recreated.to_string()));
    }

    fn trusted(&mut self) {
        self.projector.health.set(CHECK, Ok(()));
    }
}

/// Stores a batch. Trouble of the moment is waited out; a batch with something that cannot be stored is halved until the one event
/// stands alone, and that one is parked.
pub(crate) async fn apply_all(
    store: &Store,
    health: &Health,
    lease: &Lease,
    from: Position,
    to: Position,
    batch: Vec<Incoming>,
    stop: &CancellationToken,
) -> Result<Vec<Parked>, End> {
    let mut parked = Vec::new();
    let mut at = from;
    let mut queue: VecDeque<(Position, Vec<Incoming>)> = VecDeque::from([(to, batch)]);
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    let mut patience = Patience::new(STORED_WITHIN, STORED_WITHIN_MAX);
    while let Some((end, mut batch)) = queue.pop_front() {
        match patience.within(store.apply(lease, at, end, batch.clone())).await {
            Ok(applied) => {
                health.set(CHECK, Ok(()));
                backoff.reset();
                parked.extend(applied.parked);
                at = end;
            }
            Err(StoreError::Fenced) => return Err(End::Fenced),
            Err(StoreError::Moved) => return Err(End::Moved),
            Err(StoreError::Database(error))
                if fault(&error) == Fault::TooMuch && batch.len() == 1 =>
            {
                wait(health, "storing one event", &error, &mut backoff, stop)
                    .await
                    .ok_or(End::Stopped)?;
                queue.push_front((end, batch));
            }
            Err(StoreError::Database(error)) if fault(&error) != Fault::Later => {
                if batch.len() > 1 {
                    let second = batch.split_off(batch.len() / 2);
                    let middle = Position {
                        seq: batch.last().map_or(at.seq, |incoming| incoming.seq),
                        created: end.created,
                    };
                    queue.push_front((end, second));
                    queue.push_front((middle, batch));
                } else if let Some(one) = batch.pop() {
                    let one = if one.outcome.is_ok() {
                        not_storable(one, &error)
                    } else {
                        // Not even the parked row can be written: nothing of this event's making.
                        wait(health, "parking an event", &error, &mut backoff, stop)
                            .await
                            .ok_or(End::Stopped)?;
                        one
                    };
                    queue.push_front((end, vec![one]));
                }
            }
            Err(StoreError::Database(error)) => {
                wait(health, "storing events", &error, &mut backoff, stop)
                    .await
                    .ok_or(End::Stopped)?;
                queue.push_front((end, batch));
            }
        }
    }
    Ok(parked)
}

/// Waits before another try and says why, once; `None`: stop.
async fn wait(
    health: &Health,
    doing: &'static str,
    error: &sqlx::Error,
    backoff: &mut Backoff,
    stop: &CancellationToken,
) -> Option<()> {
    let pause = backoff.next(rand::random());
    unavailable(health, doing, error, backoff.attempts());
    stop.run_until_cancelled(tokio::time::sleep(pause)).await
}

/// Reports, once, that Postgres does not serve.
fn unavailable(health: &Health, doing: &'static str, error: &sqlx::Error, failures: u32) {
    if failures == 1 {
        tracing::warn!(doing, error = %describe(error), "Postgres does not take it; trying again until it does");
    }
    health.set(CHECK, Err(format!("{doing}: {}", describe(error))));
}

/// The end of an event's trace: from delivery to the commit of its rows.
fn span_of(message: &Received) -> tracing::Span {
    let span = tracing::info_span!("project", position = message.sequence);
    runtime::telemetry::continue_trace(&span, message.header("traceparent"));
    span
}

/// The cause of events that Postgres does not take.
pub(crate) const NOT_STORABLE: &str = "not_storable";

fn not_storable(one: Incoming, error: &sqlx::Error) -> Incoming {
    let (event_id, kind) = match &one.outcome {
        Ok((arrival, kind)) => (Some(arrival.event_id().to_string()), Some(kind.to_string())),
        Err(parked) => (parked.event_id.clone(), parked.kind.clone()),
    };
    let Incoming { seq, channel, account_id, .. } = one;
    // A label, an index entry and a log line stay short, whatever somebody published.
    let event_id = event_id.map(|id| id.chars().take(64).collect());
    Incoming {
        seq,
        channel,
        account_id: account_id.clone(),
        outcome: Err(Parked {
            seq,
            event_id,
            kind,
            channel,
            account_id,
            cause: NOT_STORABLE,
            detail: describe(error),
        }),
    }
}

/// What a database error says without the values it quotes.
pub(crate) fn describe(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => match error.code() {
            Some(code) => format!("Postgres answered with error {code}"),
            None => "Postgres refused".to_owned(),
        },
        sqlx::Error::Io(_) => "no connection to Postgres".to_owned(),
        sqlx::Error::PoolTimedOut => "no free connection to Postgres in time".to_owned(),
        sqlx::Error::ColumnDecode { index, .. } => {
            format!("column {index} holds what this version cannot read")
        }
        _ => "no connection to Postgres".to_owned(),
    }
}

/// How many of each kind a batch has, by the last token of the subject: ours alone may publish there, but labels stay few anyway.
fn kinds_of(batch: &[Received]) -> BTreeMap<String, u64> {
    let mut kinds = BTreeMap::new();
    for message in batch {
        let name = message.subject.rsplit('.').next().unwrap_or_default().replace('-', ".");
        let known = name.parse::<schemas::Kind>().map_or("other", schemas::Kind::as_str);
        *kinds.entry(known.to_owned()).or_insert(0) += 1;
    }
    kinds
}

#[allow(clippy::cast_precision_loss)] // metrics are floats; positions stay far below 2^53
pub(crate) fn precise(number: u64) -> f64 {
    number as f64
}
