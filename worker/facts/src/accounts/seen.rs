//! When accounts were last heard of by webhook; statements over `worker.account_seen` and `worker.seen_up_to`.
//!
//! Read from the facts, behind the normaliser, so that a webhook costs nothing more.

use schemas::Via;
use schemas::subjects::META_RAW;
use sqlx::{PgConnection, PgPool};

use crate::eras;

/// Shards record at their own pace: facts that are this many positions back are looked at again.
const OVERLAP: i64 = 5_000;
/// Positions of one look. Of a large table the newest say enough at first: the rest would take hours, in which every account seemed silent.
const STRIDE: i64 = 200_000;

/// Counts in what was recorded since the last time.
///
/// # Errors
/// `sqlx::Error`; nothing is changed, call again.
pub async fn note(pool: &PgPool) -> sqlx::Result<()> {
    let Some(current) = eras::current(pool, META_RAW).await? else { return Ok(()) };
    let mut tx = pool.begin().await?;
    let (era, seq): (i16, i64) =
        sqlx::query_as("select raw_era, raw_seq from worker.seen_up_to for update")
            .fetch_one(&mut *tx)
            .await?;
    let from = if era == current.n { seq } else { 0 };
    let last: Option<i64> = sqlx::query_scalar(
        "select max(raw_seq) from worker.facts where raw_seq > $1 and raw_era = $2",
    )
    .bind(from)
    .bind(current.n)
    .fetch_one(&mut *tx)
    .await?;
    let to = last.unwrap_or(from);
    count_in(&mut tx, current.n, from.max(to - STRIDE) - OVERLAP, to).await?;
    sqlx::query("update worker.seen_up_to set raw_era = $1, raw_seq = $2")
        .bind(current.n)
        .bind(to)
        .execute(&mut *tx)
        .await?;
    tx.commit().await
}

/// Of webhooks only: what a reply or Graph reported says nothing about their coming in.
async fn count_in(conn: &mut PgConnection, era: i16, after: i64, to: i64) -> sqlx::Result<()> {
    sqlx::query(
        "insert into worker.account_seen as s (channel, account_id, kind, first_at, last_at)
         select f.channel, f.account_id, coalesce(f.kind, ''), min(f.recorded_at), max(f.recorded_at)
           from worker.facts f
           join worker.accounts a on a.channel = f.channel and a.id = f.account_id
          where f.raw_era = $1 and f.raw_seq > $2 and f.raw_seq <= $3 and f.rank = $4
          group by grouping sets ((f.channel, f.account_id, f.kind), (f.channel, f.account_id))
         on conflict (channel, account_id, kind) do update
            set longest_gap = greatest(excluded.last_at - s.last_at,
                                       s.longest_gap * exp(-extract(epoch from excluded.last_at - s.last_at)::float8 / 1209600)),
                last_at = excluded.last_at
          where excluded.last_at > s.last_at",
    )
    .bind(era)
    .bind(after)
    .bind(to)
    .bind(Via::Webhook.rank())
    .execute(conn)
    .await?;
    Ok(())
}
