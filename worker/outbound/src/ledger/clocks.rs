//! `worker.graph_clocks`: how far Graph's clock is from the database's, by host.

use schemas::Timestamp;
use sqlx::PgPool;

/// The clock of one of Graph's hosts.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct GraphClock {
    /// `facebook` or `instagram`: which host.
    pub host: String,
    /// Milliseconds that it is ahead of the database's clock; negative where it is behind.
    pub ahead_ms: i64,
    /// Whether it is within `GRAPH_CLOCK_MAX_SKEW`. Where it is not, absence is never concluded.
    pub agrees: bool,
    /// When.
    pub measured_at: Timestamp,
}

/// What was measured last, by host.
pub(crate) async fn read(pool: &PgPool) -> sqlx::Result<Vec<GraphClock>> {
    sqlx::query_as(
        "select host, ahead_ms, agrees, measured_at from worker.graph_clocks order by host",
    )
    .fetch_all(pool)
    .await
}

/// Keeps a measurement.
pub(crate) async fn keep(
    pool: &PgPool,
    host: &str,
    ahead_ms: i64,
    agrees: bool,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into worker.graph_clocks (host, ahead_ms, agrees) values ($1, $2, $3)
         on conflict (host) do update set ahead_ms = excluded.ahead_ms, agrees = excluded.agrees, measured_at = excluded.measured_at",
    )
    .bind(host)
    .bind(ahead_ms)
    .bind(agrees)
    .execute(pool)
    .await?;
    Ok(())
}
