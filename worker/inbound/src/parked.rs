//! The table of parked work: who is held, who waits behind, and what an operator may do about it (docs/contract.md 9).
//!
//! Rows are written in the transaction that moves the shard's position, so parking is as durable as normalising.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use facts::eras;
use schemas::{AccountId, Channel, ConversationId, EventId, Timestamp, subjects};
use sqlx::{FromRow, PgConnection, PgExecutor, PgPool};

use crate::failure::Cause;
use crate::lanes::{self, Behind};

/// Notified when parked lanes are to be tried at once.
pub(super) const CHANNEL: &str = "worker_parked";
/// Tries after which parked work waits for an operator.
pub(super) const ATTEMPTS_MAX: i32 = 20;
/// Longest error text that is kept.
const ERROR_MAX: usize = 500;

/// A row to park.
#[derive(Clone, Debug)]
pub(super) struct Parking {
    pub raw_seq: u64,
    /// `None`: of a whole raw webhook.
    pub lane: Option<String>,
    /// What the raw webhook says in the lane, where it could be read.
    pub events: Option<Behind>,
    /// Why, for the one that failed; the others wait behind.
    pub cause: Option<Cause>,
}

impl Parking {
    /// A raw webhook that cannot be read, in a lane of its own.
    pub(super) fn of_raw(raw_seq: u64, cause: Cause) -> Self {
        Self { raw_seq, lane: None, events: None, cause: Some(cause) }
    }

    /// Rows for what waits behind a failure.
    pub(super) fn behind(behind: BTreeMap<(u64, String), Behind>) -> Vec<Self> {
        behind
            .into_iter()
            .map(|((raw_seq, lane), events)| Self {
                raw_seq,
                lane: Some(lane),
                events: Some(events),
                cause: None,
            })
            .collect()
    }
}

/// The held lanes of a shard.
pub(super) async fn held(conn: &mut PgConnection, shard: u32) -> sqlx::Result<HashSet<String>> {
    let lanes: Vec<String> =
        sqlx::query_scalar("select distinct lane from worker.parked where shard = $1")
            .bind(shard_number(shard))
            .fetch_all(conn)
            .await?;
    Ok(lanes.into_iter().collect())
}

/// The held lanes of all shards.
pub(super) async fn held_anywhere(executor: impl PgExecutor<'_>) -> sqlx::Result<HashSet<String>> {
    let lanes: Vec<String> =
        sqlx::query_scalar("select distinct lane from worker.parked").fetch_all(executor).await?;
    Ok(lanes.into_iter().collect())
}

fn shard_number(shard: u32) -> i16 {
    i16::try_from(shard).unwrap_or(0)
}

