//! Reads of `worker.event_positions` and `worker.eras`, the worker's views of what it published and where. Nothing else in this crate names a table or view of another
//! crate.

use std::collections::BTreeMap;

use runtime::streams::Era;
use sqlx::{PgConnection, PgPool};

/// An event that the worker published, with the highest of its positions.
#[derive(sqlx::FromRow)]
struct Published {
    event_id: String,
    position: i64,
}

/// The era that the worker's positions in a stream are of. Of an absent table ([`runtime::db::is_absent`]) where it has not migrated yet.
pub(crate) async fn era(pool: &PgPool, stream: &str) -> sqlx::Result<Option<Era>> {
    sqlx::query_scalar("select era from worker.eras where stream = $1")
        .bind(stream)
        .fetch_optional(pool)
        .await
}

/// Whether the worker has made its views.
pub(crate) async fn worker_publishes(conn: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar("select to_regclass('worker.eras') is not null").fetch_one(conn).await
}

/// The last position in INBOX_EVENTS of each of these events that the worker published.
pub(crate) async fn last_positions(
    conn: &mut PgConnection,
    events: &[String],
) -> sqlx::Result<BTreeMap<String, i64>> {
    let rows: Vec<Published> = sqlx::query_as(
        "select w.event_id, max(w.event_seq) as position
           from unnest($1::text[]) as e(event_id) join worker.event_positions w using (event_id)
          where w.event_era = (select worker.current_era('INBOX_EVENTS'))
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
          where w.event_seq <= $2
            and w.event_era = (select worker.current_era('INBOX_EVENTS'))",
    )
    .bind(events)
    .bind(end)
    .fetch_all(conn)
    .await
}
