//! What is parked, and which lanes that holds.
//!
//! Rows are written in the transaction that moves the shard's position, so parking is as durable as normalising. `worker.held_lanes` follows
//! from them by triggers, in the same transaction (docs/decisions/35).

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use sqlx::{PgConnection, PgPool};

use crate::failure::Cause;
use crate::lanes::{self, Behind};
use crate::output::Output;
use crate::parked::cut;
use crate::parked_raws;
use crate::raw_webhook::RawWebhook;

/// A row to park.
#[derive(Clone, Debug)]
pub(super) struct Parking {
    pub raw_seq: u64,
    /// `None`: of a whole raw webhook.
    pub lane: Option<String>,
    /// What the raw webhook says in the lane, where it could be read.
    pub events: Option<Behind>,
    /// Why, for the one that failed; the others wait behind.
    pub cause: Option<Cause>,
}

impl Parking {
    /// A raw webhook that cannot be read, in a lane of its own.
    pub(super) fn of_raw(raw_seq: u64, cause: Cause) -> Self {
        Self { raw_seq, lane: None, events: None, cause: Some(cause) }
    }

    /// Rows for what waits behind a failure.
    pub(super) fn behind(behind: BTreeMap<(u64, String), Behind>) -> Vec<Self> {
        behind
            .into_iter()
            .map(|((raw_seq, lane), events)| Self {
                raw_seq,
                lane: Some(lane),
                events: Some(events),
                cause: None,
            })
            .collect()
    }
}

/// Which of the lanes of these outputs are held.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub(super) async fn held(
    pool: &PgPool,
    outputs: &[(u64, Output)],
) -> sqlx::Result<HashSet<String>> {
    if outputs.is_empty() {
        return Ok(HashSet::new());
    }
    let mut conn = pool.acquire().await?;
    if !any_held(&mut conn).await? {
        return Ok(HashSet::new());
    }
    let lanes: Vec<String> = lanes::of_outputs(outputs).into_iter().collect();
    let held: Vec<String> = sqlx::query_scalar(
        "select h.lane from unnest($1::text[]) as l(lane) join worker.held_lanes h on h.lane = l.lane",
    )
    .bind(lanes)
    .fetch_all(&mut *conn)
    .await?;
    Ok(held.into_iter().collect())
}

/// Whether anything is parked at all: nearly always nothing is, and then no lane is looked for.
async fn any_held(conn: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select from worker.held_lanes)").fetch_one(conn).await
}

/// All held lanes.
pub(super) async fn all_held(conn: &mut PgConnection) -> sqlx::Result<HashSet<String>> {
    let lanes: Vec<String> =
        sqlx::query_scalar("select lane from worker.held_lanes").fetch_all(conn).await?;
    Ok(lanes.into_iter().collect())
}

/// Parks rows of a database that was lost. INBOX_DEAD has their copies; whether an operator has given them up is not known, so none of them is
/// tried before an operator asks.
pub(super) async fn regain(
    conn: &mut PgConnection,
    shard: u32,
    era: i16,
    rows: &[Parking],
    raws: &[RawWebhook],
) -> sqlx::Result<()> {
    park(conn, shard, era, rows, raws, Duration::ZERO).await?;
    sqlx::query(
        "update worker.parked p set announced = true, retry_at = case
                    when p.role = 'failed' or exists (select from worker.held_lanes h where h.head = p.id) then null else p.retry_at end
           from unnest($1::bigint[], $2::text[]) as t (raw_seq, lane)
          where p.raw_seq = t.raw_seq and (p.lane = t.lane or t.lane is null)",
    )
    .bind(rows.iter().map(|row| i64::try_from(row.raw_seq).unwrap_or(i64::MAX)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.lane.clone()).collect::<Vec<_>>())
    .execute(conn)
    .await
    .map(|_| ())
}

