//! One shard of META_RAW while its lease is held: read, normalise, publish, and record in one transaction with the position.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use runtime::db::{self, Patience};
use runtime::follow::{End, Reader, Received, Source, StreamRecreated, Taken, follow};
use runtime::lease::{Lease, Position};
use runtime::streams::{Era, StreamName};
use schemas::{Fact, Kind, subjects};
use tokio_util::sync::CancellationToken;

use crate::failure::{self, Cause};
use crate::normalizer::{BATCH_BYTES_MAX, CHECK, Inbound};
use crate::parking::{self, Parking};
use crate::raw_webhook::{RawWebhook, at_first};
use crate::reading::{self, Read};
use crate::{effect, lanes};
use facts::accounts::directory::Directory;
use facts::accounts::refresh::refresh;
use facts::eras;
use facts::follow_up::senderless::Senderless;
use facts::{Draft, Emission, FactError, Published};

/// Raw webhooks taken at once, when so many are there.
pub const BATCH_MAX: usize = 200;

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

    /// Works until `stop`, or until another worker holds the shard. What was not committed is read again by its next holder.
    pub(super) async fn run(mut self, stop: &CancellationToken) {
        let source = Source {
            stream: subjects::META_RAW,
            filter: subjects::raw_shard_filter(self.number),
            messages_max: BATCH_MAX,
            bytes_max: BATCH_BYTES_MAX,
        };
        let broker = self.inbound.broker.clone();
        if follow(&broker, &source, &mut self, stop).await == End::Lost {
            tracing::warn!(shard = %self.label, "The shard is somebody else's now; letting go");
        }
        // Whoever has the shard next reports what it meets.
        self.inbound.health.set(CHECK, Ok(()));
    }

    /// Takes some raw webhooks. Where something in them can never be carried out, smaller and smaller parts are taken until what fails
    /// stands alone; that is parked, with its lane behind it, and everything else flows.
    async fn take_or_park(
        &mut self,
        batch: &[Received],
        era: Option<Era>,
    ) -> Result<Taken, FactError> {
        // A list and no recursion: each level of polled futures would lie on the stack of the thread at once.
        let mut parts = vec![batch];
        while let Some(part) = parts.pop() {
            let taken = match self.try_to_take(part, era).await? {
                Ok(taken) => taken,
                Err(cause) => match part {
                    [] => Taken::Yes,
                    [raw] => Box::pin(self.take_apart(raw, era, &cause)).await?,
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
        era: Option<Era>,
    ) -> Result<Result<Taken, Cause>, FactError> {
        let mut patience = self.patience;
        let taken = AssertUnwindSafe(Box::pin(self.take(batch, era))).catch_unwind();
        let taken = patience.within(async { Ok::<_, FactError>(taken.await) }).await;
        self.patience = patience;
        match taken? {
            Ok(Ok(taken)) => Ok(Ok(taken)),
            Ok(Err(error)) => failure::cause(&error).map(Err).ok_or(error),
            Err(_) => Ok(Err(failure::panicked("normalising"))),
        }
    }

    /// Takes some raw webhooks: all of their effects and the position, or nothing.
    async fn take(&mut self, batch: &[Received], era: Option<Era>) -> Result<Taken, FactError> {
        let Some(last) = batch.last() else { return Ok(Taken::Yes) };
        let began = Instant::now();
        self.refresh_accounts().await?;
        let raws = at_first(batch);
        let Read { outputs, mut parking } = reading::read(&raws, &self.accounts).await;
        let pool = self.inbound.facts.pool();
        let held = parking::held(pool, &outputs).await?;
        let sorted = lanes::sort(outputs, &held);
        parking.extend(Parking::behind(sorted.behind));
        let (drafts, hints) =
            effect::hold_edits(pool, sorted.drafts, sorted.hints, &HashSet::new()).await?;
        let to = last.position(era);
        runtime::failpoint!("inbound.before_publish");
        let leases = &self.inbound.leases;
        let begin = || async {
            runtime::failpoint!("inbound.after_publish");
            leases.begin_derived().await
        };
        let mut emission = self.inbound.facts.begin_in(&drafts, begin).await?;
        effect::follow_up(self.inbound, &mut emission, &hints).await?;
        let Emission { tx, published } = emission;
        if !self.finish(tx, &raws, &parking, to).await? {
            return Ok(Taken::Lost);
        }
        self.position = last.sequence;
        count(batch.len(), &published, began.elapsed());
        Ok(Taken::Yes)
    }

    /// Takes one raw webhook of which something can never be carried out: each of its lanes on its own, and parks those that fail.
    /// Effects before the last transaction are repeated after a crash; facts make that harmless.
    async fn take_apart(
        &mut self,
        raw: &Received,
        era: Option<Era>,
        cause: &Cause,
    ) -> Result<Taken, FactError> {
        self.refresh_accounts().await?;
        let raws = at_first(std::slice::from_ref(raw));
        let first = raws.first().map_or(raw.sequence, |raw| raw.sequence);
        let Read { outputs, mut parking } = reading::read(&raws, &self.accounts).await;
        let held = parking::held(self.inbound.facts.pool(), &outputs).await?;
        let sorted = lanes::sort(outputs, &held);
        parking.extend(Parking::behind(sorted.behind));
        for (lane, drafts) in lanes::by_lane(sorted.drafts) {
            let events = lanes::Behind::of(&drafts);
            if let Err(cause) = self.emit(&drafts, &[]).await? {
                tracing::error!(shard = %self.label, raw.seq = raw.sequence, cause = %cause.word,
                    "Parked a conversation: an event of raw webhook {} cannot be carried out", raw.sequence);
                let (raw_seq, lane, cause) = (first, Some(lane), Some(cause));
                parking.push(Parking { raw_seq, lane, events, cause });
            }
        }
        if self.emit(&[], &sorted.hints).await?.is_err() {
            parking.push(Parking::of_raw(first, cause.clone()));
        }
        let tx = self.inbound.leases.begin().await?;
        let to = raw.position(era);
        if !self.finish(tx, &raws, &parking, to).await? {
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
            Ok(Err(error)) => failure::cause(&error).map(Err).ok_or(error),
            Err(_) => Ok(Err(failure::panicked("normalising"))),
        }
    }

    /// Parks, moves the position and commits. `false`: another worker holds the shard, nothing was done.
    async fn finish(
        &self,
        mut tx: sqlx::Transaction<'static, sqlx::Postgres>,
        batch: &[Received],
        parking: &[Parking],
        to: Position,
    ) -> Result<bool, FactError> {
        if !parking.is_empty() {
            let known = eras::current(&mut *tx, subjects::META_RAW).await?;
            let era = known.map_or(0, |known| known.n);
            let of_row = |raw: &&Received| parking.iter().any(|row| row.raw_seq == raw.sequence);
            let raws: Vec<RawWebhook> = batch.iter().filter(of_row).map(RawWebhook::of).collect();
            let wait = self.inbound.retry_min;
            parking::park(&mut tx, self.number, era, parking, &raws, wait).await?;
        }
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

    /// Reads the accounts anew where they changed.
    async fn refresh_accounts(&mut self) -> Result<(), FactError> {
        let mut conn = self.inbound.facts.pool().acquire().await?;
        if let Some(accounts) = refresh(&mut conn, self.accounts.version()).await? {
            self.accounts = Arc::new(accounts);
        }
        Ok(())
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
        // Parts of a batch that was halved may have been committed: they are skipped when the batch is retried.
        let done = batch.partition_point(|raw| raw.sequence <= self.position);
        self.take_or_park(&batch[done..], to.era).await
    }

    fn failed(&mut self, error: &FactError, failures: u32) {
        if failures == 1 {
            tracing::warn!(shard = %self.label, error = %chain(error), "Normalising waits; trying again");
        }
        if let FactError::Database(error) = error {
            db::report(&self.inbound.health, CHECK, error, failures);
        }
    }

    fn recovered(&mut self) {
        tracing::info!(shard = %self.label, "Normalising goes on");
        self.inbound.health.set(CHECK, Ok(()));
    }

    fn lag(&mut self, messages: u64) {
        #[allow(clippy::cast_precision_loss)] // a count of messages
        metrics::gauge!("hookline_normalize_lag_messages", "shard" => self.label.clone())
            .set(messages as f64);
    }

    fn recreated(&mut self, recreated: &StreamRecreated) {
        metrics::counter!("hookline_normalize_stream_recreated_total", "shard" => self.label.clone()).increment(1);
        tracing::error!(shard = %self.label, error = %recreated, "Normalising stopped: it would skip or repeat raw webhooks");
        metrics::gauge!("hookline_normalize_lag_messages", "shard" => self.label.clone())
            .set(f64::NAN);
    }

    async fn put_back(&mut self, stored: Position) -> Result<Taken, FactError> {
        Ok(eras::read_again(&self.inbound.leases, self.lease, StreamName::Raw, stored).await?)
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
