//! Statements that erase parked rows, and the bytes kept with those of others.

use schemas::{AccountId, Channel, ContactId, Timestamp};
use sqlx::{FromRow, PgConnection, PgPool};

use crate::parked_raws;
use crate::raw_webhook::RawWebhook;

/// Deletes what is parked of a conversation and was received up to a time, and who gave up what of it. The trigger of the table lets go of the
/// bytes that nobody needs any more. Later rows stay; the first of them becomes due, and what the rules forbid in them is refused then.
///
/// # Errors
/// `sqlx::Error`; roll back.
pub async fn forget_parked(
    conn: &mut PgConnection,
    (channel, account): (Channel, &AccountId),
    contact: &ContactId,
    until: Timestamp,
) -> sqlx::Result<u64> {
    let lane = format!("{channel}/{account}/{contact}");
    // Of bytes that are not kept any more it is known when the row was made.
    let done = sqlx::query(
        "delete from worker.parked p
          where p.lane = $1
            and coalesce((select (r.meta ->> 'received_at')::timestamptz from worker.parked_raws r
                           where r.raw_era = p.raw_era and r.raw_seq = p.raw_seq), p.parked_at) <= $2",
    )
    .bind(&lane)
    .bind(until)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "update worker.parked set retry_at = clock_timestamp()
          where id = (select h.head from worker.held_lanes h where h.lane = $1) and role = 'behind'",
    )
    .bind(&lane)
    .execute(&mut *conn)
    .await?;
    sqlx::query("update worker.parked_discarded set lane = 'erased' where lane = $1")
        .bind(&lane)
        .execute(conn)
        .await?;
    Ok(done.rows_affected())
}

/// A raw webhook that is kept with parked rows.
pub(super) struct KeptRow {
    pub(super) raw_era: i16,
    pub(super) raw_seq: i64,
    /// `None`: its bytes are gone.
    pub(super) raw: Option<RawWebhook>,
}

#[derive(FromRow)]
struct Key {
    raw_era: i16,
    raw_seq: i64,
}

/// The next ones by position.
pub(super) async fn kept_after(
    pool: &PgPool,
    after: (i16, i64),
    limit: i64,
) -> sqlx::Result<Vec<KeptRow>> {
    let keys: Vec<Key> = sqlx::query_as(
        "select raw_era, raw_seq from worker.parked_raws where (raw_era, raw_seq) > ($1, $2) order by raw_era, raw_seq limit $3",
    )
    .bind(after.0)
    .bind(after.1)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    let mut rows = Vec::with_capacity(keys.len());
    for Key { raw_era, raw_seq } in keys {
        let raw = parked_raws::kept(pool, raw_era, raw_seq).await?;
        rows.push(KeptRow { raw_era, raw_seq, raw });
    }
    Ok(rows)
}

/// Replaces the bytes of a raw webhook by what is left of them.
pub(super) async fn replace(
    pool: &PgPool,
    row: &KeptRow,
    raw: &RawWebhook,
    body: &[u8],
) -> sqlx::Result<()> {
    parked_raws::redact(pool, row.raw_era, row.raw_seq, raw, body).await
}
