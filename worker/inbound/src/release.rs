//! Tries parked work again, lane by lane in raw order, and publishes copies of it to INBOX_DEAD. One worker at a time does it.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use async_nats::jetstream::Context;
use futures::FutureExt;
use runtime::db::{Patience, within};
use runtime::follow::{Received, stored};
use runtime::notify::Listener;
use runtime::publish::Outgoing;
use runtime::retry;
use runtime::streams::StreamName;
use schemas::subjects;
use tokio_util::sync::CancellationToken;

use crate::failure::{self, Cause};
use crate::normalizer::{FINISH, Inbound};
use crate::parked::{self, ATTEMPTS_MAX, Parked};
use crate::parked_causes::{ParkedCause, parked_by_cause};
use crate::parking::{self, Parking};
use crate::raw_webhook::RawWebhook;
use crate::reading::normalize_safely;
use crate::{effect, lanes, parked_outputs, parked_raws};
use facts::FactError;
use facts::accounts::directory::Directory;
use facts::accounts::refresh;
use facts::eras::{self, Opened};

/// The lease of the worker that releases.
const NAME: &str = "parked";
const POLL: Duration = Duration::from_millis(500);
/// How often parked rows are counted for `/metrics`.
const COUNT_EVERY: Duration = Duration::from_secs(10);
const LANES_AT_ONCE: i64 = 50;
const ACK_WAIT: Duration = Duration::from_secs(5);
/// How long one statement may take: a connection that something in between forgot answers never.
const ROWS_WITHIN: Duration = Duration::from_secs(10);
/// Raw webhooks whose bytes are looked for at once, and how long that may take.
const RAWS_AT_ONCE: i64 = 100;
const BYTES_WITHIN: Duration = Duration::from_secs(60);
/// How long publishing copies may take.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(30);

/// How a try ended.
enum Tried {
    Released,
    Failed(Cause),
}

/// Tries parked work again.
pub(super) struct Release {
    inbound: Inbound,
}

impl Release {
    pub(super) const fn new(inbound: Inbound) -> Self {
        Self { inbound }
    }

    /// Works whenever this worker holds the lease, until `shutdown`.
    pub(super) async fn run(self, shutdown: CancellationToken) {
        let leases = self.inbound.leases.clone();
        let release = &self;
        leases.while_held(NAME, shutdown, |_, stop| async move { release.hold(&stop).await }).await;
    }

    /// Publishes copies and retries beside each other: what INBOX_DEAD does not take holds up no retry.
    async fn hold(&self, stop: &CancellationToken) {
        let finish = async {
            stop.cancelled().await;
            tokio::time::sleep(FINISH).await;
        };
        tokio::select! {
            _ = futures::future::join4(self.publish_copies(stop), self.retry(stop), self.count(stop), self.keep_bytes(stop)) => {}
            () = finish => tracing::warn!("Parked work did not finish in time; what was not committed is tried again"),
        }
    }

    /// Shows how many rows are parked, by cause, while this worker holds the lease.
    async fn count(&self, stop: &CancellationToken) {
        const GAUGE: &str = "hookline_normalize_parked";
        let mut shown: HashSet<String> = HashSet::new();
        while !stop.is_cancelled() {
            let counted = within(ROWS_WITHIN, parked_by_cause(self.inbound.facts.pool())).await;
            if let Ok(causes) = counted {
                let gone = |cause: &&String| causes.iter().all(|row| row.cause != **cause);
                for cause in shown.iter().filter(gone) {
                    metrics::gauge!(GAUGE, "cause" => cause.clone()).set(0.0);
                }
                for ParkedCause { cause, count } in causes {
                    #[allow(clippy::cast_precision_loss)] // a count of rows
                    metrics::gauge!(GAUGE, "cause" => cause.clone()).set(count as f64);
                    shown.insert(cause);
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(COUNT_EVERY) => {}
            }
        }
        for cause in shown {
            metrics::gauge!(GAUGE, "cause" => cause).set(0.0);
        }
    }

    /// Keeps the bytes of rows that a release parked which kept none, as long as META_RAW has them.
    async fn keep_bytes(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let kept = within(BYTES_WITHIN, self.keep_some_bytes()).await;
            let more = *kept.as_ref().unwrap_or(&false);
            if let Err(error) = kept {
                tracing::debug!(error = %format!("{error:#}"), "Bytes of parked work cannot be kept now; trying again");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(if more { Duration::ZERO } else { COUNT_EVERY }) => {}
            }
        }
    }

