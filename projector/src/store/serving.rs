//! Table `inbox.serving`: the schema that the public views show, a digest of their text, and its generation.

use sqlx::{PgConnection, PgPool};

use super::mended;
use super::schema::{GENERATION, SchemaName, replace_views, views_sql};

/// Key of the advisory lock under which views are replaced: `hookvie` in hex.
const VIEWS_LOCK: i64 = 0x68_6f_6f_6b_76_69_65;

#[derive(sqlx::FromRow)]
struct Serving {
    schema: SchemaName,
    views: String,
    generation: i32,
}

/// The schema that the public views show; `None` where there are none yet.
///
/// # Errors
/// `sqlx::Error`: ask again.
pub(crate) async fn serves(pool: &PgPool) -> sqlx::Result<Option<SchemaName>> {
    let asked = sqlx::query_scalar("select schema from inbox.serving").fetch_optional(pool).await;
    runtime::db::absent_is_empty(asked)
}

/// Whether a release that knows more than this one has made the public views.
///
/// # Errors
/// `sqlx::Error`: ask again.
pub(crate) async fn is_of_newer_release(pool: &PgPool) -> sqlx::Result<bool> {
    let asked = sqlx::query_scalar(
        "select coalesce(max((to_jsonb(s) ->> 'generation')::int), 0) > $1 from inbox.serving s",
    )
    .bind(GENERATION)
    .fetch_one(pool)
    .await;
    runtime::db::absent_is_empty(asked)
}

/// The schema that the public views show; the first one where nothing is there yet.
///
/// # Errors
/// `sqlx::Error`: ask again.
pub(crate) async fn serving(pool: &PgPool) -> sqlx::Result<SchemaName> {
    Ok(serves(pool).await?.unwrap_or_else(SchemaName::first))
}

/// The same within a transaction; `None` where nothing serves yet.
pub(crate) async fn serving_now(conn: &mut PgConnection) -> sqlx::Result<Option<SchemaName>> {
    sqlx::query_scalar("select schema from inbox.serving").fetch_optional(conn).await
}

/// The same, and it stays so until the end of the transaction.
pub(crate) async fn hold_serving(conn: &mut PgConnection) -> sqlx::Result<Option<SchemaName>> {
    sqlx::query_scalar("select schema from inbox.serving for share").fetch_optional(conn).await
}

/// Whether there are read models at all.
pub(crate) async fn exists(conn: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar("select to_regclass('inbox.serving') is not null").fetch_one(conn).await
}

/// Makes the tables of schema `inbox` where they are missing, and the views show the schema that serves, in one transaction. Views are
/// touched only when their text changed. Returns the schema.
pub(super) async fn install_views(pool: &PgPool) -> sqlx::Result<SchemaName> {
    let mut tx = pool.begin().await?;
    lock_views(&mut tx).await?;
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
         );
         -- A release before this column made the views of generation 0. Asked first: to alter a table waits for all its readers.
         do $$ begin
             if not exists (select from pg_attribute where attrelid = 'inbox.serving'::regclass and attname = 'generation') then
                 alter table inbox.serving add column generation int not null default 0;
             end if;
         end $$;",
    )
    .execute(&mut *tx)
    .await?;
    mended::make(&mut tx).await?;
    let stored: Option<Serving> =
        sqlx::query_as("select schema, views, generation from inbox.serving")
            .fetch_optional(&mut *tx)
            .await?;
    let Serving { schema, views: digest, generation } = stored.unwrap_or_else(|| Serving {
        schema: SchemaName::first(),
        views: String::new(),
        generation: 0,
    });
    let views = views_sql(&schema);
    let wanted = digest_of(&views);
    if GENERATION < generation {
        tracing::info!(
            generation,
            "A newer release has made the views of schema `inbox`; they stay as they are"
        );
    } else if (wanted.as_str(), GENERATION) != (digest.as_str(), generation) {
        replace_views(&mut tx, views).await?;
        sqlx::query(
            "insert into inbox.serving (schema, views, generation) values ($1, $2, $3)
             on conflict (only_row) do update
                set schema = excluded.schema, views = excluded.views, generation = excluded.generation",
        )
        .bind(schema.as_str())
        .bind(&wanted)
        .bind(GENERATION)
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    Ok(schema)
}

/// Makes the views show another schema, in the caller's transaction.
///
/// # Errors
/// `sqlx::Error`, of which [`runtime::db::is_held_up`] says whether a reader holds a view for longer than `lock_timeout`; roll back.
pub(crate) async fn show(conn: &mut PgConnection, schema: &SchemaName) -> sqlx::Result<()> {
    lock_views(conn).await?;
    let views = views_sql(schema);
    let digest = digest_of(&views);
    replace_views(conn, views).await?;
    sqlx::query("update inbox.serving set schema = $1, views = $2, generation = $3")
        .bind(schema.as_str())
        .bind(digest)
        .bind(GENERATION)
        .execute(conn)
        .await
        .map(|_| ())
}

/// Makes the list of mended events where a release before this one serves.
///
/// # Errors
/// `sqlx::Error`: ask again.
pub(crate) async fn make_mended(pool: &PgPool) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    lock_views(&mut tx).await?;
    mended::make(&mut tx).await?;
    tx.commit().await
}

async fn lock_views(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("select pg_advisory_xact_lock($1)").bind(VIEWS_LOCK).execute(conn).await.map(|_| ())
}

fn digest_of(views: &str) -> String {
    schemas::ids::sha256_hex(views.as_bytes())
}
