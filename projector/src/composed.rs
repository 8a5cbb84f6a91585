//! Every statement that this crate makes while it runs, because Postgres takes no parameter for the name of a schema or of a table.
//! `tests/it/statements.rs` prepares what is listed here; the rule `statements` of the crate `house` finds what sends it.

use sqlx::PgConnection;

use crate::rebuild;
use crate::store::schema::{self, SchemaName};
use crate::store::two_models;

/// A statement and what makes it.
#[derive(Clone, Debug)]
pub struct Composed {
    /// Name of the function.
    pub by: &'static str,
    /// What it returns.
    pub sql: String,
}

/// All of them for two models, with the tables that these have.
///
/// # Errors
/// `sqlx::Error`: the catalog could not be read.
pub async fn composed(
    conn: &mut PgConnection,
    is: &SchemaName,
    should: &SchemaName,
) -> sqlx::Result<Vec<Composed>> {
    let mut all = Vec::new();
    let mut add = |by, sql| all.push(Composed { by, sql });
    for (by, sql) in rebuild::composed(conn, is, should).await? {
        add(by, sql);
    }
    for (table, column) in two_models::COPIED {
        add("copy_rows_sql", two_models::copy_rows_sql(is, should, table, column));
    }
    add("copy_facts_sql", two_models::copy_facts_sql(is, should));
    add("confine_facts_sql", two_models::confine_facts_sql(is, should));
    add("confine_messages_sql", two_models::confine_messages_sql(is, should, is));
    for table in schema::tables_of(&mut *conn, is).await? {
        add("analyze_sql", schema::analyze_sql(is, &table));
    }
    add("views_sql", schema::views_sql(is));
    add("drop_sql", schema::drop_sql(is));
    Ok(all)
}
