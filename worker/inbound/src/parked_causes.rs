//! Parked work by cause, for operators' overviews. What they may do about it is in `parked`.

use schemas::Timestamp;
use sqlx::{FromRow, PgPool};

/// Rows parked for one cause.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct ParkedCause {
    /// The stable word of the cause; `behind` for rows that wait for an earlier one.
    pub cause: String,
    /// How many.
    pub count: i64,
}

/// Counts parked rows by cause.
///
/// # Errors
/// `sqlx::Error`; ask again. Of an absent table ([`runtime::db::is_absent`]) where the worker has not migrated yet.
pub async fn parked_by_cause(pool: &PgPool) -> sqlx::Result<Vec<ParkedCause>> {
    sqlx::query_as("select cause, count(*) as count from worker.parked group by cause")
        .fetch_all(pool)
        .await
}

/// Parked rows whose lane is held for one cause: a lane counts under the cause of its first row, the others wait behind it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct HeldBy {
    /// The stable word of the cause.
    pub cause: String,
    /// Rows that failed.
    pub failed: i64,
    /// Rows that wait behind.
    pub behind: i64,
    /// Since when.
    pub since: Timestamp,
}

/// Counts parked rows by what holds their lanes.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub async fn held_by_cause(pool: &PgPool) -> sqlx::Result<Vec<HeldBy>> {
    sqlx::query_as(
        "select first.cause, count(*) filter (where p.role = 'failed') as failed, count(*) filter (where p.role <> 'failed') as behind,
                min(p.parked_at) as since
           from worker.parked p join worker.held_lanes h on h.lane = p.lane join worker.parked first on first.id = h.head
          group by first.cause order by first.cause",
    )
    .fetch_all(pool)
    .await
}