    /// `true`: there may be more.
    async fn keep_some_bytes(&self) -> anyhow::Result<bool> {
        let pool = self.inbound.facts.pool();
        let Some(known) = eras::current(&mut *pool.acquire().await?, subjects::META_RAW).await?
        else {
            return Ok(false);
        };
        let missing = parked_raws::missing(pool, known.n, RAWS_AT_ONCE).await?;
        if missing.is_empty() || self.open_raw().await?.known.n != known.n {
            return Ok(false);
        }
        for seq in &missing {
            let raw = raw(self.inbound.broker.js(), *seq).await?;
            let raw = raw.as_ref().map(RawWebhook::of);
            parked_raws::keep_late(pool, known.n, *seq, raw.as_ref()).await?;
        }
        Ok(true)
    }

    async fn publish_copies(&self, stop: &CancellationToken) {
        let mut backoff = retry::Backoff::new(POLL, Duration::from_secs(10));
        while !stop.is_cancelled() {
            let pause = match within(PUBLISHED_WITHIN, self.announce()).await {
                Ok(()) => {
                    backoff.reset();
                    POLL
                }
                Err(error) => {
                    metrics::counter!("hookline_normalize_announce_failures_total").increment(1);
                    if backoff.attempts() == 0 {
                        tracing::warn!(error = %format!("{error:#}"), "Copies of parked work do not reach INBOX_DEAD; trying again, and it is released all the same");
                    }
                    backoff.next(rand::random())
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn retry(&self, stop: &CancellationToken) {
        let mut backoff = retry::Backoff::new(POLL, Duration::from_secs(10));
        let mut patience = Patience::default();
        let listener = Listener::start(self.inbound.facts.pool().clone(), parked::CHANNEL);
        while !stop.is_cancelled() {
            let pause = match self.round(&mut patience, stop).await {
                Ok(()) => {
                    backoff.reset();
                    POLL
                }
                Err(error) => {
                    if backoff.attempts() == 0 {
                        tracing::warn!(error = %format!("{error:#}"), "Parked work cannot be tried now; trying again");
                    }
                    backoff.next(rand::random())
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = listener.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn round(&self, patience: &mut Patience, stop: &CancellationToken) -> anyhow::Result<()> {
        let pool = self.inbound.facts.pool();
        let due = within(ROWS_WITHIN, parked::due(pool, LANES_AT_ONCE)).await?;
        if due.is_empty() {
            return Ok(());
        }
        let directory = async { refresh::refresh(&mut *pool.acquire().await?, -1).await };
        let directory = within(ROWS_WITHIN, directory).await?.unwrap_or_default();
        for head in due {
            self.release_lane(head, &directory, patience, stop).await?;
        }
        Ok(())
    }

    /// Releases a lane from its first row on, until one fails or none is left, or until `stop`. An error ends the round: a server is away,
    /// and its lane is not the first of the next.
    async fn release_lane(
        &self,
        head: Parked,
        directory: &Directory,
        patience: &mut Patience,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let pool = self.inbound.facts.pool();
        let lane = head.lane.clone();
        let mut next = Some(head);
        while let Some(row) = next
            && !stop.is_cancelled()
        {
            let attempt = u32::try_from(row.attempts).unwrap_or(0);
            let (min, max) = (self.inbound.retry_min, self.inbound.retry_max);
            let delay = retry::delay(min, max, attempt, rand::random());
            let cause = match patience.within(self.attempt(&row, directory)).await {
                Ok(Tried::Released) => {
                    tracing::info!(lane = %lane, raw.seq = row.raw_seq, "Released parked work");
                    metrics::counter!("hookline_normalize_released_total").increment(1);
                    next = within(ROWS_WITHIN, parked::head(pool, &lane)).await?;
                    continue;
                }
                Ok(Tried::Failed(cause)) => cause,
                Err(error) if failure::passes(&error) => {
                    within(ROWS_WITHIN, parked::reschedule(pool, row.id, delay)).await?;
                    return Err(error);
                }
                Err(error) => failure::unforeseen(&error),
            };
            let delay = (row.attempts + 1 < ATTEMPTS_MAX).then_some(delay);
            within(ROWS_WITHIN, parked::failed_again(pool, row.id, &cause, delay)).await?;
            return Ok(());
        }
        Ok(())
    }

    /// Reads the raw webhook again and carries out what belongs to the row.
    async fn attempt(&self, row: &Parked, directory: &Directory) -> anyhow::Result<Tried> {
        let pool = self.inbound.facts.pool();
        let raw = match parked_raws::kept(pool, row.raw_era, row.raw_seq).await? {
            Some(raw) => raw,
            None => match self.stored(row).await? {
                Ok(raw) => raw,
                Err(cause) => return Ok(Tried::Failed(cause)),
            },
        };
        let (normalized, broken) = normalize_safely(&raw, directory);
        if broken {
            return Ok(Tried::Failed(failure::panicked("the normaliser")));
        }
        let outputs = parked_outputs::of_row(row, normalized);
        if outputs.is_empty() {
            return Ok(Tried::Failed(failure::says_nothing(row.raw_seq)));
        }
        // What is of another lane waits behind what failed there, as when it came.
        let mut held = parking::held(pool, &outputs).await?;
        held.remove(&row.lane);
        let sorted = lanes::sort(outputs, &held);
        let done = AssertUnwindSafe(self.carry_out(row, &raw, sorted)).catch_unwind().await;
        match done {
            Ok(Ok(())) => Ok(Tried::Released),
            Ok(Err(error)) => match failure::cause(&error) {
                Some(cause) => Ok(Tried::Failed(cause)),
                None => Err(error.into()),
            },
            Err(_) => Ok(Tried::Failed(failure::panicked("normalising"))),
        }
    }

    /// The raw webhook as META_RAW has it, for a row that was parked without its bytes. The inner error: it has it no more.
    async fn stored(&self, row: &Parked) -> anyhow::Result<Result<RawWebhook, Cause>> {
        let opened = self.open_raw().await?;
        if row.raw_era != opened.known.n {
            let error = format!(
                "raw webhook {} was in a META_RAW that was lost: another one may have its number now; `hookline redrive discard` gives it up",
                row.raw_seq
            );
            return Ok(Err(Cause { word: "raw_of_another_era".to_owned(), error }));
        }
        let Some(raw) = raw(self.inbound.broker.js(), row.raw_seq).await? else {
            let error = format!(
                "raw webhook {} is no longer in META_RAW; `hookline redrive discard` gives it up",
                row.raw_seq
            );
            return Ok(Err(Cause { word: "raw_gone".to_owned(), error }));
        };
        Ok(Ok(RawWebhook::of(&raw)))
    }

    /// The effect and the end of the row, in one transaction.
    async fn carry_out(
        &self,
        row: &Parked,
        raw: &RawWebhook,
        sorted: lanes::Sorted,
    ) -> Result<(), FactError> {
        let pool = self.inbound.facts.pool();
        let (drafts, hints) =
            effect::hold_edits(pool, sorted.drafts, sorted.hints, &HashSet::new()).await?;
        let behind = Parking::behind(sorted.behind);
        let mut emission = self.inbound.facts.begin(&drafts).await?;
        effect::follow_up(&self.inbound, &mut emission, &hints).await?;
        let (tx, raws) = (&mut emission.tx, std::slice::from_ref(raw));
        if !behind.is_empty() {
            let lanes = behind.iter().filter_map(|behind| behind.lane.as_deref());
            parking::lock(tx, &lanes.chain([row.lane.as_str()]).collect()).await?;
        }
        parking::park(tx, row.shard, row.raw_era, &behind, raws, self.inbound.retry_min).await?;
        parked::released(&mut emission.tx, row.id).await?;
        emission.commit().await?;
        Ok(())
    }

    async fn open_raw(&self) -> anyhow::Result<Opened> {
        eras::open(self.inbound.broker.js(), self.inbound.facts.pool(), StreamName::Raw).await
    }

    /// Publishes a copy of every new or newly failed row; one that is refused holds up no other.
    async fn announce(&self) -> anyhow::Result<()> {
        let pool = self.inbound.facts.pool();
        let rows = parked::unannounced(pool).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let copies = rows.iter().map(copy).collect::<Result<Vec<_>, _>>()?;
        let ends = self.inbound.broker.publish_each(copies, ACK_WAIT).await;
        let published = rows.iter().zip(&ends).filter(|(_, end)| end.is_ok());
        parked::announced(pool, &published.map(|(row, _)| row.id).collect::<Vec<_>>()).await?;
        ends.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(())
    }
}

/// A raw webhook; `None` where it is no longer stored.
async fn raw(js: &Context, sequence: i64) -> anyhow::Result<Option<Received>> {
    Ok(stored::at(js, subjects::META_RAW, u64::try_from(sequence)?).await?)
}

fn copy(row: &Parked) -> Result<Outgoing, serde_json::Error> {
    Ok(Outgoing {
        subject: subjects::dead("normalize", row.channel, row.account_id.as_str()),
        id: format!("parked/{}/{}", row.id, row.attempts),
        headers: async_nats::HeaderMap::new(),
        payload: serde_json::to_vec(&serde_json::json!({ "stage": "normalize", "parked": row }))?
            .into(),
    })
}
