//! The table of parked work: who is held, who waits behind, and what an operator may do about it (contract section 9).
//!
//! Rows are written in the transaction that moves the shard's position, so parking is as durable as normalising.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use runtime::publish::PublishFailure;
use schemas::Timestamp;
use sqlx::{PgConnection, PgPool, Row};

use super::lanes::{self, Behind};
use facts::{FactError, PublishError};

/// Notified when parked lanes are to be tried at once.
pub(super) const CHANNEL: &str = "worker_parked";
/// Tries after which parked work waits for an operator.
pub const ATTEMPTS_MAX: i32 = 20;
/// Longest error text that is kept.
const ERROR_MAX: usize = 500;

/// Why something cannot be carried out, however often it is tried with the same code and data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// A stable word to group by: `database_22P05`, `too_large`, `panic`, …
    pub word: String,
    /// For people who operate; no content.
    pub error: String,
}

/// A row to park.
#[derive(Clone, Debug)]
pub(super) struct Parking {
    pub raw_seq: u64,
    pub lane: String,
    /// What the raw webhook says in the lane, where it could be read.
    pub events: Option<Behind>,
    /// Why, for the one that failed; the others wait behind.
    pub cause: Option<Cause>,
}

impl Parking {
    /// Rows for what waits behind a failure.
    pub(super) fn behind(behind: BTreeMap<(u64, String), Behind>) -> Vec<Self> {
        behind
            .into_iter()
            .map(|((raw_seq, lane), events)| Self {
                raw_seq,
                lane,
                events: Some(events),
                cause: None,
            })
            .collect()
    }
}

/// The cause, where an error will not go away by itself; `None`: try again later.
pub(super) fn cause(error: &FactError) -> Option<Cause> {
    match error {
        FactError::Database(error) => database_cause(error),
        FactError::Publish(error) => match error.as_ref() {
            PublishError::Broker(PublishFailure::TooLarge) => Some(Cause {
                word: "too_large".to_owned(),
                error: "an event is larger than the broker takes".to_owned(),
            }),
            PublishError::Encode(_) => Some(Cause {
                word: "not_json".to_owned(),
                error: "an event cannot be written as JSON".to_owned(),
            }),
            _ => None,
        },
        FactError::Seal(_) => Some(Cause { word: "seal".to_owned(), error: error.to_string() }),
        FactError::Conflict { .. } => None,
    }
}

/// Errors about the data: classes 21, 22, 23, 54 and raised ones. Others are about the server, and pass.
fn database_cause(error: &sqlx::Error) -> Option<Cause> {
    is_of(error, &["21", "22", "23", "54", "P0"]).then(|| refusal(error)).flatten()
}

/// Whether Postgres answered with an error of one of these classes.
fn is_of(error: &sqlx::Error, classes: &[&str]) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| classes.iter().any(|class| code.starts_with(class)))
}

fn refusal(error: &sqlx::Error) -> Option<Cause> {
    let error = error.as_database_error()?;
    let code = error.code()?;
    // The message of Postgres may quote values; its code, table and constraint do not.
    let place =
        [error.table(), error.constraint()].into_iter().flatten().collect::<Vec<_>>().join("/");
    Some(Cause {
        word: format!("database_{code}"),
        error: format!("Postgres refuses it: error {code} {place}").trim().to_owned(),
    })
}

/// Whether Postgres or the broker is away, so that no other row fares better now. Anything else counts as a failed try of its row.
pub(super) fn passes(error: &anyhow::Error) -> bool {
    if let Some(error) = error.downcast_ref::<sqlx::Error>() {
        return database_passes(error);
    }
    match error.downcast_ref::<FactError>() {
        Some(FactError::Database(error)) => database_passes(error),
        Some(FactError::Publish(error)) => match error.as_ref() {
            PublishError::Broker(failure) => {
                failure.is_away() || matches!(failure, PublishFailure::Full(_))
            }
            PublishError::ReadBack { .. } => true,
            PublishError::Encode(_) => false,
        },
        Some(FactError::Seal(_)) => false,
        // Somebody else was faster, or META_RAW could not be read.
        Some(FactError::Conflict { .. }) | None => true,
    }
}

/// Connections, conflicts, resources, shutdowns; not what Postgres says of a statement or a row.
fn database_passes(error: &sqlx::Error) -> bool {
    use sqlx::Error;
    match error {
        Error::Database(_) => is_of(error, &["08", "25", "40", "53", "57", "58"]),
        Error::Io(_)
        | Error::Tls(_)
        | Error::Protocol(_)
        | Error::PoolTimedOut
        | Error::PoolClosed
        | Error::WorkerCrashed => true,
        _ => false,
    }
}

