//! Reads of `worker.event_positions`, the worker's view of what it published. Nothing else in this crate names a table or view of another
//! crate.

use std::collections::BTreeMap;

use sqlx::PgConnection;

/// An event that the worker published, with the highest of its positions.
#[derive(sqlx::FromRow)]
struct Published {
    event_id: String,
    position: i64,
}

/// Whether the worker has made its view.
pub(crate) async fn worker_publishes(conn: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar("select to_regclass('worker.event_positions') is not null")
        .fetch_one(conn)
        .await
}

/// The last position in INBOX_EVENTS of each of these events that the worker published.
pub(crate) async fn last_positions(
    conn: &mut PgConnection,
    events: &[String],
) -> sqlx::Result<BTreeMap<String, i64>> {
    let rows: Vec<Published> = sqlx::query_as(
        "select w.event_id, max(w.event_seq) as position
           from unnest($1::text[]) as e(event_id) join worker.event_positions w using (event_id)
          group by 1",
    )
    .bind(events)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.event_id, row.position)).collect())
}

/// All positions up to `end` at which the worker published one of these events.
pub(crate) async fn positions(
    conn: &mut PgConnection,
    events: &[String],
    end: i64,
) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar(
        "select distinct w.event_seq
           from unnest($1::text[]) as e(event_id) join worker.event_positions w using (event_id)
          where w.event_seq <= $2",
    )
    .bind(events)
    .bind(end)
    .fetch_all(conn)
    .await
}
