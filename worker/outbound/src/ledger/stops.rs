//! `worker.freezes` (stops by operators) and `worker.pauses` (limits of Meta, with an end).

use schemas::Timestamp;
use serde::Serialize;
use sqlx::{PgConnection, PgPool};

/// A freeze in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Freeze {
    /// `*`, `account:<channel>/<account>` or `conversation:<conversation id>`.
    pub scope: String,
    /// Who froze it.
    #[sqlx(rename = "frozen_by")]
    pub by: String,
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub reason: Option<String>,
}

/// All freezes.
pub(crate) async fn freezes(pool: &PgPool) -> sqlx::Result<Vec<Freeze>> {
    sqlx::query_as("select scope, frozen_by, since, reason from worker.freezes order by scope")
        .fetch_all(pool)
        .await
}

/// Adds a freeze. `false`: it was there.
pub(crate) async fn add_freeze(
    pool: &PgPool,
    scope: &str,
    by: &str,
    reason: Option<&str>,
) -> sqlx::Result<bool> {
    let done = sqlx::query("insert into worker.freezes (scope, frozen_by, reason) values ($1, $2, $3) on conflict (scope) do nothing")
        .bind(scope)
        .bind(by)
        .bind(reason)
        .execute(pool)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Removes a freeze. `false`: there was none of exactly this scope.
pub(crate) async fn remove_freeze(pool: &PgPool, scope: &str) -> sqlx::Result<bool> {
    let done = sqlx::query("delete from worker.freezes where scope = $1")
        .bind(scope)
        .execute(pool)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// A limit was met: no send in this scope before `until`, by any worker. A longer pause stays.
pub(crate) async fn pause(
    conn: &mut PgConnection,
    scope: &str,
    until: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into worker.pauses as p (scope, until, reason) values ($1, $2, 'rate limit')
         on conflict (scope) do update set until = greatest(p.until, excluded.until), reason = excluded.reason",
    )
    .bind(scope)
    .bind(until)
    .execute(conn)
    .await?;
    Ok(())
}
