//! The schemas of read models, and the statements that must contain a schema's name because Postgres takes no parameter there.
//!
//! Every other statement names its tables without a schema: see [`scope`](super::scope).

use std::fmt;

use sqlx::error::BoxDynError;
use sqlx::migrate::{Migration, Migrator};
use sqlx::postgres::{PgTypeInfo, PgValueRef};
use sqlx::{
    AssertSqlSafe, Decode, PgConnection, PgExecutor, PgPool, Postgres, SqlSafeStr as _, Type,
};
use tokio_util::sync::CancellationToken;

/// The schema that migrations and views are written for; a rebuild makes `inbox_v2` and so on beside it.
const FIRST: &str = "inbox_v1";
/// How names of schemas for one verification begin; eight hex digits follow.
const SCRATCH: &str = "inbox_verify_";
const VIEWS: &str = include_str!("../../views.sql");
/// Of `views.sql`: raised with every change of it, so that a release that knows fewer columns leaves the views of a newer one alone.
pub(super) const GENERATION: i32 = 3;

/// The schema of a read model: `inbox_v<n>`, or `inbox_verify_<hex>` while something is verified. Safe to put into a statement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SchemaName(String);

/// The text is no name of a read model's schema.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no schema of a read model: these are `inbox_v<number>` and `inbox_verify_<hex>`")]
pub struct NotASchema(String);

impl SchemaName {
    /// The schema of the first read model, `inbox_v1`.
    pub fn first() -> Self {
        Self(FIRST.to_owned())
    }

    /// The schema of the `number`th read model.
    pub(crate) fn numbered(number: u64) -> Self {
        Self(format!("inbox_v{number}"))
    }

    /// A schema for one verification.
    pub(crate) fn scratch(random: u32) -> Self {
        Self(format!("{SCRATCH}{random:08x}"))
    }

    /// Whether it is a schema for one verification.
    pub(crate) fn is_scratch(&self) -> bool {
        self.0.starts_with(SCRATCH)
    }

    /// The number of a read model; a schema for a verification has none.
    pub(crate) fn number(&self) -> Option<u64> {
        self.0.strip_prefix("inbox_v")?.parse().ok()
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for SchemaName {
    type Error = NotASchema;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let all = |digits: &str, is: fn(&u8) -> bool| {
            !digits.is_empty() && digits.bytes().all(|byte| is(&byte))
        };
        let scratch = name.strip_prefix(SCRATCH).is_some_and(|hex| all(hex, u8::is_ascii_hexdigit));
        let model = name.strip_prefix("inbox_v").is_some_and(|n| all(n, u8::is_ascii_digit));
        if model || scratch { Ok(Self(name)) } else { Err(NotASchema(name)) }
    }
}

impl fmt::Display for SchemaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Type<Postgres> for SchemaName {
    fn type_info() -> PgTypeInfo {
        <String as Type<Postgres>>::type_info()
    }

    fn compatible(found: &PgTypeInfo) -> bool {
        <String as Type<Postgres>>::compatible(found)
    }
}

impl<'r> Decode<'r, Postgres> for SchemaName {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(String::decode(value)?.try_into()?)
    }
}

/// The public views over the tables of one schema: `views.sql` with its name.
pub(crate) fn views_sql(schema: &SchemaName) -> String {
    VIEWS.replace(FIRST, schema.as_str())
}

/// Replaces the public views. They belong to the owner of `inbox`, whoever does it.
pub(super) async fn replace_views(conn: &mut PgConnection, views: String) -> sqlx::Result<()> {
    sqlx::query(
        "select set_config('role', pg_get_userbyid(nspowner), true) from pg_namespace
          where nspname = 'inbox' and pg_get_userbyid(nspowner) <> current_user and pg_has_role(current_user, nspowner, 'member')",
    )
    .execute(&mut *conn)
    .await?;
    sqlx::raw_sql(AssertSqlSafe(views)).execute(&mut *conn).await?;
    sqlx::raw_sql("reset role").execute(conn).await.map(|_| ())
}

/// Makes or brings up to date the tables of one read model; waits for Postgres. `false`: the process is to stop.
///
/// # Errors
/// When a migration is wrong, or the schema was migrated by a changed file.
pub(crate) async fn migrate(
    pool: &PgPool,
    schema: &SchemaName,
    shutdown: &CancellationToken,
) -> anyhow::Result<bool> {
    runtime::db::migrate(pool, schema.as_str(), migrations(schema), shutdown).await
}

