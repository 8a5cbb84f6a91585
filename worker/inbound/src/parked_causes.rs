//! Parked work by cause, for operators' overviews. What they may do about it is in `parked`.

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
