//! Statements over `worker.facts` for a database that is filled again.

use std::collections::HashMap;

use schemas::{AccountId, Channel, EventId, Timestamp};
use sqlx::{FromRow, PgConnection, PgPool};

use crate::merge::is_merged;
use crate::published::Placed;
use crate::rows::number;

/// A fact that a raw webhook gave.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct FactOfRaw {
    /// The raw webhook.
    #[sqlx(try_from = "i64")]
    pub raw_seq: u64,
    /// The item of it.
    pub raw_index: Option<i32>,
    /// Its kind, as a word.
    pub kind: String,
    /// Its channel.
    pub channel: Channel,
    /// Its account.
    pub account_id: AccountId,
}

/// Where a reading stands.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct PlacedFact {
    /// The event.
    pub event_id: EventId,
    /// Of its source.
    pub rank: i16,
    /// Its raw webhook or command.
    pub raw_seq: Option<i64>,
    /// Its position in INBOX_EVENTS.
    #[sqlx(try_from = "i64")]
    pub event_seq: u64,
}

/// Of these readings, those that several reports give together: an earlier reading of the fact came from another item of a raw webhook.
pub(super) async fn mark_merged(conn: &mut PgConnection, placed: &[Placed]) -> sqlx::Result<()> {
    let later = placed.iter().map(|one| &one.planned.draft.event);
    let later: Vec<_> =
        later.filter(|event| event.revision() > 0 && is_merged(event.kind())).collect();
    if later.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update worker.facts f set merged = true
           from unnest($1::text[], $2::int[]) as t (event_id, revision)
          where f.event_id = t.event_id and f.revision = t.revision and f.rank = 3
            and exists (select from worker.facts e
                         where e.event_id = f.event_id and e.revision < f.revision and e.rank = 3
                           and (e.raw_seq, e.raw_index) is distinct from (f.raw_seq, f.raw_index))",
    )
    .bind(later.iter().map(|event| event.id.as_str()).collect::<Vec<_>>())
    .bind(
        later
            .iter()
            .map(|event| i32::try_from(event.revision()).unwrap_or(i32::MAX))
            .collect::<Vec<_>>(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The facts that these raw webhooks gave, `(position, when it was stored)` each. A fact that was published before the webhook was stored is of an
/// earlier META_RAW with the same numbers: it is marked, and never joined with this one. (Clocks of two servers of the broker may differ, by less than a minute.)
///
/// # Errors
/// `sqlx::Error`; roll back.
pub async fn facts_of(
    conn: &mut PgConnection,
    raws: &[(u64, Timestamp)],
) -> sqlx::Result<Vec<FactOfRaw>> {
    let seqs: Vec<i64> = raws.iter().map(|(seq, _)| number(*seq)).collect();
    sqlx::query(
        "update worker.facts f set raw_era = -1
           from unnest($1::bigint[], $2::timestamptz[]) as t (seq, stored_at)
          where f.raw_seq = t.seq and f.raw_era = 0 and f.rank <> 2 and f.recorded_at < t.stored_at - interval '1 minute'",
    )
    .bind(&seqs)
    .bind(raws.iter().map(|(_, stored_at)| *stored_at).collect::<Vec<_>>())
    .execute(&mut *conn)
    .await?;
    sqlx::query_as(
        "select raw_seq, raw_index, kind, channel, account_id from worker.facts
          where raw_seq = any($1) and raw_era = 0 and rank <> 2",
    )
    .bind(&seqs)
    .fetch_all(conn)
    .await
}

/// The last raw webhook up to `head` that gave a fact; 0 where none did. What was given by later ones is of an earlier META_RAW, and marked.
///
/// # Errors
/// `sqlx::Error`; call again.
pub async fn last_raw(pool: &PgPool, head: u64) -> sqlx::Result<u64> {
    sqlx::query(
        "update worker.facts set raw_era = -1 where raw_seq > $1 and raw_era = 0 and rank <> 2",
    )
    .bind(number(head))
    .execute(pool)
    .await?;
    let last: Option<i64> = sqlx::query_scalar(
        "select max(raw_seq) from worker.facts where raw_seq <= $1 and raw_era = 0 and rank <> 2",
    )
    .bind(number(head))
    .fetch_one(pool)
    .await?;
    Ok(last.and_then(|seq| u64::try_from(seq).ok()).unwrap_or(0))
}

/// Every reading of these facts, latest first.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub async fn readings(
    conn: &mut PgConnection,
    ids: &[&str],
) -> sqlx::Result<HashMap<EventId, Vec<PlacedFact>>> {
    let rows: Vec<PlacedFact> = sqlx::query_as(
        "select event_id, rank, raw_seq, event_seq from worker.facts f
          where event_id = any($1) and not exists (select from worker.withdrawn w where w.event_id = f.event_id)
          order by event_id, revision desc",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    let mut readings: HashMap<EventId, Vec<PlacedFact>> = HashMap::new();
    for row in rows {
        readings.entry(row.event_id.clone()).or_default().push(row);
    }
    Ok(readings)
}
