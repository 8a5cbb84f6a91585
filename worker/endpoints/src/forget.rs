//! What is held of a person who is erased. The events are erased in the stream; what stands here are their places, and whose they are.

use schemas::Timestamp;
use sqlx::PgConnection;

/// Forgets what is held in a lane of events that were stored up to a time. Returns how many.
///
/// # Errors
/// `sqlx::Error`; roll back.
pub async fn forget(conn: &mut PgConnection, lane: &str, until: Timestamp) -> sqlx::Result<u64> {
    // As every transaction about an endpoint: its row first.
    sqlx::query(
        "select s.endpoint_id from worker.endpoint_states s
          where s.endpoint_id in (select l.endpoint_id from worker.endpoint_lanes l where l.lane = $1)
          order by s.endpoint_id for update",
    )
    .bind(lane)
    .execute(&mut *conn)
    .await?;
    let done = sqlx::query("delete from worker.endpoint_held where lane = $1 and stored_at <= $2")
        .bind(lane)
        .bind(until)
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "delete from worker.endpoint_lanes l where l.lane = $1
            and not exists (select from worker.endpoint_held h where h.endpoint_id = l.endpoint_id and h.lane = l.lane)",
    )
    .bind(lane)
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
