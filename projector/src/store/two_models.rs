//! Statements over two read models at once: they name both schemas, since a transaction can enter only one.

use sqlx::{AssertSqlSafe, PgConnection};

use super::schema::SchemaName;

/// The tables whose rows are copied, with the column of the conversation.
pub(crate) const COPIED: [(&str, &str); 5] = [
    ("conversations", "id"),
    ("messages", "conversation_id"),
    ("receipts", "conversation_id"),
    ("labels", "conversation_id"),
    ("notes", "conversation_id"),
];

/// Copies the rows of these conversations, and the facts that made them, from one model into another.
pub(crate) async fn copy_conversations(
    conn: &mut PgConnection,
    from: &SchemaName,
    into: &SchemaName,
    conversations: &[String],
) -> sqlx::Result<()> {
    for (table, column) in COPIED {
        let copy = copy_rows_sql(from, into, table, column);
        sqlx::query(AssertSqlSafe(copy)).bind(conversations).execute(&mut *conn).await?;
    }
    sqlx::query(AssertSqlSafe(copy_facts_sql(from, into))).execute(conn).await.map(|_| ())
}

/// Deletes from one model the facts of rows that the other one does not have.
pub(crate) async fn confine_facts(
    conn: &mut PgConnection,
    of: &SchemaName,
    to_rows_in: &SchemaName,
) -> sqlx::Result<()> {
    sqlx::query(AssertSqlSafe(confine_facts_sql(of, to_rows_in))).execute(conn).await.map(|_| ())
}

/// Deletes from `of` the messages that the model `serving` has in a conversation that was not copied into `copied`: events about one message
/// may name two people, and of the other one's conversation nothing was folded. A message that is wrong there is found with that one.
pub(crate) async fn confine_messages(
    conn: &mut PgConnection,
    of: &SchemaName,
    copied: &SchemaName,
    serving: &SchemaName,
) -> sqlx::Result<()> {
    let confine = confine_messages_sql(of, copied, serving);
    sqlx::query(AssertSqlSafe(confine)).execute(conn).await.map(|_| ())
}

pub(crate) fn confine_messages_sql(
    of: &SchemaName,
    copied: &SchemaName,
    serving: &SchemaName,
) -> String {
    format!(
        "delete from {of}.messages m
          where not exists (select from {copied}.messages c where c.id = m.id)
            and exists (select from {serving}.messages s where s.id = m.id)"
    )
}

pub(crate) fn copy_rows_sql(
    from: &SchemaName,
    into: &SchemaName,
    table: &str,
    column: &str,
) -> String {
    format!("insert into {into}.{table} select * from {from}.{table} where {column} = any($1)")
}

pub(crate) fn copy_facts_sql(from: &SchemaName, into: &SchemaName) -> String {
    format!(
        "insert into {into}.facts select f.* from {from}.facts f where f.entity = any(array(
           select id from {into}.conversations union select id from {into}.messages union select id from {into}.receipts
           union select id from {into}.labels union select id from {into}.notes))"
    )
}

pub(crate) fn confine_facts_sql(of: &SchemaName, to_rows_in: &SchemaName) -> String {
    format!(
        "delete from {of}.facts f where not exists (select from (
           select id from {to_rows_in}.conversations union select id from {to_rows_in}.messages
           union select id from {to_rows_in}.receipts union select id from {to_rows_in}.labels
           union select id from {to_rows_in}.notes) k
          where k.id = f.entity)"
    )
}
