//! Table `labels`: the labels that conversations have.

use sqlx::PgConnection;

use super::of;
use crate::fold::label::LabelRow;

/// Inserts or replaces rows.
pub(crate) async fn put(conn: &mut PgConnection, rows: &[LabelRow]) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into labels (
            id, conversation_id, channel, account_id, name, labelled_by, labelled_at)
         select
            id, conversation_id, channel, account_id, name, labelled_by, labelled_at
         from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
              as n(id, conversation_id, channel, account_id, name, labelled_by, labelled_at)
         on conflict (id) do update set
            conversation_id = excluded.conversation_id, channel = excluded.channel, account_id = excluded.account_id,
            name = excluded.name, labelled_by = excluded.labelled_by, labelled_at = excluded.labelled_at",
    )
    .bind(of(rows, |row| row.id.as_str()))
    .bind(of(rows, |row| row.conversation_id.as_ref()))
    .bind(of(rows, |row| row.channel.as_str()))
    .bind(of(rows, |row| row.account_id.as_str()))
    .bind(of(rows, |row| row.name.as_str()))
    .bind(of(rows, |row| row.labelled_by.as_deref()))
    .bind(of(rows, |row| row.labelled_at))
    .execute(conn)
    .await
    .map(|_| ())
}

/// Deletes labels that were taken off.
pub(crate) async fn drop(conn: &mut PgConnection, ids: &[String]) -> sqlx::Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query("delete from labels where id = any($1)").bind(ids).execute(conn).await.map(|_| ())
}

/// Deletes all labels but those of these conversations.
pub(crate) async fn confine(conn: &mut PgConnection, conversations: &[String]) -> sqlx::Result<()> {
    sqlx::query("delete from labels where conversation_id <> all($1)")
        .bind(conversations)
        .execute(conn)
        .await
        .map(|_| ())
}
