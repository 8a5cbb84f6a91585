//! Table `positions`: how far a read model has come in INBOX_EVENTS. It is moved by `runtime::lease`.

use schemas::Timestamp;
use sqlx::{PgConnection, PgPool};

/// The stored position; 0 before the first batch.
pub(crate) async fn stored(conn: &mut PgConnection, name: &str) -> sqlx::Result<u64> {
    let seq: Option<i64> = sqlx::query_scalar("select seq from positions where name = $1")
        .bind(name)
        .fetch_optional(conn)
        .await?;
    Ok(unsigned(seq))
}

/// The position of the model that serves, by its view; `None` before the first batch.
pub(crate) async fn of_serving(pool: &PgPool) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar("select seq from inbox.position").fetch_optional(pool).await
}

/// When the stream was made that the position of the serving model belongs to.
pub(crate) async fn stream_of_serving(pool: &PgPool) -> sqlx::Result<Option<Timestamp>> {
    let created: Option<Option<Timestamp>> =
        sqlx::query_scalar("select stream_created from inbox.position")
            .fetch_optional(pool)
            .await?;
    Ok(created.flatten())
}

/// A position as the stream counts; 0 where there is none.
pub(crate) fn unsigned(seq: Option<i64>) -> u64 {
    u64::try_from(seq.unwrap_or(0)).unwrap_or(0)
}
