//! Table `insights`.

use sqlx::PgConnection;
use sqlx::types::Json;

use crate::fold::insight::InsightRow;

/// Inserts or replaces rows.
pub(crate) async fn put(conn: &mut PgConnection, rows: &[InsightRow]) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into insights (
            id, channel, account_id, object, media_id, metric, period, values, captured_at)
         select
            id, channel, account_id, object, media_id, metric, period, values, captured_at
         from json_populate_recordset(null::insights, $1::json) order by id
         on conflict (id) do update set
            channel = excluded.channel, account_id = excluded.account_id, object = excluded.object,
            media_id = excluded.media_id, metric = excluded.metric, period = excluded.period,
            values = excluded.values, captured_at = excluded.captured_at",
    )
    .bind(Json(rows))
    .execute(conn)
    .await
    .map(|_| ())
}

/// Deletes figures that follow from nothing any more.
pub(crate) async fn drop(conn: &mut PgConnection, ids: &[String]) -> sqlx::Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query("delete from insights where id = any($1)").bind(ids).execute(conn).await.map(|_| ())
}

/// Deletes all rows.
pub(crate) async fn clear(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("delete from insights").execute(conn).await.map(|_| ())
}
