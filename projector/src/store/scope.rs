//! Which read model the tables of a statement belong to.
//!
//! Statements name the tables of a read model without a schema. A transaction says first which model it means; this ends with the
//! transaction, so that a pooled connection remembers nothing. Postgres analyses a prepared statement anew when another `search_path` is
//! in force than before, so one statement may be run over several models on one connection.

use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use super::schema::SchemaName;

/// From here to the end of the transaction tables without a schema are those of this model.
pub(crate) async fn enter(conn: &mut PgConnection, schema: &SchemaName) -> sqlx::Result<()> {
    sqlx::query("select set_config('search_path', $1, true)")
        .bind(schema.as_str())
        .execute(conn)
        .await
        .map(|_| ())
}

/// A transaction in which tables without a schema are those of this model.
pub(crate) async fn begin(
    pool: &PgPool,
    schema: &SchemaName,
) -> sqlx::Result<Transaction<'static, Postgres>> {
    let mut tx = pool.begin().await?;
    enter(&mut tx, schema).await?;
    Ok(tx)
}

/// Takes the lock that every writer of the model takes first, until the end of the transaction, and [`enter`]s the model. `name`: of the
/// writers' lease.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    schema: &SchemaName,
    name: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "select pg_advisory_xact_lock(hashtextextended($1, 0)), set_config('search_path', $2, true)",
    )
    .bind(format!("{schema}/{name}"))
    .bind(schema.as_str())
    .execute(conn)
    .await
    .map(|_| ())
}

/// The same for those who write batches: statements have one plan, and it looks rows up by index.
///
/// A plan that was made while a table was empty is kept until the first statistics; by then it has read a grown table from end to end, once
/// per batch. So plans do not depend on what the tables hold: no scan of a whole table, no join that reads one, and the same plan for any
/// parameters, made once.
pub(crate) async fn lock_to_write(
    conn: &mut PgConnection,
    schema: &SchemaName,
    name: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "select pg_advisory_xact_lock(hashtextextended($1, 0)), set_config('search_path', $2, true),
                set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
                set_config('enable_mergejoin', 'off', true),
                set_config('plan_cache_mode', 'force_generic_plan', true)",
    )
    .bind(format!("{schema}/{name}"))
    .bind(schema.as_str())
    .execute(conn)
    .await
    .map(|_| ())
}