fn migrations(schema: &SchemaName) -> Migrator {
    let first = sqlx::migrate!("./migrations");
    if schema.as_str() == FIRST {
        return first;
    }
    let renamed = first.migrations.iter().map(|one| {
        let sql = one.sql.as_str().replace(FIRST, schema.as_str());
        let sql = AssertSqlSafe(sql).into_sql_str();
        Migration::new(one.version, one.description.clone(), one.migration_type, sql, one.no_tx)
    });
    Migrator::with_migrations(renamed.collect())
}

/// Drops a read model with everything in it.
pub(crate) async fn drop_schema(conn: &mut PgConnection, schema: &SchemaName) -> sqlx::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(drop_sql(schema))).execute(conn).await.map(|_| ())
}

/// Drops the indexes of the model that a transaction has entered which only readers need: while it is filled, every row would pay for them.
/// [`complete_indexes`] makes them again.
pub(crate) async fn drop_readers_indexes(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(
        "do $$ declare name text; begin
           for name in select c.relname from pg_index i join pg_class c on c.oid = i.indexrelid
             where c.relnamespace = current_schema()::regnamespace and not i.indisunique
               and c.relname not in ('facts_of_rows', 'messages_listed', 'messages_undelivered', 'messages_unseen',
                   'receipts_covering')
           loop execute format('drop index %I.%I', current_schema(), name); end loop;
         end $$",
    )
    .execute(conn)
    .await
    .map(|_| ())
}

/// Makes the indexes that the serving model has and the entered one has not.
pub(crate) async fn complete_indexes(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(
        "do $$ declare definition text; begin
           for definition in
             select replace(i.indexdef, ' ON ' || s.schema || '.', ' ON ' || current_schema() || '.')
               from inbox.serving s join pg_indexes i on i.schemaname = s.schema
              where not exists (select from pg_indexes n where n.schemaname = current_schema() and n.indexname = i.indexname)
           loop execute definition; end loop;
         end $$",
    )
    .execute(conn)
    .await
    .map(|_| ())
}

/// Collects statistics for a read model that was filled in one go: without them every reader would get plans for empty tables.
pub(crate) async fn analyse(pool: &PgPool, schema: &SchemaName) -> sqlx::Result<()> {
    for table in tables_of(pool, schema).await? {
        sqlx::raw_sql(AssertSqlSafe(analyze_sql(schema, &table))).execute(pool).await?;
    }
    Ok(())
}

/// The tables of a read model, quoted where they need to be.
pub(crate) async fn tables_of(
    executor: impl PgExecutor<'_>,
    schema: &SchemaName,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select quote_ident(relname) from pg_class where relnamespace = $1::regnamespace and relkind = 'r'",
    )
    .bind(schema.as_str())
    .fetch_all(executor)
    .await
}

pub(crate) fn drop_sql(schema: &SchemaName) -> String {
    format!("drop schema if exists {schema} cascade")
}

pub(crate) fn analyze_sql(schema: &SchemaName, table: &str) -> String {
    format!("analyze {schema}.{table}")
}

/// All read models that exist or are being made or verified.
pub(crate) async fn existing(conn: &mut PgConnection) -> sqlx::Result<Vec<SchemaName>> {
    sqlx::query_scalar(
        "select nspname::text from pg_namespace where nspname ~ '^inbox_(v[0-9]+|verify_[0-9a-f]+)$'",
    )
    .fetch_all(conn)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a change of `views.sql`: raise [`GENERATION`] by one, and write the new digest here.
    #[test]
    fn views_of_one_generation_have_one_text() {
        let digest = schemas::ids::sha256_hex(VIEWS.as_bytes());
        assert_eq!(
            (GENERATION, digest.as_str()),
            (3, "7fa5b7351afe234400d94422ee611eb056125826e835fc44ba4c10901ce79657"),
            "views.sql was changed"
        );
    }

    #[test]
    fn only_names_of_read_models_reach_a_statement() {
        let name = |name: &str| SchemaName::try_from(name.to_owned()).ok();
        assert_eq!(name("inbox_v12").and_then(|schema| schema.number()), Some(12));
        assert_eq!(name(SchemaName::scratch(7).as_str()), Some(SchemaName::scratch(7)));
        assert_eq!(SchemaName::scratch(7).number(), None);
        for wrong in
            ["", "inbox", "inbox_v", "inbox_v1; drop schema ops", "inbox_verify_", "worker"]
        {
            assert_eq!(name(wrong), None, "{wrong}");
        }
    }
}