/// The cause of an error that nobody foresaw; its text may quote content, so it is not kept.
pub(super) fn unforeseen(error: &anyhow::Error) -> Cause {
    let database = match error.downcast_ref::<FactError>() {
        Some(FactError::Database(error)) => Some(error),
        _ => error.downcast_ref::<sqlx::Error>(),
    };
    database.and_then(refusal).unwrap_or_else(|| Cause {
        word: "unforeseen".to_owned(),
        error: format!("an error that nobody foresaw: {error}"),
    })
}

/// What a panic means.
pub(super) fn panicked(what: &str) -> Cause {
    Cause {
        word: "panic".to_owned(),
        error: format!("{what} broke down: a bug; the log has the place"),
    }
}

/// The held lanes of a shard.
pub(super) async fn held(conn: &mut PgConnection, shard: u32) -> sqlx::Result<HashSet<String>> {
    let rows: Vec<String> =
        sqlx::query_scalar("select distinct lane from worker.parked where shard = $1")
            .bind(shard_number(shard))
            .fetch_all(conn)
            .await?;
    Ok(rows.into_iter().collect())
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
    for row in rows {
        let event = row.events.as_ref().map(|events| &events.first);
        let data = event.map(|event| &event.data);
        let fingerprint =
            row.events.as_ref().map_or_else(|| row.raw_seq.to_string(), Behind::fingerprint);
        sqlx::query(
            "insert into worker.parked (shard, lane, raw_seq, raw_index, channel, account_id, conversation_id, event_id, kind,
                                        traceparent, role, cause, last_error, attempts, retry_at, fingerprint)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, clock_timestamp() + make_interval(secs => $15), $16)
             on conflict do nothing",
        )
        .bind(shard_number(shard))
        .bind(&row.lane)
        .bind(i64::try_from(row.raw_seq).unwrap_or(i64::MAX))
        .bind(data.and_then(|data| data.origin.index).and_then(|index| i32::try_from(index).ok()))
        .bind(data.map(|data| data.channel.as_str()))
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
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

fn cut(text: &str) -> String {
    text.chars().take(ERROR_MAX).collect()
}

/// A parked row.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Parked {
    /// Its number.
    pub id: i64,
    /// The shard that holds its lane.
    #[serde(skip)]
    pub(super) shard: u32,
    /// What is held: conversation, post, account, or one raw webhook.
    pub lane: String,
    /// The raw webhook's position in META_RAW.
    pub raw_seq: i64,
    /// Of its first event.
    pub channel: Option<String>,
    /// Of its first event; empty where nothing could be read.
    pub account_id: String,
    /// Of its first event.
    pub conversation_id: Option<String>,
    /// Of its first event.
    pub event_id: Option<String>,
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
    /// When it is tried again; absent: not by itself.
    pub retry_at: Option<Timestamp>,
}

const COLUMNS: &str = "select id, shard, lane, raw_seq, channel, account_id, conversation_id, event_id, kind, traceparent, role, cause,
       last_error, attempts, parked_at, retry_at from worker.parked";

fn parked(row: &sqlx::postgres::PgRow) -> Parked {
    let time =
        |name: &str| row.get::<Option<chrono::DateTime<chrono::Utc>>, _>(name).map(Timestamp::from);
    Parked {
        id: row.get("id"),
        shard: u32::try_from(row.get::<i16, _>("shard")).unwrap_or(0),
        lane: row.get("lane"),
        raw_seq: row.get("raw_seq"),
        channel: row.get("channel"),
        account_id: row.get("account_id"),
        conversation_id: row.get("conversation_id"),
        event_id: row.get("event_id"),
        kind: row.get("kind"),
        traceparent: row.get("traceparent"),
        role: row.get("role"),
        cause: row.get("cause"),
        last_error: row.get("last_error"),
        attempts: row.get("attempts"),
        parked_at: time("parked_at").unwrap_or(Timestamp::EPOCH),
        retry_at: time("retry_at"),
    }
}

/// Parked work in the order in which it would be released: lanes by their age, each in raw order.
///
/// # Errors
/// Of the database.
pub async fn list(pool: &PgPool, limit: i64) -> sqlx::Result<Vec<Parked>> {
    let sql = sqlx::AssertSqlSafe(format!(
        "{COLUMNS} order by min(id) over (partition by lane), raw_seq limit $1"
    ));
    Ok(sqlx::query(sql).bind(limit).fetch_all(pool).await?.iter().map(parked).collect())
}

