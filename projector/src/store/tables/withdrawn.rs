//! Table `withdrawn`: withdrawals are for ever and may come before the event.

use std::collections::{BTreeMap, BTreeSet};

use schemas::EventId;
use sqlx::PgConnection;

/// Which of these events are withdrawn.
pub(crate) async fn among(
    conn: &mut PgConnection,
    events: &[&str],
) -> sqlx::Result<BTreeSet<EventId>> {
    let found: Vec<EventId> = sqlx::query_scalar(
        "select w.event_id from unnest($1::text[]) e(event_id) cross join lateral (
                select w.event_id from withdrawn w where w.event_id = e.event_id offset 0) w",
    )
    .bind(events)
    .fetch_all(conn)
    .await?;
    Ok(found.into_iter().collect())
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
         on conflict (event_id) do nothing",
    )
    .bind(events)
    .bind(reasons)
    .execute(conn)
    .await
    .map(|_| ())
}

/// Deletes all rows.
pub(crate) async fn clear(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("delete from withdrawn").execute(conn).await.map(|_| ())
}
