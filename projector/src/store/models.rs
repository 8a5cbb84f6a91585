//! Table `inbox.models`: the read models beside the serving one.

use sqlx::{PgConnection, PgExecutor, PgPool, Postgres, Transaction};

use super::schema::{SchemaName, drop_schema};

/// A read model that a job builds.
#[derive(sqlx::FromRow)]
pub(crate) struct Building {
    /// Its schema.
    pub(crate) schema: SchemaName,
    /// The job.
    pub(crate) job: Option<String>,
}

/// Begins a transaction in which nobody else begins or gives up a model.
pub(crate) async fn begin(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    let mut tx = pool.begin().await?;
    sqlx::query("lock table inbox.models in share row exclusive mode").execute(&mut *tx).await?;
    Ok(tx)
}

/// All models that jobs build, or built when they ended.
pub(crate) async fn building(conn: &mut PgConnection) -> sqlx::Result<Vec<Building>> {
    sqlx::query_as("select schema, job from inbox.models where role = 'building'")
        .fetch_all(conn)
        .await
}

/// The schema of the latest model that is built.
pub(crate) async fn latest_building(pool: &PgPool) -> sqlx::Result<Option<SchemaName>> {
    sqlx::query_scalar(
        "select schema from inbox.models where role = 'building' order by since desc limit 1",
    )
    .fetch_optional(pool)
    .await
}

/// The schema of the model that the last swap kept.
pub(crate) async fn kept(executor: impl PgExecutor<'_>) -> sqlx::Result<Option<SchemaName>> {
    sqlx::query_scalar(
        "select schema from inbox.models where role = 'kept' order by since desc limit 1",
    )
    .fetch_optional(executor)
    .await
}

/// The schemas of all models beside the serving one.
pub(crate) async fn all(conn: &mut PgConnection) -> sqlx::Result<Vec<SchemaName>> {
    sqlx::query_scalar("select schema from inbox.models").fetch_all(conn).await
}

/// Notes that a job builds a model.
pub(crate) async fn build(
    conn: &mut PgConnection,
    schema: &SchemaName,
    job: &str,
) -> sqlx::Result<()> {
    sqlx::query("insert into inbox.models (schema, role, job) values ($1, 'building', $2)")
        .bind(schema.as_str())
        .bind(job)
        .execute(conn)
        .await
        .map(|_| ())
}

/// Gives up a model that is built: it is to be dropped.
pub(crate) async fn leave(conn: &mut PgConnection, schema: &SchemaName) -> sqlx::Result<()> {
    sqlx::query("update inbox.models set role = 'left' where schema = $1 and role = 'building'")
        .bind(schema.as_str())
        .execute(conn)
        .await
        .map(|_| ())
}

/// Gives up the model that the last swap kept, in which something may be that is erased. `true`: there was one.
pub(crate) async fn leave_kept(pool: &PgPool) -> sqlx::Result<bool> {
    let done = sqlx::query("update inbox.models set role = 'left' where role = 'kept'")
        .execute(pool)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// The models to be dropped.
pub(crate) async fn left(pool: &PgPool) -> sqlx::Result<Vec<SchemaName>> {
    sqlx::query_scalar("select schema from inbox.models where role = 'left'").fetch_all(pool).await
}

/// Forgets a model that was dropped.
pub(crate) async fn forget_left(conn: &mut PgConnection, schema: &SchemaName) -> sqlx::Result<()> {
    sqlx::query("delete from inbox.models where schema = $1 and role = 'left'")
        .bind(schema.as_str())
        .execute(conn)
        .await
        .map(|_| ())
}

/// Notes that `schema` serves from now on, and that `served` is kept for `rebuild revert`; what was kept before is to be dropped.
pub(crate) async fn change_over(
    conn: &mut PgConnection,
    served: &SchemaName,
    schema: &SchemaName,
    job: &str,
) -> sqlx::Result<()> {
    sqlx::query("update inbox.models set role = 'left' where role = 'kept' and schema <> $1")
        .bind(schema.as_str())
        .execute(&mut *conn)
        .await?;
    sqlx::query("delete from inbox.models where schema = $1")
        .bind(schema.as_str())
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "insert into inbox.models (schema, role, job) values ($1, 'kept', $2)
         on conflict (schema) do update set role = 'kept', job = excluded.job, since = clock_timestamp()",
    )
    .bind(served.as_str())
    .bind(job)
    .execute(conn)
    .await
    .map(|_| ())
}

/// Drops the models that nobody needs any more.
pub(crate) async fn drop_left(pool: &PgPool) -> sqlx::Result<()> {
    for schema in left(pool).await? {
        let mut tx = pool.begin().await?;
        drop_one(&mut tx, &schema).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// The same while others read them: it fails where one of them does, such as a backup.
pub(crate) async fn drop_unread(pool: &PgPool) -> sqlx::Result<()> {
    for schema in left(pool).await? {
        let mut tx = pool.begin().await?;
        sqlx::query("set local lock_timeout = '300ms'").execute(&mut *tx).await?;
        drop_one(&mut tx, &schema).await?;
        tx.commit().await?;
    }
    Ok(())
}

async fn drop_one(conn: &mut PgConnection, schema: &SchemaName) -> sqlx::Result<()> {
    sqlx::query("set local statement_timeout = 0").execute(&mut *conn).await?;
    drop_schema(conn, schema).await?;
    forget_left(conn, schema).await
}
