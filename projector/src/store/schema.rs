//! Bringing the schema up to date, and which schema the public views show.

use anyhow::Context as _;
use sqlx::migrate::{Migration, Migrator};
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Row, SqlSafeStr as _};
use tokio_util::sync::CancellationToken;

/// The first schema of the read model; a rebuild makes the next one beside it.
pub const FIRST_SCHEMA: &str = "inbox_v1";

const VIEWS: &str = include_str!("../../views.sql");
const VIEWS_LOCK: i64 = 0x68_6f_6f_6b_76_69_65;

/// The migrations of a read model in `schema`.
fn migrations(schema: &str) -> Migrator {
    let first = sqlx::migrate!("./migrations");
    if schema == FIRST_SCHEMA {
        return first;
    }
    let renamed = first.migrations.iter().map(|one| {
        let sql = AssertSqlSafe(one.sql.as_str().replace(FIRST_SCHEMA, schema)).into_sql_str();
        Migration::new(one.version, one.description.clone(), one.migration_type, sql, one.no_tx)
    });
    Migrator::with_migrations(renamed.collect())
}

/// Makes or brings up to date the tables of one read model. `false`: the process is to stop.
///
/// # Errors
/// When a migration is wrong.
pub(crate) async fn migrate(
    pool: &PgPool,
    schema: &str,
    shutdown: &CancellationToken,
) -> anyhow::Result<bool> {
    runtime::db::migrate(pool, schema, migrations(schema), shutdown).await
}

/// The schema that the public views show; the first one where nothing is there yet.
///
/// # Errors
/// Of the database.
pub async fn serving(pool: &PgPool) -> sqlx::Result<String> {
    match sqlx::query_scalar("select schema from inbox.serving").fetch_optional(pool).await {
        Ok(schema) => Ok(schema.unwrap_or_else(|| FIRST_SCHEMA.to_owned())),
        // No table, no schema: nothing is there yet.
        Err(error) if runtime::db::is_absent(&error) => Ok(FIRST_SCHEMA.to_owned()),
        Err(error) => Err(error),
    }
}

/// Migrates the serving read model and its views; waits for Postgres. Gives the schema the views show, `None` when the process is to stop.
/// A schema that is being built, or kept for `revert`, is migrated by the verb that takes it up.
///
/// # Errors
/// When a migration is wrong or the views cannot be replaced.
pub async fn prepare(
    pool: &PgPool,
    shutdown: &CancellationToken,
) -> anyhow::Result<Option<String>> {
    let schema = loop {
        if !runtime::db::wait(pool, shutdown).await {
            return Ok(None);
        }
        match serving(pool).await {
            Ok(schema) => break schema,
            Err(error) => tracing::debug!(%error, "The serving schema is asked for again"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    };
    if !migrate(pool, &schema, shutdown).await? {
        return Ok(None);
    }
    loop {
        match install_views(pool).await {
            Ok(schema) => return Ok(Some(schema)),
            Err(error) if super::fault(&error) != super::Fault::Data => {
                if !runtime::db::wait(pool, shutdown).await {
                    return Ok(None);
                }
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
            Err(error) => {
                return Err(anyhow::Error::new(error))
                    .context("replacing the views in schema `inbox`: drop what depends on them, or grant ownership");
            }
        }
    }
}

/// The public views over one schema.
pub fn views_over(schema: &str) -> String {
    VIEWS.replace(FIRST_SCHEMA, schema)
}

/// Makes the views show the serving schema, in one transaction; they are touched only when their text changed.
async fn install_views(pool: &PgPool) -> sqlx::Result<String> {
    let mut tx = pool.begin().await?;
    sqlx::query("select pg_advisory_xact_lock($1)").bind(VIEWS_LOCK).execute(&mut *tx).await?;
    sqlx::raw_sql(
        "create schema if not exists inbox;
         create table if not exists inbox.serving (
             only_row boolean primary key default true check (only_row),
             schema   text not null,
             views    text not null
         );
         -- Read models that do not serve: `building` by a job, `kept` for `rebuild revert`, `left` to be dropped.
         create table if not exists inbox.models (
             schema text primary key,
             role   text not null check (role in ('building', 'kept', 'left')),
             job    text,
             since  timestamptz not null default clock_timestamp()
         );",
    )
    .execute(&mut *tx)
    .await?;
    let row =
        sqlx::query("select schema, views from inbox.serving").fetch_optional(&mut *tx).await?;
    let (schema, digest) = match &row {
        Some(row) => (row.try_get::<String, _>("schema")?, row.try_get::<String, _>("views")?),
        None => (FIRST_SCHEMA.to_owned(), String::new()),
    };
    let views = views_over(&schema);
    let wanted = schemas::ids::sha256_hex(views.as_bytes());
    if wanted != digest {
        sqlx::raw_sql(AssertSqlSafe(views)).execute(&mut *tx).await?;
        sqlx::query(
            "insert into inbox.serving (schema, views) values ($1, $2)
             on conflict (only_row) do update set schema = excluded.schema, views = excluded.views",
        )
        .bind(&schema)
        .bind(&wanted)
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    Ok(schema)
}

/// Makes the views show another schema, in the caller's transaction.
///
/// # Errors
/// Of the database; a reader that holds a view for longer than `lock_timeout` is one.
pub(crate) async fn show(conn: &mut PgConnection, schema: &str) -> sqlx::Result<()> {
    sqlx::query("select pg_advisory_xact_lock($1)").bind(VIEWS_LOCK).execute(&mut *conn).await?;
    let views = views_over(schema);
    let digest = schemas::ids::sha256_hex(views.as_bytes());
    sqlx::raw_sql(AssertSqlSafe(views)).execute(&mut *conn).await?;
    sqlx::query("update inbox.serving set schema = $1, views = $2")
        .bind(schema)
        .bind(digest)
        .execute(conn)
        .await
        .map(|_| ())
}
