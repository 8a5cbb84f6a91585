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
use crate::output::Output;
use crate::parked::{self, ATTEMPTS_MAX, Parked, Parking};
use crate::parked_causes::{ParkedCause, parked_by_cause};
use crate::reading::normalize_safely;
use crate::{effect, lanes};
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
            _ = futures::future::join3(self.publish_copies(stop), self.retry(stop), self.count(stop)) => {}
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

    /// Reads the raw webhook again and carries out what belongs to the lane.
    async fn attempt(&self, row: &Parked, directory: &Directory) -> anyhow::Result<Tried> {
        let opened = self.open_raw().await?;
        if row.raw_era != opened.known.n {
            let error = format!(
                "raw webhook {} was in a META_RAW that was lost: another one may have its number now; `hookline redrive discard` gives it up",
                row.raw_seq
            );
            return Ok(Tried::Failed(Cause { word: "raw_of_another_era".to_owned(), error }));
        }
        let Some(raw) = raw(self.inbound.broker.js(), row.raw_seq).await? else {
            let error = format!(
                "raw webhook {} is no longer in META_RAW; `hookline redrive discard` gives it up",
                row.raw_seq
            );
            return Ok(Tried::Failed(Cause { word: "raw_gone".to_owned(), error }));
        };
        let (normalized, broken) = normalize_safely(&raw, directory);
        if broken {
            return Ok(Tried::Failed(failure::panicked("the normaliser")));
        }
        let whole = row.lane == lanes::lane_of_raw(raw.sequence, row.raw_era);
        let belongs = |output: &Output| match output {
            Output::Fact(draft) => whole || lanes::lane(&draft.event) == row.lane,
            Output::Senderless(_) => whole,
        };
        let outputs = normalized.outputs.into_iter().filter(belongs);
        // A whole raw webhook waits behind what failed in its lanes, as when it came.
        let held = match whole {
            true => {
                let mut conn = self.inbound.facts.pool().acquire().await?;
                parked::held(&mut conn, row.shard).await?
            }
            false => HashSet::new(),
        };
        let sorted = lanes::sort(outputs.map(|output| (raw.sequence, output)).collect(), &held);
        let done = AssertUnwindSafe(self.carry_out(row, sorted)).catch_unwind().await;
        match done {
            Ok(Ok(())) => Ok(Tried::Released),
            Ok(Err(error)) => match failure::cause(&error) {
                Some(cause) => Ok(Tried::Failed(cause)),
                None => Err(error.into()),
            },
            Err(_) => Ok(Tried::Failed(failure::panicked("normalising"))),
        }
    }

    /// The effect and the end of the row, in one transaction.
    async fn carry_out(&self, row: &Parked, sorted: lanes::Sorted) -> Result<(), FactError> {
        let pool = self.inbound.facts.pool();
        let (drafts, hints) =
            effect::hold_edits(pool, sorted.drafts, sorted.hints, &HashSet::new()).await?;
        let behind = Parking::behind(sorted.behind);
        let mut emission = self.inbound.facts.begin(&drafts).await?;
        effect::follow_up(&self.inbound, &mut emission, &hints).await?;
        parked::park(&mut emission.tx, row.shard, &behind, self.inbound.retry_min).await?;
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
