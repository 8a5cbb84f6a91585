//! Table `receipts`: receipts with a watermark.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::of;
use crate::fold::receipt::ReceiptRow;

/// A receipt as it was before the batch.
#[derive(sqlx::FromRow)]
pub(crate) struct OldReceipt {
    pub(crate) conversation_id: String,
    pub(crate) kind: String,
    pub(crate) watermark: DateTime<Utc>,
    pub(crate) at: DateTime<Utc>,
}

/// The receipts with these ids.
pub(crate) async fn existing(
    conn: &mut PgConnection,
    ids: &[&str],
) -> sqlx::Result<Vec<OldReceipt>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_as("select conversation_id, kind, watermark, at from receipts where id = any($1)")
        .bind(ids)
        .fetch_all(conn)
        .await
}

/// Inserts or replaces rows.
pub(crate) async fn put(conn: &mut PgConnection, rows: &[ReceiptRow]) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into receipts (
            id, conversation_id, kind, watermark, at)
         select
            id, conversation_id, kind, watermark, at
         from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[])
              as n(id, conversation_id, kind, watermark, at)
         on conflict (id) do update set
            conversation_id = excluded.conversation_id, kind = excluded.kind, watermark = excluded.watermark,
            at = excluded.at",
    )
    .bind(of(rows, |row| row.id.as_str()))
    .bind(of(rows, |row| row.conversation_id.as_str()))
    .bind(of(rows, |row| row.kind))
    .bind(of(rows, |row| row.watermark))
    .bind(of(rows, |row| row.at))
    .execute(conn)
    .await
    .map(|_| ())
}

/// Deletes receipts that follow from nothing any more.
pub(crate) async fn drop(conn: &mut PgConnection, ids: &[String]) -> sqlx::Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query("delete from receipts where id = any($1)").bind(ids).execute(conn).await.map(|_| ())
}

/// Deletes all receipts but those of these conversations.
pub(crate) async fn confine(conn: &mut PgConnection, conversations: &[String]) -> sqlx::Result<()> {
    sqlx::query("delete from receipts where conversation_id <> all($1)")
        .bind(conversations)
        .execute(conn)
        .await
        .map(|_| ())
}
