//! Table `notes`: notes of people on our side about conversations.

use sqlx::PgConnection;

use super::of;
use crate::fold::note::NoteRow;

/// Inserts or replaces rows.
pub(crate) async fn put(conn: &mut PgConnection, rows: &[NoteRow]) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into notes (
            id, note_id, conversation_id, channel, account_id, text, noted_by, noted_at)
         select
            id, note_id, conversation_id, channel, account_id, text, noted_by, noted_at
         from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[])
              as n(id, note_id, conversation_id, channel, account_id, text, noted_by, noted_at)
         on conflict (id) do update set
            note_id = excluded.note_id, conversation_id = excluded.conversation_id, channel = excluded.channel,
            account_id = excluded.account_id, text = excluded.text, noted_by = excluded.noted_by,
            noted_at = excluded.noted_at",
    )
    .bind(of(rows, |row| row.id.as_str()))
    .bind(of(rows, |row| row.note_id.as_str()))
    .bind(of(rows, |row| row.conversation_id.as_ref()))
    .bind(of(rows, |row| row.channel.as_str()))
    .bind(of(rows, |row| row.account_id.as_str()))
    .bind(of(rows, |row| row.text.as_str()))
    .bind(of(rows, |row| row.noted_by.as_deref()))
    .bind(of(rows, |row| row.noted_at))
    .execute(conn)
    .await
    .map(|_| ())
}

/// Deletes notes that follow from nothing any more.
pub(crate) async fn drop(conn: &mut PgConnection, ids: &[String]) -> sqlx::Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query("delete from notes where id = any($1)").bind(ids).execute(conn).await.map(|_| ())
}

/// Deletes all notes but those of these conversations.
pub(crate) async fn confine(conn: &mut PgConnection, conversations: &[String]) -> sqlx::Result<()> {
    sqlx::query("delete from notes where conversation_id <> all($1)")
        .bind(conversations)
        .execute(conn)
        .await
        .map(|_| ())
}
