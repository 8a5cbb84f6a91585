//! Declaring another era of a stream: readers begin at its start, what is known stays known.

use facts::eras;
use runtime::lease;
use runtime::streams::{Era, StreamName};
use sqlx::{PgConnection, PgPool};

/// What adopting a stream would make its readers leave behind.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Reach {
    /// The reader.
    pub name: String,
    /// How far it has come.
    pub seq: i64,
}

/// How far the worker's readers of a stream have come.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub async fn reach(pool: &PgPool, stream: StreamName) -> sqlx::Result<Vec<Reach>> {
    sqlx::query_as("select name, seq from worker.positions where stream = $1 order by name")
        .bind(stream.as_str())
        .fetch_all(pool)
        .await
}

/// Declares the era of a stream in the caller's transaction. Facts, ledger and parked work stay as they are. Returns its number.
///
/// # Errors
/// `sqlx::Error`; roll back.
pub async fn adopt(conn: &mut PgConnection, stream: StreamName, era: Era) -> sqlx::Result<i16> {
    let n = eras::declare(conn, stream.as_str(), era).await?;
    outbound::eras::start_over(conn, stream, era).await?;
    lease::start_over(conn, "worker", stream, era).await?;
    Ok(n)
}
