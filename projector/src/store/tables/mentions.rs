//! Table `mentions`.

use sqlx::PgConnection;
use sqlx::types::Json;

use crate::fold::mention::MentionRow;

/// Inserts or replaces rows.
pub(crate) async fn put(conn: &mut PgConnection, rows: &[MentionRow]) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into mentions (
            id, channel, account_id, media_id, comment_id, post_id, item, author_id, author_username, text,
            mentioned_at, time_approximate, deleted_at)
         select
            id, channel, account_id, media_id, comment_id, post_id, item, author_id, author_username, text,
            mentioned_at, time_approximate, deleted_at
         from json_populate_recordset(null::mentions, $1::json) order by id
         on conflict (id) do update set
            channel = excluded.channel, account_id = excluded.account_id, media_id = excluded.media_id,
            comment_id = excluded.comment_id, post_id = excluded.post_id, item = excluded.item,
            author_id = excluded.author_id, author_username = excluded.author_username, text = excluded.text,
            mentioned_at = excluded.mentioned_at, time_approximate = excluded.time_approximate,
            deleted_at = excluded.deleted_at",
    )
    .bind(Json(rows))
    .execute(conn)
    .await
    .map(|_| ())
}

/// Deletes mentions that follow from nothing any more.
pub(crate) async fn drop(conn: &mut PgConnection, ids: &[String]) -> sqlx::Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query("delete from mentions where id = any($1)").bind(ids).execute(conn).await.map(|_| ())
}

/// Deletes all rows.
pub(crate) async fn clear(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("delete from mentions").execute(conn).await.map(|_| ())
}
