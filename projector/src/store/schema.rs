//! Bringing the schema up to date, and which schema the public views show.

use anyhow::Context as _;
use sqlx::{AssertSqlSafe, PgPool, Row};
use tokio_util::sync::CancellationToken;

/// The first schema of the read model; a rebuild makes the next one beside it.
pub const FIRST_SCHEMA: &str = "inbox_v1";

const VIEWS: &str = include_str!("../../views.sql");
const VIEWS_LOCK: i64 = 0x68_6f_6f_6b_76_69_65;

/// Migrates the read model and its views; waits for Postgres. Gives the schema the views show, `None` when the process is to stop.
///
/// # Errors
/// When a migration is wrong or the views cannot be replaced.
pub async fn prepare(
    pool: &PgPool,
    shutdown: &CancellationToken,
) -> anyhow::Result<Option<String>> {
    if !runtime::db::migrate(pool, FIRST_SCHEMA, sqlx::migrate!("./migrations"), shutdown).await? {
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
