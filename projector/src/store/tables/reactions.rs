//! Table `reactions`.

use sqlx::PgConnection;
use sqlx::types::Json;

use crate::fold::reaction::ReactionRow;

/// Inserts or replaces rows.
pub(crate) async fn put(conn: &mut PgConnection, rows: &[ReactionRow]) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into reactions (
            id, channel, account_id, target, target_id, author_id, reaction, at)
         select
            id, channel, account_id, target, target_id, author_id, reaction, at
         from json_populate_recordset(null::reactions, $1::json) order by id
         on conflict (id) do update set
            channel = excluded.channel, account_id = excluded.account_id, target = excluded.target,
            target_id = excluded.target_id, author_id = excluded.author_id, reaction = excluded.reaction,
            at = excluded.at",
    )
    .bind(Json(rows))
    .execute(conn)
    .await
    .map(|_| ())
}

/// Deletes reactions that follow from nothing any more.
pub(crate) async fn drop(conn: &mut PgConnection, ids: &[String]) -> sqlx::Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query("delete from reactions where id = any($1)")
        .bind(ids)
        .execute(conn)
        .await
        .map(|_| ())
}

/// Deletes all rows.
pub(crate) async fn clear(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("delete from reactions").execute(conn).await.map(|_| ())
}
