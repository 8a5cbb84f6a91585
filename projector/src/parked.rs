//! Events the projector set aside, as operators see them: in the schema that is served. They are folded again
//! ([`redrive`](crate::redrive)), or given up.

use chrono::{DateTime, Utc};
use schemas::Timestamp;
use serde::Serialize;
use sqlx::{AssertSqlSafe, PgPool, Row};

/// An event set aside.
#[derive(Clone, Debug, Serialize)]
pub struct Parked {
    /// Always `projector`.
    pub stage: &'static str,
    /// Its position in INBOX_EVENTS, which is also its number here.
    pub seq: i64,
    /// Its id, where it has one.
    pub event_id: Option<String>,
    /// Its kind, where it is known.
    pub kind: Option<String>,
    /// The stable word of the cause.
    pub cause: String,
    /// For people; no content.
    pub detail: String,
    /// Since when.
    pub parked_at: Timestamp,
}

/// What is set aside, oldest first.
///
/// # Errors
/// Of the database.
pub async fn list(pool: &PgPool, limit: i64) -> sqlx::Result<Vec<Parked>> {
    let rows = sqlx::query(
        "select seq, event_id, kind, cause, detail, first_seen from inbox.parked order by seq limit $1",
    )
    .bind(limit)
    .fetch_all(pool)
    .await;
    runtime::db::absent_is_empty(rows)?
        .iter()
        .map(|row| {
            Ok(Parked {
                stage: "projector",
                seq: row.try_get("seq")?,
                event_id: row.try_get("event_id")?,
                kind: row.try_get("kind")?,
                cause: row.try_get("cause")?,
                detail: row.try_get("detail")?,
                parked_at: row.try_get::<DateTime<Utc>, _>("first_seen")?.into(),
            })
        })
        .collect()
}

/// Takes one out of the list for good; the event stays in the log, and a rebuild reads it again. `false`: there is none.
///
/// # Errors
/// Of the database.
pub async fn discard(pool: &PgPool, seq: i64) -> sqlx::Result<bool> {
    // Locked: no swap to another schema comes in between.
    let mut tx = pool.begin().await?;
    let schema: Option<String> = sqlx::query_scalar("select schema from inbox.serving for share")
        .fetch_optional(&mut *tx)
        .await?;
    let Some(schema) = schema else { return Ok(false) };
    let sql = format!("delete from {schema}.parked where seq = $1");
    let done = sqlx::query(AssertSqlSafe(sql)).bind(seq).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(done.rows_affected() == 1)
}
