//! Table `withdrawn`: withdrawals are for ever and may come before the event.

use std::collections::{BTreeMap, BTreeSet};

use schemas::EventId;
use sqlx::PgConnection;

use super::parked_bytes;

#[derive(sqlx::FromRow)]
struct WithdrawnRow {
    event_id: EventId,
    is_erased: bool,
}

/// Which of these events are withdrawn, and which of those were erased.
pub(crate) async fn among(
    conn: &mut PgConnection,
    events: &[&str],
) -> sqlx::Result<(BTreeSet<EventId>, BTreeSet<EventId>)> {
    let found: Vec<WithdrawnRow> = sqlx::query_as(
        "select w.event_id, w.is_erased from unnest($1::text[]) e(event_id) cross join lateral (
                select w.event_id, w.reason = 'erased' as is_erased from withdrawn w where w.event_id = e.event_id offset 0) w",
    )
    .bind(events)
    .fetch_all(conn)
    .await?;
    let erased = found.iter().filter(|row| row.is_erased).map(|row| row.event_id.clone()).collect();
    Ok((found.into_iter().map(|row| row.event_id).collect(), erased))
}

/// Notes that these events are withdrawn, with the reason of each.
pub(crate) async fn put(
    conn: &mut PgConnection,
    withdrawn: &BTreeMap<EventId, &'static str>,
) -> sqlx::Result<()> {
    if withdrawn.is_empty() {
        return Ok(());
    }
    let (events, reasons): (Vec<&str>, Vec<&str>) =
        withdrawn.iter().map(|(event, reason)| (event.as_str(), *reason)).unzip();
    sqlx::query(
        "insert into withdrawn (event_id, reason) select * from unnest($1::text[], $2::text[])
         on conflict (event_id) do update set reason = excluded.reason where excluded.reason = 'erased'",
    )
    .bind(events)
    .bind(reasons)
    .execute(&mut *conn)
    .await?;
    let of_erased = withdrawn.iter().filter(|(_, reason)| **reason == "erased");
    let erased: Vec<&str> = of_erased.map(|(event, _)| event.as_str()).collect();
    parked_bytes::forget(conn, &erased).await
}

/// Deletes all rows.
pub(crate) async fn clear(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("delete from withdrawn").execute(conn).await.map(|_| ())
}