/// Parks rows; one that is parked already stays as it is.
pub(super) async fn park(
    conn: &mut PgConnection,
    shard: u32,
    rows: &[Parking],
    retry_after: Duration,
) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let era = eras::current(&mut *conn, subjects::META_RAW).await?.map_or(0, |known| known.n);
    for row in rows {
        let event = row.events.as_ref().map(|events| &events.first);
        let data = event.map(|event| &event.data);
        let lane = row.lane.clone().unwrap_or_else(|| lanes::lane_of_raw(row.raw_seq, era));
        let fingerprint = row.events.as_ref().map_or_else(|| lane.clone(), Behind::fingerprint);
        // The same events came again in another META_RAW: that is where they are found from now on.
        let moved = sqlx::query(
            "update worker.parked p set raw_era = $3, raw_seq = $4, retry_at = clock_timestamp()
              where p.lane = $1 and p.fingerprint = $2 and p.raw_era < $3
                and not exists (select from worker.parked o where o.raw_era = $3 and o.raw_seq = $4 and o.lane = $1)",
        )
        .bind(&lane)
        .bind(&fingerprint)
        .bind(era)
        .bind(i64::try_from(row.raw_seq).unwrap_or(i64::MAX))
        .execute(&mut *conn)
        .await?;
        if moved.rows_affected() > 0 {
            continue;
        }
        sqlx::query(
            "insert into worker.parked (shard, lane, raw_seq, raw_index, channel, account_id, conversation_id, event_id, kind,
                                        traceparent, role, cause, last_error, attempts, retry_at, fingerprint, raw_era)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, clock_timestamp() + make_interval(secs => $15), $16, $17)
             on conflict do nothing",
        )
        .bind(shard_number(shard))
        .bind(&lane)
        .bind(i64::try_from(row.raw_seq).unwrap_or(i64::MAX))
        .bind(data.and_then(|data| data.origin.index).and_then(|index| i32::try_from(index).ok()))
        .bind(data.map(|data| data.channel))
        .bind(data.map_or("", |data| data.account_id.as_str()))
        .bind(data.and_then(|data| data.conversation_id.as_ref()).map(AsRef::<str>::as_ref))
        .bind(event.map(|event| event.id.as_str()))
        .bind(event.map(|event| event.kind().as_str()))
        .bind(event.and_then(|event| event.traceparent.as_deref()))
        .bind(if row.cause.is_some() { "failed" } else { "behind" })
        .bind(row.cause.as_ref().map_or("behind", |cause| cause.word.as_str()))
        .bind(row.cause.as_ref().map(|cause| cut(&cause.error)))
        .bind(i32::from(row.cause.is_some()))
        .bind(if row.cause.is_some() { retry_after.as_secs_f64() } else { 0.0 })
        .bind(fingerprint)
        .bind(era)
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// Parks rows of a database that was lost. INBOX_DEAD has their copies; whether an operator has given them up is not known, so none of them is
/// tried before an operator asks.
pub(super) async fn regain(
    conn: &mut PgConnection,
    shard: u32,
    rows: &[Parking],
) -> sqlx::Result<()> {
    park(conn, shard, rows, Duration::ZERO).await?;
    sqlx::query(
        "update worker.parked p set announced = true, retry_at = case when p.role = 'failed' then null else p.retry_at end
           from unnest($1::bigint[], $2::text[]) as t (raw_seq, lane)
          where p.raw_seq = t.raw_seq and (p.lane = t.lane or t.lane is null)",
    )
    .bind(rows.iter().map(|row| i64::try_from(row.raw_seq).unwrap_or(i64::MAX)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.lane.clone()).collect::<Vec<_>>())
    .execute(conn)
    .await
    .map(|_| ())
}

fn cut(text: &str) -> String {
    text.chars().take(ERROR_MAX).collect()
}

/// A parked row.
#[derive(Clone, Debug, FromRow, serde::Serialize)]
pub struct Parked {
    /// Its number.
    pub id: i64,
    /// The shard that holds its lane.
    #[serde(skip)]
    #[sqlx(try_from = "i16")]
    pub(super) shard: u32,
    /// What is held: conversation, post, account, or one raw webhook.
    pub lane: String,
    /// The raw webhook's position in META_RAW.
    pub raw_seq: i64,
    /// The number of the era of META_RAW that it is of.
    pub raw_era: i16,
    /// Of its first event.
    pub channel: Option<Channel>,
    /// Of its first event; empty where nothing could be read.
    pub account_id: AccountId,
    /// Of its first event.
    pub conversation_id: Option<ConversationId>,
    /// Of its first event.
    pub event_id: Option<EventId>,
    /// Of its first event.
    pub kind: Option<String>,
    /// The trace of the raw webhook.
    pub traceparent: Option<String>,
    /// `failed` or `behind`.
    pub role: String,
    /// The stable word of the cause.
    pub cause: String,
    /// The last error.
    pub last_error: Option<String>,
    /// Tries so far.
    pub attempts: i32,
    /// Since when.
    pub parked_at: Timestamp,
    /// When it is retried; absent: only when an operator asks.
    pub retry_at: Option<Timestamp>,
}

