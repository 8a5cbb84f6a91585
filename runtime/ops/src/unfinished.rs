//! Jobs that have not ended, for operators' overviews: read without migrating schema `ops`.

use sqlx::{FromRow, PgPool};

use crate::JobState;

/// A job that has not ended.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct UnfinishedJob {
    /// Its id.
    pub id: String,
    /// The verb.
    pub verb: String,
    /// `Running` or `Paused`.
    pub state: JobState,
    /// Whether a process works on it now.
    pub held: bool,
}

/// The jobs that run or are paused.
///
/// # Errors
/// `sqlx::Error`; ask again. Of an absent table ([`runtime::db::is_absent`]) where no job was ever started.
pub async fn unfinished(pool: &PgPool) -> sqlx::Result<Vec<UnfinishedJob>> {
    sqlx::query_as(
        "select id, verb, state, coalesce(claimed_until >= clock_timestamp(), false) as held
           from ops.jobs where state in ('running', 'paused')",
    )
    .fetch_all(pool)
    .await
}
