//! What Postgres knows of the stages. Tables that a role has not made yet count as empty.

use std::collections::BTreeMap;

use sqlx::PgPool;

pub(crate) const POSITION_OF_WORKER: &str = "select seq from worker.positions where name = $1";
/// Of the serving read model, whichever schema that is in.
pub(crate) const POSITION_OF_PROJECTOR: &str =
    "select seq from (select 'projector' as name, seq from inbox.position) p where name = $1";

/// Parked work by stage and cause.
pub(crate) async fn causes(pool: &PgPool) -> anyhow::Result<BTreeMap<String, i64>> {
    let mut causes = BTreeMap::new();
    for (stage, query) in [
        ("normalize", "select cause, count(*) from worker.parked group by cause"),
        ("project", "select cause, count(*) from inbox.parked group by cause"),
    ] {
        let rows: Vec<(String, i64)> =
            absent_is_empty(sqlx::query_as(query).fetch_all(pool).await)?;
        causes.extend(rows.into_iter().map(|(cause, count)| (format!("{stage}/{cause}"), count)));
    }
    Ok(causes)
}

/// Jobs that have not ended.
pub(crate) async fn jobs(pool: &PgPool) -> anyhow::Result<BTreeMap<String, String>> {
    let rows: sqlx::Result<Vec<(String, String)>> = sqlx::query_as(
        "select id, case when state = 'running' and coalesce(claimed_until < clock_timestamp(), true) then 'interrupted' else state end
           from ops.jobs where state in ('running', 'paused')",
    )
    .fetch_all(pool)
    .await;
    Ok(absent_is_empty(rows)?.into_iter().collect())
}

/// A query on a table or column that another role has not made yet counts as empty.
pub(crate) fn absent_is_empty<T: Default>(result: sqlx::Result<T>) -> anyhow::Result<T> {
    match result {
        Ok(value) => Ok(value),
        Err(sqlx::Error::Database(error))
            if matches!(error.code().as_deref(), Some("42P01" | "3F000" | "42703")) =>
        {
            Ok(T::default())
        }
        Err(error) => Err(error.into()),
    }
}

pub(crate) async fn count(pool: &PgPool, query: &'static str) -> anyhow::Result<i64> {
    absent_is_empty(sqlx::query_scalar(query).fetch_one(pool).await)
}

/// A stored position; 0 where there is none.
pub(crate) async fn position(
    pool: &PgPool,
    statement: &'static str,
    name: &str,
) -> anyhow::Result<u64> {
    let stored: sqlx::Result<Option<i64>> =
        sqlx::query_scalar(statement).bind(name).fetch_optional(pool).await;
    Ok(u64::try_from(absent_is_empty(stored)?.unwrap_or(0)).unwrap_or(0))
}
