//! Trying parked work again, lane by lane in raw order, and telling INBOX_DEAD about it. One worker at a time does it.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use runtime::follow::Received;
use runtime::publish::Outgoing;
use runtime::retry;
use schemas::{Channel, Timestamp, subjects};
use sqlx::postgres::PgListener;
use tokio_util::sync::CancellationToken;

use super::output::Output;
use super::parked::{self, ATTEMPTS_MAX, Cause, Parked};
use super::shard::normalize_safely;
use super::{Inbound, accounts, effect, lanes};
use crate::accounts::directory::Directory;
use crate::facts::{Draft, FactError};

/// The lease of whoever releases.
const NAME: &str = "parked";
const POLL: Duration = Duration::from_millis(500);
const LANES_AT_ONCE: i64 = 50;
const ACK_WAIT: Duration = Duration::from_secs(5);

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

    async fn hold(&self, stop: &CancellationToken) {
        let mut backoff = retry::Backoff::new(POLL, Duration::from_secs(10));
        let mut bell = None;
        loop {
            let pause = match self.round().await {
                Ok(()) => {
                    backoff.reset();
                    POLL
                }
                Err(error) => {
                    tracing::debug!(error = %format!("{error:#}"), "Parked work cannot be tried now");
                    backoff.next(rand::random())
                }
            };
            if bell.is_none() {
                bell = listen(self.inbound.facts.pool()).await;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = rung(&mut bell) => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn round(&self) -> anyhow::Result<()> {
        let pool = self.inbound.facts.pool();
        self.announce().await?;
        let due = parked::due(pool, LANES_AT_ONCE).await?;
        if due.is_empty() {
            return Ok(());
        }
        let mut conn = pool.acquire().await?;
        let directory = accounts::refresh(&mut conn, -1).await?.unwrap_or_default();
        drop(conn);
        for head in due {
            self.release_lane(head, &directory).await?;
        }
        Ok(())
    }

    /// Releases a lane from its first row on, until one fails or none is left.
    async fn release_lane(&self, head: Parked, directory: &Directory) -> anyhow::Result<()> {
        let pool = self.inbound.facts.pool();
        let lane = head.lane.clone();
        let mut next = Some(head);
        while let Some(row) = next {
            match self.attempt(&row, directory).await? {
                Tried::Released => {
                    tracing::info!(lane = %lane, raw.seq = row.raw_seq, "Released parked work");
                    metrics::counter!("hookline_normalize_released_total").increment(1);
                }
                Tried::Failed(cause) => {
                    let attempt = u32::try_from(row.attempts).unwrap_or(0);
                    let delay = retry::delay(
                        self.inbound.retry_min,
                        self.inbound.retry_max,
                        attempt,
                        rand::random(),
                    );
                    let delay = (row.attempts + 1 < ATTEMPTS_MAX).then_some(delay);
                    parked::failed_again(pool, row.id, &cause, delay).await?;
                    return Ok(());
                }
            }
            next = parked::head(pool, &lane).await?;
        }
        Ok(())
    }

    /// Reads the raw webhook again and carries out what belongs to the lane. An error is one that passes.
    async fn attempt(&self, row: &Parked, directory: &Directory) -> anyhow::Result<Tried> {
        let Some(raw) = self.raw(row.raw_seq).await? else {
            let error = format!(
                "raw webhook {} is no longer in META_RAW; `hookline redrive discard` gives it up",
                row.raw_seq
            );
            return Ok(Tried::Failed(Cause { word: "raw_gone".to_owned(), error }));
        };
        let (normalized, broken) = normalize_safely(&raw, directory);
        if broken {
            return Ok(Tried::Failed(parked::panicked("the normaliser")));
        }
        let whole = row.lane == lanes::lane_of_raw(raw.sequence);
        let (mut drafts, mut hints) = (Vec::new(), Vec::new());
        for output in normalized.outputs {
            match output {
                Output::Fact(draft) if whole || lanes::lane(&draft.event) == row.lane => {
                    drafts.push(draft)
                }
                Output::Senderless(hint) if whole => hints.push(hint),
                _ => {}
            }
        }
        let done = AssertUnwindSafe(self.carry_out(row, &drafts, &hints)).catch_unwind().await;
        match done {
            Ok(Ok(())) => Ok(Tried::Released),
            Ok(Err(error)) => match parked::cause(&error) {
                Some(cause) => Ok(Tried::Failed(cause)),
                None => Err(error.into()),
            },
            Err(_) => Ok(Tried::Failed(parked::panicked("normalising"))),
        }
    }

    /// The effect and the end of the row, in one transaction.
    async fn carry_out(
        &self,
        row: &Parked,
        drafts: &[Draft],
        hints: &[super::output::Senderless],
    ) -> Result<(), FactError> {
        let pool = self.inbound.facts.pool();
        let (drafts, hints) = effect::hold_edits(pool, drafts.to_vec(), hints.to_vec()).await?;
        loop {
            let published = self.inbound.facts.publish(&drafts).await?;
            let mut tx = pool.begin().await?;
            match effect::record(&self.inbound, &mut tx, &published, &hints).await {
                Ok(()) => {
                    parked::released(&mut tx, row.id).await?;
                    tx.commit().await?;
                    return Ok(());
                }
                Err(FactError::Conflict { .. }) => tx.rollback().await?,
                Err(error) => return Err(error),
            }
        }
    }

    async fn raw(&self, sequence: i64) -> anyhow::Result<Option<Received>> {
        use async_nats::jetstream::stream::RawMessageErrorKind;
        let sequence = u64::try_from(sequence)?;
        let stream = self.inbound.broker.js().get_stream_no_info(subjects::META_RAW).await?;
        match stream.get_raw_message(sequence).await {
            Ok(message) => Ok(Some(Received {
                sequence,
                subject: message.subject.to_string(),
                headers: message.headers,
                payload: message.payload,
                stored_at: Timestamp::from_millis(
                    i64::try_from(message.time.unix_timestamp_nanos() / 1_000_000).unwrap_or(0),
                ),
                pending: 0,
            })),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Publishes a copy of every new or newly failed row.
    async fn announce(&self) -> anyhow::Result<()> {
        let pool = self.inbound.facts.pool();
        let rows = parked::unannounced(pool).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let copies = rows.iter().map(copy).collect::<Result<Vec<_>, _>>()?;
        self.inbound.broker.publish_all(copies, ACK_WAIT).await?;
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        parked::announced(pool, &ids).await?;
        Ok(())
    }
}

fn copy(row: &Parked) -> Result<Outgoing, serde_json::Error> {
    let channel = row.channel.as_deref().and_then(|channel| channel.parse::<Channel>().ok());
    Ok(Outgoing {
        subject: subjects::dead("normalize", channel, &row.account_id),
        id: format!("parked/{}/{}", row.id, row.attempts),
        headers: async_nats::HeaderMap::new(),
        payload: serde_json::to_vec(&serde_json::json!({ "stage": "normalize", "parked": row }))?
            .into(),
    })
}

async fn listen(pool: &sqlx::PgPool) -> Option<PgListener> {
    let mut listener = PgListener::connect_with(pool).await.ok()?;
    listener.listen("worker_parked").await.ok()?;
    Some(listener)
}

/// Waits for the bell; for ever where there is none.
async fn rung(bell: &mut Option<PgListener>) {
    let Some(listener) = bell else { return std::future::pending().await };
    if listener.recv().await.is_err() {
        *bell = None;
    }
}
