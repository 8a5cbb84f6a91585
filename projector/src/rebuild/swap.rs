//! Which schema serves, in one transaction; and the schemas that do not.

use std::time::Duration;

use ops::{Act, Claim, JobState, record};
use serde_json::json;
use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use super::build::Met;
use super::{Outcome, RebuildError};
use crate::store;

/// How long after readers stood in the way to try again.
pub(super) const PAUSE: Duration = Duration::from_millis(500);
/// How often.
pub(super) const TRIES_MAX: u32 = 600;

/// Something else holds a lock: the moment is wrong, nothing else.
pub(super) fn held_up(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("55P03" | "40P01"))
}

/// The schema that this job builds: the one it began, or a new one. Those of jobs that ended are dropped.
pub(super) async fn fresh(pool: &PgPool, job: &str, serving: &str) -> sqlx::Result<String> {
    let mut tx = pool.begin().await?;
    sqlx::query("lock table inbox.models in share row exclusive mode").execute(&mut *tx).await?;
    let begun: Option<String> =
        sqlx::query_scalar("select schema from inbox.models where role = 'building' and job = $1")
            .bind(job)
            .fetch_optional(&mut *tx)
            .await?;
    if let Some(begun) = begun {
        return Ok(begun);
    }
    sqlx::query(
        "update inbox.models m set role = 'left' where role = 'building'
            and not exists (select 1 from ops.jobs j where j.id = m.job and j.state in ('running', 'paused'))",
    )
    .execute(&mut *tx)
    .await?;
    let names: Vec<String> = sqlx::query_scalar(
        "select nspname::text from pg_namespace where nspname ~ '^inbox_v[0-9]+$' union select schema from inbox.models",
    )
    .fetch_all(&mut *tx)
    .await?;
    let number = |name: &str| name.strip_prefix("inbox_v")?.parse::<u64>().ok();
    let last = names.iter().filter_map(|name| number(name)).chain(number(serving)).max();
    let schema = format!("inbox_v{}", last.unwrap_or(1) + 1);
    sqlx::query("insert into inbox.models (schema, role, job) values ($1, 'building', $2)")
        .bind(&schema)
        .bind(job)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    drop_left(pool).await?;
    Ok(schema)
}

/// Gives a schema up; [`drop_left`] drops it.
pub(super) async fn leave(conn: &mut PgConnection, schema: &str) -> sqlx::Result<()> {
    sqlx::query("update inbox.models set role = 'left' where schema = $1 and role = 'building'")
        .bind(schema)
        .execute(conn)
        .await
        .map(|_| ())
}

/// Drops what nobody needs any more.
pub(super) async fn drop_left(pool: &PgPool) -> sqlx::Result<()> {
    let left: Vec<String> =
        sqlx::query_scalar("select schema from inbox.models where role = 'left'")
            .fetch_all(pool)
            .await?;
    for schema in left {
        let mut tx = pool.begin().await?;
        sqlx::query("set local statement_timeout = 0").execute(&mut *tx).await?;
        sqlx::raw_sql(AssertSqlSafe(format!("drop schema if exists {schema} cascade")))
            .execute(&mut *tx)
            .await?;
        sqlx::query("delete from inbox.models where schema = $1 and role = 'left'")
            .bind(&schema)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Statistics for a schema that was filled in one go.
pub(super) async fn analyse(pool: &PgPool, schema: &str) -> sqlx::Result<()> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select quote_ident(relname) from pg_class where relnamespace = $1::regnamespace and relkind = 'r'",
    )
    .bind(schema)
    .fetch_all(pool)
    .await?;
    for table in tables {
        sqlx::raw_sql(AssertSqlSafe(format!("analyze {schema}.{table}"))).execute(pool).await?;
    }
    Ok(())
}

/// Lets `schema` serve: views, roles of the schemas, the end of the job and the record of it, or nothing of all that.
pub(super) async fn swap(
    met: Met,
    served: &str,
    schema: &str,
    claim: &Claim,
    who: &str,
    outcome: &Outcome,
) -> Result<(), RebuildError> {
    let mut tx = met.tx;
    // A reader in a long transaction must not make all others queue behind us.
    sqlx::query("set local lock_timeout = '300ms'").execute(&mut *tx).await?;
    store::show(&mut tx, schema).await?;
    sqlx::query("update inbox.models set role = 'left' where role = 'kept' and schema <> $1")
        .bind(schema)
        .execute(&mut *tx)
        .await?;
    sqlx::query("delete from inbox.models where schema = $1")
        .bind(schema)
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "insert into inbox.models (schema, role, job) values ($1, 'kept', $2)
         on conflict (schema) do update set role = 'kept', job = excluded.job, since = clock_timestamp()",
    )
    .bind(served)
    .bind(&claim.job.id)
    .execute(&mut *tx)
    .await?;
    // What is parked in both was told to INBOX_DEAD once already, or is still to be.
    let parked = format!(
        "update {schema}.parked n set announced = o.announced, first_seen = o.first_seen
           from {served}.parked o where o.seq = n.seq"
    );
    sqlx::query(AssertSqlSafe(parked)).execute(&mut *tx).await?;
    // The projectors need not wait for the lease of whoever built it.
    let free = format!(
        "update {schema}.leases set owner = '', epoch = epoch + 1, expires_at = clock_timestamp() - interval '1 second'"
    );
    sqlx::query(AssertSqlSafe(free)).execute(&mut *tx).await?;
    let result = json!({
        "served": served, "serves": schema, "position": outcome.position,
        "differing": outcome.comparison.differing, "lost": outcome.comparison.lost,
    });
    record(
        &mut tx,
        Act {
            who,
            verb: "rebuild swap",
            arguments: claim.job.arguments.clone(),
            reason: claim.job.reason.as_deref(),
            job: Some(&claim.job.id),
            result: Some(result.clone()),
        },
    )
    .await?;
    if !claim.end(&mut tx, JobState::Done, Some(&result), None).await? {
        return Err(RebuildError::Lost);
    }
    runtime::failpoint!("rebuild.before_swap_commit");
    tx.commit().await?;
    runtime::failpoint!("rebuild.after_swap_commit");
    Ok(())
}
