//! Whether the ledger is behind the log of attempts.

use sqlx::PgPool;

pub use crate::ledger::behind::BehindLog;

use crate::ledger::behind;

/// Since when the ledger is behind the log, and sends nothing; `None`: it is not, as far as a worker has noticed.
///
/// # Errors
/// `sqlx::Error`: call again. Of an absent table ([`runtime::db::is_absent`]) where the worker has not migrated yet.
pub async fn behind_log(pool: &PgPool) -> sqlx::Result<Option<BehindLog>> {
    behind::read(pool).await
}
