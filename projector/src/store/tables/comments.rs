//! Table `comments`.

use sqlx::PgConnection;
use sqlx::types::Json;

use crate::fold::comment::CommentRow;

/// Inserts or replaces rows.
pub(crate) async fn put(conn: &mut PgConnection, rows: &[CommentRow]) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into comments (
            id, channel, account_id, comment_id, parent_id, media_id, post_id, author_id, author_username,
            author_self, text, photo, attachment, live, ad, media_product_type, created_at, time_approximate, edited_at,
            deleted_at, hidden, hidden_at, stub)
         select
            id, channel, account_id, comment_id, parent_id, media_id, post_id, author_id, author_username,
            author_self, text, photo, attachment, live, ad, media_product_type, created_at, time_approximate, edited_at,
            deleted_at, hidden, hidden_at, stub
         from json_populate_recordset(null::comments, $1::json) order by id
         on conflict (id) do update set
            channel = excluded.channel, account_id = excluded.account_id, comment_id = excluded.comment_id,
            parent_id = excluded.parent_id, media_id = excluded.media_id, post_id = excluded.post_id,
            author_id = excluded.author_id, author_username = excluded.author_username,
            author_self = excluded.author_self, text = excluded.text, photo = excluded.photo,
            attachment = excluded.attachment, live = excluded.live,
            ad = excluded.ad, media_product_type = excluded.media_product_type, created_at = excluded.created_at,
            time_approximate = excluded.time_approximate, edited_at = excluded.edited_at,
            deleted_at = excluded.deleted_at, hidden = excluded.hidden, hidden_at = excluded.hidden_at,
            stub = excluded.stub",
    )
    .bind(Json(rows))
    .execute(conn)
    .await
    .map(|_| ())
}

/// Deletes comments that follow from nothing any more.
pub(crate) async fn drop(conn: &mut PgConnection, ids: &[String]) -> sqlx::Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query("delete from comments where id = any($1)").bind(ids).execute(conn).await.map(|_| ())
}

/// Deletes all rows.
pub(crate) async fn clear(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("delete from comments").execute(conn).await.map(|_| ())
}