/// Parked work in the order in which it would be released: lanes by their age, each in raw order.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub async fn list(pool: &PgPool, limit: i64) -> sqlx::Result<Vec<Parked>> {
    sqlx::query_as(
        "select id, shard, lane, raw_seq, raw_era, channel, account_id, conversation_id, event_id, kind, traceparent, role, cause,
                last_error, attempts, parked_at, retry_at
           from worker.parked order by min(id) over (partition by lane), raw_era, raw_seq limit $1",
    )
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// The first row of every lane that is due.
pub(super) async fn due(pool: &PgPool, limit: i64) -> sqlx::Result<Vec<Parked>> {
    sqlx::query_as(
        "select id, shard, lane, raw_seq, raw_era, channel, account_id, conversation_id, event_id, kind, traceparent, role, cause,
                last_error, attempts, parked_at, retry_at
           from (select distinct on (lane) * from worker.parked order by lane, raw_era, raw_seq) heads
          where retry_at <= clock_timestamp() order by retry_at limit $1",
    )
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// The first row of a lane.
pub(super) async fn head(pool: &PgPool, lane: &str) -> sqlx::Result<Option<Parked>> {
    sqlx::query_as(
        "select id, shard, lane, raw_seq, raw_era, channel, account_id, conversation_id, event_id, kind, traceparent, role, cause,
                last_error, attempts, parked_at, retry_at
           from worker.parked where lane = $1 order by raw_era, raw_seq limit 1",
    )
    .bind(lane)
    .fetch_optional(pool)
    .await
}

/// Takes a row out, in the transaction of its effect.
pub(super) async fn released(conn: &mut PgConnection, id: i64) -> sqlx::Result<()> {
    sqlx::query("delete from worker.parked where id = $1").bind(id).execute(conn).await.map(|_| ())
}

/// Records another failed attempt. `retry_after`: `None` when only an operator may retry.
pub(super) async fn failed_again(
    pool: &PgPool,
    id: i64,
    cause: &Cause,
    retry_after: Option<Duration>,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.parked set role = 'failed', cause = $2, last_error = $3, attempts = attempts + 1, announced = false,
                retry_at = clock_timestamp() + make_interval(secs => $4)
          where id = $1",
    )
    .bind(id)
    .bind(&cause.word)
    .bind(cut(&cause.error))
    .bind(retry_after.map(|after| after.as_secs_f64()))
    .execute(pool)
    .await
    .map(|_| ())
}

/// Tries a row later without counting a failure: the server was away.
pub(super) async fn reschedule(pool: &PgPool, id: i64, retry_after: Duration) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.parked set retry_at = clock_timestamp() + make_interval(secs => $2) where id = $1",
    )
    .bind(id)
    .bind(retry_after.as_secs_f64())
    .execute(pool)
    .await
    .map(|_| ())
}

/// Rows whose copy in INBOX_DEAD is missing.
pub(super) async fn unannounced(pool: &PgPool) -> sqlx::Result<Vec<Parked>> {
    sqlx::query_as(
        "select id, shard, lane, raw_seq, raw_era, channel, account_id, conversation_id, event_id, kind, traceparent, role, cause,
                last_error, attempts, parked_at, retry_at
           from worker.parked where not announced order by id limit 200",
    )
    .fetch_all(pool)
    .await
}

/// Their copies are published.
pub(super) async fn announced(pool: &PgPool, ids: &[i64]) -> sqlx::Result<()> {
    sqlx::query("update worker.parked set announced = true where id = any($1)")
        .bind(ids)
        .execute(pool)
        .await
        .map(|_| ())
}

/// Makes the lanes due at once, also those out of attempts; an operator asked for it. Returns the number of lanes.
///
/// # Errors
/// `sqlx::Error`; call again, doing it twice changes nothing.
pub async fn retry_now(pool: &PgPool, lanes: &[String]) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "update worker.parked set retry_at = clock_timestamp()
          where id in (select distinct on (lane) id from worker.parked where lane = any($1) order by lane, raw_era, raw_seq)",
    )
    .bind(lanes)
    .execute(pool)
    .await?;
    runtime::notify::notify(&mut *pool.acquire().await?, CHANNEL).await?;
    Ok(done.rows_affected())
}

/// Deletes one row: its events are never published, its raw webhook stays in META_RAW. What waits behind it becomes due. `false`: no such row.
///
/// # Errors
/// `sqlx::Error`; nothing was changed, call again.
pub async fn discard(pool: &PgPool, id: i64, reason: &str, by: &str) -> sqlx::Result<bool> {
    let mut tx = pool.begin().await?;
    let lane: Option<String> =
        sqlx::query_scalar("delete from worker.parked where id = $1 returning lane")
            .bind(id)
            .fetch_optional(&mut *tx)
            .await?;
    let Some(lane) = lane else { return Ok(false) };
    sqlx::query("insert into worker.parked_discarded (id, lane, reason, discarded_by) values ($1, $2, $3, $4)")
        .bind(id)
        .bind(&lane)
        .bind(reason)
        .bind(by)
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "update worker.parked set retry_at = clock_timestamp() where lane = $1 and role = 'behind'",
    )
    .bind(&lane)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(true)
}
