//! One shard of META_RAW while its lease is held: read, normalise, publish, and record in one transaction with the position.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use runtime::db::Patience;
use runtime::follow::{
    End, RECREATED_PAUSE, Reader, Received, Source, StreamRecreated, Taken, follow,
};
use runtime::lease::{Lease, Position};
use schemas::raw::{RawMeta, header};
use schemas::{Fact, Kind, Timestamp, subjects};
use tokio_util::sync::CancellationToken;

use super::Inbound;
use super::normalize::{normalize, unreadable};
use super::output::{Normalized, Output};
use super::parked::{self, Cause, Parking};
use super::{effect, lanes};
use facts::accounts::directory::Directory;
use facts::accounts::refresh::refresh;
use facts::follow_up::senderless::Senderless;
use facts::{Draft, FactError, Published};

/// Raw webhooks taken at once, when so many are there.
const BATCH_MAX: usize = 200;
/// Bytes of raw webhooks that go into one transaction.
pub(super) const BATCH_BYTES_MAX: usize = 2 << 20;
/// From so many bytes on, raw webhooks are read beside the task that also renews the lease.
const HEAVY_BYTES: usize = 128 << 10;

/// The work on one shard.
pub(super) struct Shard<'a> {
    inbound: &'a Inbound,
    lease: &'a Lease,
    number: u32,
    label: String,
    accounts: Arc<Directory>,
    position: u64,
    patience: Patience,
}

impl<'a> Shard<'a> {
    pub(super) fn new(inbound: &'a Inbound, lease: &'a Lease, number: u32) -> Self {
        Self {
            inbound,
            lease,
            number,
            label: format!("{number:02}"),
            // No version is negative: the first batch reads the accounts.
            accounts: Arc::new(Directory::new(-1, Vec::new())),
            position: 0,
            patience: Patience::default(),
        }
    }

    /// Works until `stop`, or until the shard turns out to be somebody else's. What was not committed comes again.
    pub(super) async fn run(mut self, stop: &CancellationToken) {
        let source = Source {
            stream: subjects::META_RAW,
            filter: subjects::raw_shard_filter(self.number),
            messages_max: BATCH_MAX,
            bytes_max: BATCH_BYTES_MAX,
            recreated_pause: RECREATED_PAUSE,
        };
        let broker = self.inbound.broker.clone();
        if follow(&broker, &source, &mut self, stop).await == End::Lost {
            tracing::warn!(shard = %self.label, "The shard is somebody else's now; letting go");
        }
    }

    /// Takes some raw webhooks. Where something in them can never be carried out, smaller and smaller parts are taken until what fails
    /// stands alone; that is parked, with its lane behind it, and everything else flows.
    async fn take_or_park(
        &mut self,
        batch: &[Received],
        created: Option<Timestamp>,
    ) -> Result<Taken, FactError> {
        // A list and no recursion: each level of polled futures would lie on the stack of the thread at once.
        let mut parts = vec![batch];
        while let Some(part) = parts.pop() {
            let taken = match self.try_to_take(part, created).await? {
                Ok(taken) => taken,
                Err(cause) => match part {
                    [] => Taken::Yes,
                    [raw] => Box::pin(self.take_apart(raw, created, &cause)).await?,
                    _ => {
                        let (first, second) = part.split_at(part.len() / 2);
                        parts.extend([second, first]);
                        continue;
                    }
                },
            };
            if taken == Taken::Lost {
                return Ok(Taken::Lost);
            }
        }
        Ok(Taken::Yes)
    }

    /// The inner error will not go away by itself.
    async fn try_to_take(
        &mut self,
        batch: &[Received],
        created: Option<Timestamp>,
    ) -> Result<Result<Taken, Cause>, FactError> {
        let mut patience = self.patience;
        let taken = AssertUnwindSafe(Box::pin(self.take(batch, created))).catch_unwind();
        let taken = patience.within(async { Ok::<_, FactError>(taken.await) }).await;
        self.patience = patience;
        match taken? {
            Ok(Ok(taken)) => Ok(Ok(taken)),
            Ok(Err(error)) => parked::cause(&error).map(Err).ok_or(error),
            Err(_) => Ok(Err(parked::panicked("normalising"))),
        }
    }

    /// Takes some raw webhooks: all of their effects and the position, or nothing.
    async fn take(
        &mut self,
        batch: &[Received],
        created: Option<Timestamp>,
    ) -> Result<Taken, FactError> {
        let Some(last) = batch.last() else { return Ok(Taken::Yes) };
        let began = Instant::now();
        let held = self.prepare().await?;
        let Read { outputs, mut parking } = self.read(batch).await;
        let sorted = lanes::sort(outputs, &held);
        parking.extend(Parking::behind(sorted.behind));
        let pool = self.inbound.facts.pool();
        let (drafts, hints) =
            effect::hold_edits(pool, sorted.drafts, sorted.hints, &HashSet::new()).await?;
        let to = Position { seq: last.sequence, created };
        let published = loop {
            runtime::failpoint!("inbound.before_publish");
            let published = self.inbound.facts.publish(&drafts).await?;
            runtime::failpoint!("inbound.after_publish");
            let mut tx = self.inbound.leases.begin().await?;
            match effect::record(self.inbound, &mut tx, &published, &hints).await {
                Ok(()) => {}
                Err(FactError::Conflict { .. }) => {
                    tx.rollback().await?;
                    continue;
                }
                Err(error) => return Err(error),
            }
            if !self.finish(tx, &parking, to).await? {
                return Ok(Taken::Lost);
            }
            break published;
        };
        self.position = last.sequence;
        count(batch.len(), &published, began.elapsed());
        Ok(Taken::Yes)
    }

