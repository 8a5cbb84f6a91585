//! Statements over two read models at once: they name both schemas, since a transaction can enter only one.

use sqlx::{AssertSqlSafe, PgConnection};

use super::schema::SchemaName;

/// Copies the rows of these conversations, and the facts that made them, from one model into another.
pub(crate) async fn copy_conversations(
    conn: &mut PgConnection,
    from: &SchemaName,
    into: &SchemaName,
    conversations: &[String],
) -> sqlx::Result<()> {
    for (table, column) in
        [("conversations", "id"), ("messages", "conversation_id"), ("receipts", "conversation_id")]
    {
        let copy = format!(
            "insert into {into}.{table} select * from {from}.{table} where {column} = any($1)"
        );
        sqlx::query(AssertSqlSafe(copy)).bind(conversations).execute(&mut *conn).await?;
    }
    let facts = format!(
        "insert into {into}.facts select f.* from {from}.facts f where f.entity = any(array(
           select id from {into}.conversations union select id from {into}.messages union select id from {into}.receipts))"
    );
    sqlx::query(AssertSqlSafe(facts)).execute(conn).await.map(|_| ())
}

/// Deletes from one model the facts of rows that the other one does not have.
pub(crate) async fn confine_facts(
    conn: &mut PgConnection,
    of: &SchemaName,
    to_rows_in: &SchemaName,
) -> sqlx::Result<()> {
    let facts = format!(
        "delete from {of}.facts f where not exists (select from (
           select id from {to_rows_in}.conversations union select id from {to_rows_in}.messages
           union select id from {to_rows_in}.receipts) k
          where k.id = f.entity)"
    );
    sqlx::query(AssertSqlSafe(facts)).execute(conn).await.map(|_| ())
}