/// Parks rows of this era of META_RAW, with the bytes of their raw webhooks; what is parked already stays as it is. `raws`: has every raw
/// webhook of `rows`.
///
/// Rows are inserted by lane: who parks, releases or discards locks lanes in one order.
pub(super) async fn park(
    conn: &mut PgConnection,
    shard: u32,
    era: i16,
    rows: &[Parking],
    raws: &[RawWebhook],
    retry_after: Duration,
) -> sqlx::Result<()> {
    let mut rows: Vec<(String, &Parking)> = rows
        .iter()
        .map(|row| {
            let lane = row.lane.clone().unwrap_or_else(|| lanes::lane_of_raw(row.raw_seq, era));
            (lane, row)
        })
        .collect();
    rows.sort_by(|(lane, row), (other, than)| (lane, row.raw_seq).cmp(&(other, than.raw_seq)));
    let mut kept: BTreeMap<u64, &RawWebhook> = BTreeMap::new();
    for (lane, row) in rows {
        if put(conn, shard, era, &lane, row, retry_after).await?
            && let Some(raw) = raws.iter().find(|raw| raw.meta.stream_sequence == row.raw_seq)
        {
            kept.insert(row.raw_seq, raw);
        }
    }
    for (seq, raw) in kept {
        let seq = i64::try_from(seq).unwrap_or(i64::MAX);
        parked_raws::keep(conn, era, seq, Some(raw)).await?;
    }
    Ok(())
}

/// Locks lanes until the transaction ends, in the order in which [`park`] does: for who touches several of them otherwise.
pub(super) async fn lock(conn: &mut PgConnection, lanes: &BTreeSet<&str>) -> sqlx::Result<()> {
    let lanes: Vec<&str> = lanes.iter().copied().collect();
    sqlx::query(
        "select worker.keep_held_lane(l.lane) from unnest($1::text[]) with ordinality as l (lane, n) order by l.n",
    )
    .bind(lanes)
    .execute(conn)
    .await
    .map(|_| ())
}

/// Inserts a row. `false`: it is parked already, of another raw webhook or of this one.
async fn put(
    conn: &mut PgConnection,
    shard: u32,
    era: i16,
    lane: &str,
    row: &Parking,
    retry_after: Duration,
) -> sqlx::Result<bool> {
    let event = row.events.as_ref().map(|events| &events.first);
    let data = event.map(|event| &event.data);
    let raw_seq = i64::try_from(row.raw_seq).unwrap_or(i64::MAX);
    let fingerprint = row.events.as_ref().map_or_else(|| lane.to_owned(), Behind::fingerprint);
    // The same events came again in another META_RAW: that is where they are found from now on.
    let moved = sqlx::query(
        "update worker.parked p set raw_era = $3, raw_seq = $4, retry_at = clock_timestamp()
          where p.lane = $1 and p.fingerprint = $2 and p.raw_era < $3
            and not exists (select from worker.parked o where o.raw_era = $3 and o.raw_seq = $4 and o.lane = $1)",
    )
    .bind(lane)
    .bind(&fingerprint)
    .bind(era)
    .bind(raw_seq)
    .execute(&mut *conn)
    .await?;
    if moved.rows_affected() > 0 {
        return Ok(true);
    }
    let inserted = sqlx::query(
        "insert into worker.parked (shard, lane, raw_seq, raw_index, channel, account_id, conversation_id, event_id, kind,
                                    traceparent, role, cause, last_error, attempts, retry_at, fingerprint, raw_era, event_ids)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, clock_timestamp() + make_interval(secs => $15), $16, $17, $18)
         on conflict do nothing",
    )
    .bind(i16::try_from(shard).unwrap_or(0))
    .bind(lane)
    .bind(raw_seq)
    .bind(data.and_then(|data| data.origin.index).and_then(|index| i32::try_from(index).ok()))
    .bind(data.map(|data| data.channel))
    .bind(data.map_or("", |data| data.account_id.as_str()))
    .bind(data.and_then(|data| data.conversation_id.as_ref()).map(AsRef::<str>::as_ref))
    .bind(event.map(|event| event.id.as_str()))
    .bind(event.map(|event| event.kind().as_str()))
    .bind(event.and_then(|event| event.traceparent.as_deref()))
    .bind(if row.cause.is_some() { "failed" } else { "behind" })
    .bind(row.cause.as_ref().map_or("behind", |cause| cause.word.as_str()))
    .bind(row.cause.as_ref().map(|cause| cut(&cause.error)))
    .bind(i32::from(row.cause.is_some()))
    .bind(if row.cause.is_some() { retry_after.as_secs_f64() } else { 0.0 })
    .bind(fingerprint)
    .bind(era)
    .bind(row.events.as_ref().map(Behind::ids))
    .execute(conn)
    .await?;
    Ok(inserted.rows_affected() > 0)
}
