//! Whether the log has what Graph shows, as the worker has compared it: `worker.completeness_figures` and `worker.completeness_standing`.

use runtime::db::absent_is_empty;
use serde::Serialize;
use sqlx::{FromRow, PgPool};
use utoipa::ToSchema;

use super::Account;
use crate::time::Time;

/// How an account stands.
#[derive(Debug, Default, FromRow)]
pub(crate) struct Standing {
    pub compared_to: Option<Time>,
    pub looked_at: Option<Time>,
    pub error: Option<String>,
    pub lost_field: Option<String>,
    pub lost_since: Option<Time>,
}

/// Messages that were made in an hour.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub(crate) struct Hour {
    /// The hour.
    pub hour: Time,
    /// Messages that Graph showed.
    pub shown: i64,
    /// Of them: those that the log had.
    pub known: i64,
    /// Those that were missing and have been imported.
    pub healed: i64,
    /// Those that are missing and cannot be read any more.
    pub unreachable: i64,
}

/// How an account stands. `None`: it was not compared yet, or the view is not there yet.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn standing(pool: &PgPool, account: &Account) -> sqlx::Result<Option<Standing>> {
    let row = sqlx::query_as(
        "select compared_to, looked_at, error, lost_field, lost_since from worker.completeness_standing
         where channel = $1 and account_id = $2",
    )
    .bind(account.channel)
    .bind(&account.id)
    .fetch_optional(pool)
    .await;
    absent_is_empty(row)
}

/// The last 24 hours, the newest first; without those in which Graph showed nothing.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn hours(pool: &PgPool, account: &Account) -> sqlx::Result<Vec<Hour>> {
    let rows = sqlx::query_as(
        "select hour, shown, known, healed, unreachable from worker.completeness_figures
         where channel = $1 and account_id = $2 and hour > now() - interval '25 hours'
         order by hour desc",
    )
    .bind(account.channel)
    .bind(&account.id)
    .fetch_all(pool)
    .await;
    absent_is_empty(rows)
}
