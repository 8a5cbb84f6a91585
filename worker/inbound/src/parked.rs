//! Parked work: its rows, and what a worker or an operator does about them (docs/contract.md 9). They are written by `parking`.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use schemas::{AccountId, Channel, ConversationId, EventId, Timestamp};
use sqlx::{FromRow, PgConnection, PgPool};

use crate::failure::Cause;

/// Notified when parked lanes are to be tried at once.
pub(super) const CHANNEL: &str = "worker_parked";
/// Tries after which parked work waits for an operator.
pub(super) const ATTEMPTS_MAX: i32 = 20;
/// Longest error text that is kept.
const ERROR_MAX: usize = 500;

/// An error text as it is kept.
pub(super) fn cut(text: &str) -> String {
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
    /// Of all its events; of a row of the releases before it was kept, none.
    #[serde(skip)]
    pub(super) event_ids: Option<Vec<String>>,
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

impl Parked {
    /// Whether the event was parked with this row.
    pub(super) fn has_event(&self, id: &EventId) -> bool {
        self.event_id.as_ref() == Some(id)
            || self.event_ids.iter().flatten().any(|event| event == id.as_str())
    }
}

/// All parked work in the order in which it would be released: lanes by their age, each in raw order. Its items are errors where the
/// connection breaks; list it again.
pub fn list(pool: &PgPool) -> BoxStream<'_, sqlx::Result<Parked>> {
    sqlx::query_as::<_, Parked>(
        "select p.id, p.shard, p.lane, p.raw_seq, p.raw_era, p.channel, p.account_id, p.conversation_id, p.event_id, p.event_ids, p.kind,
                p.traceparent, p.role, p.cause, p.last_error, p.attempts, p.parked_at, p.retry_at
           from worker.held_lanes h join worker.parked p on p.lane = h.lane order by h.head, p.raw_era, p.raw_seq",
    )
    .fetch(pool)
    .boxed()
}

/// One parked row by its number.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub async fn find(pool: &PgPool, id: i64) -> sqlx::Result<Option<Parked>> {
    sqlx::query_as(
        "select id, shard, lane, raw_seq, raw_era, channel, account_id, conversation_id, event_id, event_ids, kind, traceparent, role, cause,
                last_error, attempts, parked_at, retry_at
           from worker.parked where id = $1",
    )
    .bind(id)
    .fetch_optional(pool)
    .await
}

/// The first row of every lane that is due.
pub(super) async fn due(pool: &PgPool, limit: i64) -> sqlx::Result<Vec<Parked>> {
    sqlx::query_as(
        "select p.id, p.shard, p.lane, p.raw_seq, p.raw_era, p.channel, p.account_id, p.conversation_id, p.event_id, p.event_ids, p.kind,
                p.traceparent, p.role, p.cause, p.last_error, p.attempts, p.parked_at, p.retry_at
           from worker.held_lanes h join worker.parked p on p.id = h.head
          where h.retry_at <= clock_timestamp() order by h.retry_at limit $1",
    )
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// The first row of a lane.
pub(super) async fn head(pool: &PgPool, lane: &str) -> sqlx::Result<Option<Parked>> {
    sqlx::query_as(
        "select id, shard, lane, raw_seq, raw_era, channel, account_id, conversation_id, event_id, event_ids, kind, traceparent, role, cause,
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
        "select id, shard, lane, raw_seq, raw_era, channel, account_id, conversation_id, event_id, event_ids, kind, traceparent, role, cause,
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

/// The first row of a lane, for those who watch it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct LaneHead {
    /// The lane.
    pub lane: String,
    /// The number of its first row.
    pub id: i64,
    /// Tries of that row so far.
    pub attempts: i32,
}

/// The first rows of held lanes, oldest first: of this cause, of this lane, of these numbers, where they are given.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub async fn chosen(
    pool: &PgPool,
    cause: Option<&str>,
    lane: Option<&str>,
    ids: Option<&[i64]>,
) -> sqlx::Result<Vec<LaneHead>> {
    sqlx::query_as(
        "select h.lane, p.id, p.attempts from worker.held_lanes h join worker.parked p on p.id = h.head
          where ($1::text is null or p.cause = $1) and ($2::text is null or h.lane = $2) and ($3::bigint[] is null or p.id = any($3))
          order by h.head",
    )
    .bind(cause)
    .bind(lane)
    .bind(ids)
    .fetch_all(pool)
    .await
}

/// The first rows of those of these lanes that are still held.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub async fn heads(pool: &PgPool, lanes: &[String]) -> sqlx::Result<Vec<LaneHead>> {
    sqlx::query_as(
        "select h.lane, p.id, p.attempts from unnest($1::text[]) as l(lane)
           join worker.held_lanes h on h.lane = l.lane join worker.parked p on p.id = h.head",
    )
    .bind(lanes)
    .fetch_all(pool)
    .await
}

/// Makes the lanes due at once, also those out of attempts; an operator asked for it. Returns the number of lanes.
///
/// # Errors
/// `sqlx::Error`; call again, doing it twice changes nothing.
pub async fn retry_now(pool: &PgPool, lanes: &[String]) -> sqlx::Result<u64> {
    let mut conn = pool.acquire().await?;
    let mut done = 0;
    // A statement each, so that no lane is locked while another is waited for.
    for lane in lanes {
        let one = sqlx::query(
            "update worker.parked set retry_at = clock_timestamp()
              where id = (select h.head from worker.held_lanes h where h.lane = $1)",
        )
        .bind(lane)
        .execute(&mut *conn)
        .await?;
        done += one.rows_affected();
    }
    runtime::notify::notify(&mut conn, CHANNEL).await?;
    Ok(done)
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
        "update worker.parked set retry_at = clock_timestamp()
          where id = (select h.head from worker.held_lanes h where h.lane = $1) and role = 'behind'",
    )
    .bind(&lane)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(true)
}
