//! How far the serving read model is, and what waits beside it: read by operators, from the views of schema `inbox`.

use sqlx::{FromRow, PgPool};

/// Events set aside for one cause.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct ParkedCause {
    /// The stable word of the cause.
    pub cause: String,
    /// How many.
    pub count: i64,
}

/// The last position of INBOX_EVENTS that the serving read model has folded; `None` before the first.
///
/// # Errors
/// `sqlx::Error`; ask again. Of an absent table ([`runtime::db::is_absent`]) where the projector has not migrated yet.
pub async fn position(pool: &PgPool) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar("select seq from inbox.position").fetch_optional(pool).await
}

/// Events set aside, by cause.
///
/// # Errors
/// As [`position`].
pub async fn parked_by_cause(pool: &PgPool) -> sqlx::Result<Vec<ParkedCause>> {
    sqlx::query_as("select cause, count(*) as count from inbox.parked group by cause")
        .fetch_all(pool)
        .await
}