    /// Takes one raw webhook of which something can never be carried out: each of its lanes on its own, and parks those that fail.
    /// Effects before the last transaction are repeated after a crash; facts make that harmless.
    async fn take_apart(
        &mut self,
        raw: &Received,
        created: Option<Timestamp>,
        cause: &Cause,
    ) -> Result<Taken, FactError> {
        let held = self.prepare().await?;
        let Read { outputs, mut parking } = self.read(std::slice::from_ref(raw)).await;
        let sorted = lanes::sort(outputs, &held);
        parking.extend(Parking::behind(sorted.behind));
        for (lane, drafts) in lanes::by_lane(sorted.drafts) {
            let events = lanes::Behind::of(&drafts);
            if let Err(cause) = self.emit(&drafts, &[]).await? {
                tracing::error!(shard = %self.label, raw.seq = raw.sequence, cause = %cause.word,
                    "Parked a conversation: an event of raw webhook {} cannot be carried out", raw.sequence);
                parking.push(Parking { raw_seq: raw.sequence, lane, events, cause: Some(cause) });
            }
        }
        if self.emit(&[], &sorted.hints).await?.is_err() {
            parking.push(parked::unreadable(raw.sequence, cause.clone()));
        }
        let tx = self.inbound.leases.begin().await?;
        let to = Position { seq: raw.sequence, created };
        if !self.finish(tx, &parking, to).await? {
            return Ok(Taken::Lost);
        }
        self.position = raw.sequence;
        Ok(Taken::Yes)
    }

    /// Publishes and records some drafts with all that belongs to them. The inner error will not go away by itself.
    async fn emit(
        &self,
        drafts: &[Draft],
        hints: &[Senderless],
    ) -> Result<Result<(), Cause>, FactError> {
        match AssertUnwindSafe(effect::carry_out(self.inbound, drafts, hints)).catch_unwind().await
        {
            Ok(Ok(())) => Ok(Ok(())),
            Ok(Err(error)) => parked::cause(&error).map(Err).ok_or(error),
            Err(_) => Ok(Err(parked::panicked("normalising"))),
        }
    }

    /// Parks, moves the position and commits. `false`: the shard is somebody else's, nothing was done.
    async fn finish(
        &self,
        mut tx: sqlx::Transaction<'static, sqlx::Postgres>,
        parking: &[Parking],
        to: Position,
    ) -> Result<bool, FactError> {
        parked::park(&mut tx, self.number, parking, self.inbound.retry_min).await?;
        let leases = &self.inbound.leases;
        runtime::failpoint!("inbound.before_position");
        let moved = leases
            .move_position(&mut tx, self.lease, subjects::META_RAW, self.position, to)
            .await?;
        if !moved {
            tx.rollback().await?;
            return Ok(false);
        }
        runtime::failpoint!("inbound.before_commit");
        tx.commit().await?;
        runtime::failpoint!("inbound.after_commit");
        if !parking.is_empty() {
            metrics::counter!("hookline_normalize_parked_total").increment(parking.len() as u64);
        }
        Ok(true)
    }

    /// Reads the accounts anew where they changed, and which lanes are held.
    async fn prepare(&mut self) -> Result<HashSet<String>, FactError> {
        let mut conn = self.inbound.facts.pool().acquire().await?;
        if let Some(accounts) = refresh(&mut conn, self.accounts.version()).await? {
            self.accounts = Arc::new(accounts);
        }
        Ok(parked::held(&mut conn, self.number).await?)
    }

