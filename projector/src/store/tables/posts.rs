//! Table `posts`.

use sqlx::PgConnection;
use sqlx::types::Json;

use crate::fold::post::PostRow;

/// Inserts or replaces rows.
pub(crate) async fn put(conn: &mut PgConnection, rows: &[PostRow]) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into posts (
            id, channel, account_id, post_id, item, author_id, author_username, author_self, text, link, photos,
            video_id, published, created_at, time_approximate, edited_at, deleted_at, hidden)
         select
            id, channel, account_id, post_id, item, author_id, author_username, author_self, text, link, photos,
            video_id, published, created_at, time_approximate, edited_at, deleted_at, hidden
         from json_populate_recordset(null::posts, $1::json) order by id
         on conflict (id) do update set
            channel = excluded.channel, account_id = excluded.account_id, post_id = excluded.post_id,
            item = excluded.item, author_id = excluded.author_id, author_username = excluded.author_username,
            author_self = excluded.author_self, text = excluded.text, link = excluded.link, photos = excluded.photos,
            video_id = excluded.video_id, published = excluded.published, created_at = excluded.created_at,
            time_approximate = excluded.time_approximate, edited_at = excluded.edited_at,
            deleted_at = excluded.deleted_at, hidden = excluded.hidden",
    )
    .bind(Json(rows))
    .execute(conn)
    .await
    .map(|_| ())
}

/// Deletes posts that follow from nothing any more.
pub(crate) async fn drop(conn: &mut PgConnection, ids: &[String]) -> sqlx::Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query("delete from posts where id = any($1)").bind(ids).execute(conn).await.map(|_| ())
}

/// Deletes all rows.
pub(crate) async fn clear(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("delete from posts").execute(conn).await.map(|_| ())
}
