//! How far Graph's clock is from the database's.

use sqlx::PgPool;

pub use crate::ledger::clocks::GraphClock;

use crate::ledger::clocks;

/// What the workers measured last, by host; empty before Graph has answered.
///
/// # Errors
/// `sqlx::Error`: call again. Of an absent table ([`runtime::db::is_absent`]) where the worker has not migrated yet.
pub async fn graph_clocks(pool: &PgPool) -> sqlx::Result<Vec<GraphClock>> {
    clocks::read(pool).await
}