    async fn read(&self, batch: &[Received]) -> Read {
        if batch.iter().map(|raw| raw.payload.len()).sum::<usize>() < HEAVY_BYTES {
            return read(batch, &self.accounts);
        }
        let (batch, accounts, span) =
            (batch.to_vec(), self.accounts.clone(), tracing::Span::current());
        let reading =
            tokio::task::spawn_blocking(move || span.in_scope(|| read(&batch, &accounts)));
        match reading.await {
            Ok(read) => read,
            // The normaliser's own panics are caught below; this one parks what it was about, as in this task.
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The process ends.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Reader for Shard<'_> {
    type Error = FactError;

    async fn position(&mut self) -> Result<Position, FactError> {
        let stored = self.inbound.leases.position(&self.lease.name).await?;
        self.position = stored.seq;
        Ok(stored)
    }

    async fn take(&mut self, batch: &[Received], _: u64, to: Position) -> Result<Taken, FactError> {
        // A batch that comes again after it was halved begins behind what took effect of it.
        let done = batch.partition_point(|raw| raw.sequence <= self.position);
        self.take_or_park(&batch[done..], to.created).await
    }

    fn failed(&mut self, error: &FactError, failures: u32) {
        if failures == 1 {
            tracing::warn!(shard = %self.label, error = %chain(error), "Normalising waits; trying again");
        }
    }

    fn recovered(&mut self) {
        tracing::info!(shard = %self.label, "Normalising goes on");
    }

    fn lag(&mut self, messages: u64) {
        #[allow(clippy::cast_precision_loss)] // a count of messages
        metrics::gauge!("hookline_normalize_lag_messages", "shard" => self.label.clone())
            .set(messages as f64);
    }

    fn recreated(&mut self, recreated: &StreamRecreated) {
        metrics::counter!("hookline_normalize_stream_recreated_total", "shard" => self.label.clone()).increment(1);
        tracing::error!(shard = %self.label, error = %recreated, "Normalising stopped: it would skip or repeat raw webhooks");
    }
}

fn read(batch: &[Received], accounts: &Directory) -> Read {
    let mut read = Read::default();
    for raw in batch {
        let (normalized, broken) = normalize_safely(raw, accounts);
        read.outputs.extend(normalized.outputs.into_iter().map(|output| (raw.sequence, output)));
        if broken {
            let cause = parked::panicked("the normaliser");
            read.parking.push(parked::unreadable(raw.sequence, cause));
        }
    }
    read
}

/// What some raw webhooks say.
#[derive(Default)]
struct Read {
    /// With the position of each one's raw webhook.
    outputs: Vec<(u64, Output)>,
    /// Those that nobody can read.
    parking: Vec<Parking>,
}

/// A raw webhook that makes the normaliser panic is reported, parked, and holds up nobody. `true`: it did.
pub(super) fn normalize_safely(raw: &Received, accounts: &Directory) -> (Normalized, bool) {
    let meta = raw_meta(raw);
    let span = tracing::info_span!("normalize", raw.seq = raw.sequence);
    runtime::telemetry::continue_trace(&span, meta.traceparent.as_deref());
    let _entered = span.enter();
    match catch_unwind(AssertUnwindSafe(|| normalize(&raw.payload, &meta, accounts))) {
        Ok(normalized) => (super::mutate::changed(normalized), false),
        Err(_) => {
            tracing::error!(
                raw.seq = raw.sequence,
                "The normaliser failed on raw webhook {}: keep its bytes, they show a bug; `hookline redrive` reads it again",
                raw.sequence
            );
            (unreadable(&raw.payload, &meta), true)
        }
    }
}

/// What ingest stored beside the bytes.
pub(super) fn raw_meta(raw: &Received) -> RawMeta {
    let text = |name: &str| raw.header(name).map(str::to_owned);
    RawMeta {
        stream_sequence: raw.sequence,
        received_at: raw
            .header(header::RECEIVED_AT)
            .and_then(|time| time.parse().ok())
            .unwrap_or(raw.stored_at),
        secret: text(header::SECRET),
        path: text(header::PATH),
        traceparent: text(header::TRACEPARENT),
    }
}

fn count(raws: usize, published: &Published, took: Duration) {
    metrics::counter!("hookline_normalize_raw_total").increment(raws as u64);
    metrics::histogram!("hookline_normalize_batch_seconds").record(took.as_secs_f64());
    let duplicates = published
        .known
        .iter()
        .filter(|draft| draft.event.kind() != Kind::ContactDiscovered)
        .count();
    metrics::counter!("hookline_normalize_duplicates_total").increment(duplicates as u64);
    for event in published.events() {
        metrics::counter!("hookline_normalize_events_total", "kind" => event.kind().as_str())
            .increment(1);
        if let Fact::WebhookUnrecognized(shape) = &event.data.fact {
            metrics::counter!("hookline_normalize_unrecognized_total", "reason" => shape.reason.clone()).increment(1);
        }
    }
}

/// An error with its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(sequence: u64, bytes: usize) -> Received {
        Received {
            sequence,
            subject: "meta.v1.raw.any.00".to_owned(),
            headers: async_nats::HeaderMap::new(),
            payload: vec![b' '; bytes].into(),
            stored_at: Timestamp::from_millis(5),
            pending: 0,
        }
    }

    #[test]
    fn headers_tell_when_and_by_whom_and_may_be_missing() {
        let mut message = raw(7, 1);
        assert_eq!(raw_meta(&message).received_at, Timestamp::from_millis(5));
        message.headers.insert(header::RECEIVED_AT, "2026-11-18T11:10:00.007Z");
        message.headers.insert(header::SECRET, "shop");
        let meta = raw_meta(&message);
        assert_eq!(
            (meta.received_at.as_millis(), meta.secret.as_deref()),
            (1_795_000_200_007, Some("shop"))
        );
    }
}