/// How many rows are parked, by cause.
pub(super) async fn by_cause(pool: &PgPool) -> sqlx::Result<BTreeMap<String, i64>> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as("select cause, count(*) from worker.parked group by cause")
            .fetch_all(pool)
            .await?;
    Ok(rows.into_iter().collect())
}

/// The first row of every lane that is due.
pub(super) async fn due(pool: &PgPool, limit: i64) -> sqlx::Result<Vec<Parked>> {
    let sql = sqlx::AssertSqlSafe(format!(
        "select * from (select distinct on (lane) * from ({COLUMNS}) rows order by lane, raw_seq) heads
          where retry_at <= clock_timestamp() order by retry_at limit $1"
    ));
    Ok(sqlx::query(sql).bind(limit).fetch_all(pool).await?.iter().map(parked).collect())
}

/// The first row of a lane.
pub(super) async fn head(pool: &PgPool, lane: &str) -> sqlx::Result<Option<Parked>> {
    let sql = sqlx::AssertSqlSafe(format!("{COLUMNS} where lane = $1 order by raw_seq limit 1"));
    Ok(sqlx::query(sql).bind(lane).fetch_optional(pool).await?.as_ref().map(parked))
}

/// Takes a row out, in the transaction of its effect.
pub(super) async fn released(conn: &mut PgConnection, id: i64) -> sqlx::Result<()> {
    sqlx::query("delete from worker.parked where id = $1").bind(id).execute(conn).await.map(|_| ())
}

/// Notes that a try failed again. `retry_after`: `None` for not by itself any more.
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

/// Tries a row later, without counting: what failed was not about it.
pub(super) async fn put_off(pool: &PgPool, id: i64, retry_after: Duration) -> sqlx::Result<()> {
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
    let sql = sqlx::AssertSqlSafe(format!("{COLUMNS} where not announced order by id limit 200"));
    Ok(sqlx::query(sql).fetch_all(pool).await?.iter().map(parked).collect())
}

/// Their copies are published.
pub(super) async fn announced(pool: &PgPool, ids: &[i64]) -> sqlx::Result<()> {
    sqlx::query("update worker.parked set announced = true where id = any($1)")
        .bind(ids)
        .execute(pool)
        .await
        .map(|_| ())
}

/// Lets the lanes be tried at once, whatever their limit says; an operator asked for it. Answers with the number of lanes.
///
/// # Errors
/// Of the database.
pub async fn retry_now(pool: &PgPool, lanes: &[String]) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "update worker.parked set retry_at = clock_timestamp()
          where id in (select distinct on (lane) id from worker.parked where lane = any($1) order by lane, raw_seq)",
    )
    .bind(lanes)
    .execute(pool)
    .await?;
    runtime::notify::notify(&mut *pool.acquire().await?, CHANNEL).await?;
    Ok(done.rows_affected())
}

/// Takes one row out for good: what it said is lost to the events, its raw webhook stays. What waits behind it goes on. `false`: no such row.
///
/// # Errors
/// Of the database.
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

/// The lane of a raw webhook that nobody can read.
pub(super) fn unreadable(raw_seq: u64, cause: Cause) -> Parking {
    Parking { raw_seq, lane: lanes::lane_of_raw(raw_seq), events: None, cause: Some(cause) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(failure: PublishFailure) -> anyhow::Error {
        FactError::from(PublishError::Broker(failure)).into()
    }

    #[test]
    fn only_servers_that_are_away_are_waited_for() {
        let said = || "said so".to_owned();
        let away = [
            sqlx::Error::PoolTimedOut.into(),
            FactError::Database(sqlx::Error::PoolTimedOut).into(),
            broker(PublishFailure::NotConnected),
            broker(PublishFailure::Full(said())),
            anyhow::anyhow!("META_RAW could not be read"),
        ];
        assert!(away.iter().all(passes));
        let of_the_row = [
            FactError::Database(sqlx::Error::ColumnNotFound(said())).into(),
            broker(PublishFailure::Refused(said())),
        ];
        assert!(!of_the_row.iter().any(passes));
        let cause = unforeseen(&of_the_row[0]);
        assert_eq!(cause.word, "unforeseen");
        assert!(!cause.error.contains("said so"), "{cause:?}");
    }
}
