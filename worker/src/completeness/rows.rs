//! Tables `worker.completeness`, `worker.completeness_hours` and `worker.completeness_gaps`: claims, figures, and what was missing. Any number of
//! workers share them.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::{AccountId, Channel, EventId, Timestamp, Via};
use sqlx::{PgConnection, PgPool};

use super::compare::{By, Known, Lost, Shown, hour};

/// What was made longer ago than this is not compared when an account is compared for the first time.
const FIRST_SPAN: Duration = Duration::from_secs(86_400);
/// Figures and gaps are kept for so long.
const KEPT: Duration = Duration::from_secs(90 * 86_400);

/// An account that is compared now.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct Claimed {
    pub(super) channel: Channel,
    pub(super) account_id: AccountId,
    pub(super) compared_to: Timestamp,
    pub(super) watched_from: Timestamp,
    pub(super) look_from: Option<Timestamp>,
    #[sqlx(try_from = "i32")]
    pub(super) page: u32,
    lost_field: Option<String>,
    lost_since: Option<Timestamp>,
    /// It was not compared yet.
    pub(super) is_first: bool,
    /// The database's clock.
    pub(super) now: Timestamp,
}

impl Claimed {
    /// What was lost when it was compared last.
    pub(super) fn lost(&self) -> Option<Lost> {
        let (field, since) = (self.lost_field.clone()?, self.lost_since?);
        Some(Lost { field, since })
    }
}

/// Every account has a row, each due at another moment of the period.
pub(super) async fn ensure(pool: &PgPool, page: u32, every: Duration) -> sqlx::Result<()> {
    sqlx::query(
        "insert into worker.completeness (channel, account_id, compared_to, watched_from, page, due_at)
         select a.channel, a.id, greatest(a.added_at, now() - make_interval(secs => $3)), greatest(a.added_at, now() - make_interval(secs => $3)),
                $1, now() + make_interval(secs => $2 * (0.5 + abs(hashtext(a.channel || '/' || a.id) % 1000) / 2000.0))
           from worker.accounts a
          where not exists (select from worker.completeness c where c.channel = a.channel and c.account_id = a.id)
         on conflict do nothing",
    )
    .bind(i32::try_from(page).unwrap_or(i32::MAX))
    .bind(every.as_secs_f64())
    .bind(FIRST_SPAN.as_secs_f64())
    .execute(pool)
    .await?;
    Ok(())
}

/// Claims up to `limit` active accounts that are due, for `owner` for `lease`.
pub(super) async fn claim(
    pool: &PgPool,
    owner: &str,
    lease: Duration,
    limit: i64,
) -> sqlx::Result<Vec<Claimed>> {
    sqlx::query_as(
        "with due as (
             select c.channel, c.account_id from worker.completeness c
               join worker.accounts a on a.channel = c.channel and a.id = c.account_id
              where c.due_at <= clock_timestamp() and a.state = 'active'
                and (c.claimed_until is null or c.claimed_until < clock_timestamp())
              order by c.due_at limit $3 for update of c skip locked)
         update worker.completeness c
            set claimed_by = $1, claimed_until = clock_timestamp() + make_interval(secs => $2)
           from due d
          where c.channel = d.channel and c.account_id = d.account_id
         returning c.channel, c.account_id, c.compared_to, c.watched_from, c.look_from, c.page, c.lost_field, c.lost_since,
                   c.looked_at is null as is_first, clock_timestamp() as now",
    )
    .bind(owner)
    .bind(lease.as_secs_f64())
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// Holds on to a claim; `false`: it has lapsed and another worker has it.
pub(super) async fn keep(
    conn: &mut PgConnection,
    owner: &str,
    claimed: &Claimed,
    lease: Duration,
) -> sqlx::Result<bool> {
    let kept = sqlx::query(
        "update worker.completeness set claimed_until = clock_timestamp() + make_interval(secs => $4)
          where channel = $1 and account_id = $2 and claimed_by = $3",
    )
    .bind(claimed.channel)
    .bind(&claimed.account_id)
    .bind(owner)
    .bind(lease.as_secs_f64())
    .execute(conn)
    .await?;
    Ok(kept.rows_affected() == 1)
}

#[derive(sqlx::FromRow)]
struct KnownRow {
    event_id: EventId,
    rank: i16,
    by_webhook: bool,
}

/// How messages are known, by the ids of their events. One that was withdrawn is known, and says nothing of webhooks.
pub(super) async fn known(pool: &PgPool, events: &[&str]) -> sqlx::Result<Known> {
    let rows: Vec<KnownRow> = sqlx::query_as(
        "select k.id as event_id, max(f.rank) as rank, bool_or(f.by_webhook) as by_webhook
           from unnest($1::text[]) as k (id)
          cross join lateral (
                select one.rank, one.raw_seq is not null as by_webhook from worker.facts one where one.event_id = k.id
                 union all
                select 2::smallint, false from worker.withdrawn w where w.event_id = k.id) f
          group by k.id",
    )
    .bind(events)
    .fetch_all(pool)
    .await?;
    let known = |row: KnownRow| {
        let by = match row.rank {
            _ if row.by_webhook => By::Webhook,
            rank if rank == Via::Webhook.rank() => By::Webhook,
            rank if rank == Via::Reply.rank() => By::Reply,
            _ => By::Graph,
        };
        (row.event_id, by)
    };
    Ok(rows.into_iter().map(known).collect())
}

/// What became of a message that was missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GapOutcome {
    Healed,
    Unreachable,
}

impl GapOutcome {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Healed => "healed",
            Self::Unreachable => "unreachable",
        }
    }
}

/// A message that was missing.
pub(super) struct Gap<'a> {
    pub(super) shown: &'a Shown,
    pub(super) outcome: GapOutcome,
    pub(super) late: bool,
}

/// Remembers messages that were missing, each once. Returns the outcomes of those that were not remembered before.
pub(super) async fn put_gaps(
    conn: &mut PgConnection,
    claimed: &Claimed,
    gaps: &BTreeMap<&str, Gap<'_>>,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "insert into worker.completeness_gaps (channel, account_id, message_id, hour, outcome, late)
         select $1, $2, t.* from unnest($3::text[], $4::timestamptz[], $5::text[], $6::bool[]) as t
         on conflict (channel, account_id, message_id) do nothing
         returning outcome",
    )
    .bind(claimed.channel)
    .bind(&claimed.account_id)
    .bind(gaps.keys().copied().collect::<Vec<_>>())
    .bind(gaps.values().map(|gap| hour(gap.shown.time)).collect::<Vec<_>>())
    .bind(gaps.values().map(|gap| gap.outcome.as_str()).collect::<Vec<_>>())
    .bind(gaps.values().map(|gap| gap.late).collect::<Vec<_>>())
    .fetch_all(conn)
    .await
}

/// How a comparison ended that came to its end.
pub(super) struct Done<'a> {
    pub(super) to: Timestamp,
    pub(super) page: u32,
    pub(super) lost: Option<&'a Lost>,
    /// Until the next one.
    pub(super) every: Duration,
}

/// Counts what was shown and moves the mark up to which was compared, in one transaction. `false`: another worker has done so, and nothing is
/// counted.
pub(super) async fn done(
    pool: &PgPool,
    owner: &str,
    claimed: &Claimed,
    hours: &BTreeMap<Timestamp, i64>,
    done: Done<'_>,
) -> sqlx::Result<bool> {
    let mut tx = pool.begin().await?;
    let moved = sqlx::query(
        "update worker.completeness
            set compared_to = $4, page = $5, lost_field = $6, lost_since = $7, looked_at = clock_timestamp(), error = null,
                due_at = case when look_from is not distinct from $8 then clock_timestamp() + make_interval(secs => $9) else clock_timestamp() end,
                look_from = case when look_from is not distinct from $8 then null else look_from end,
                claimed_by = null, claimed_until = null
          where channel = $1 and account_id = $2 and claimed_by = $3",
    )
    .bind(claimed.channel)
    .bind(&claimed.account_id)
    .bind(owner)
    .bind(done.to)
    .bind(i32::try_from(done.page).unwrap_or(i32::MAX))
    .bind(done.lost.map(|lost| lost.field.as_str()))
    .bind(done.lost.map(|lost| lost.since))
    .bind(claimed.look_from)
    .bind(done.every.as_secs_f64())
    .execute(&mut *tx)
    .await?;
    if moved.rows_affected() != 1 {
        return Ok(false);
    }
    sqlx::query(
        "insert into worker.completeness_hours as h (channel, account_id, hour, shown)
         select $1, $2, t.* from unnest($3::timestamptz[], $4::bigint[]) as t
         on conflict (channel, account_id, hour) do update set shown = h.shown + excluded.shown",
    )
    .bind(claimed.channel)
    .bind(&claimed.account_id)
    .bind(hours.keys().copied().collect::<Vec<_>>())
    .bind(hours.values().copied().collect::<Vec<_>>())
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(true)
}

/// A comparison that did not come to its end is made again after `pause`.
pub(super) async fn failed(
    pool: &PgPool,
    owner: &str,
    claimed: &Claimed,
    error: &str,
    page: u32,
    pause: Duration,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.completeness
            set error = $4, page = $5, due_at = clock_timestamp() + make_interval(secs => $6), claimed_by = null, claimed_until = null
          where channel = $1 and account_id = $2 and claimed_by = $3",
    )
    .bind(claimed.channel)
    .bind(&claimed.account_id)
    .bind(owner)
    .bind(error)
    .bind(i32::try_from(page).unwrap_or(i32::MAX))
    .bind(pause.as_secs_f64())
    .execute(pool)
    .await?;
    Ok(())
}

/// Deletes what is kept no longer.
pub(super) async fn forget(pool: &PgPool) -> sqlx::Result<()> {
    for older in [
        "delete from worker.completeness_hours where hour < now() - make_interval(secs => $1)",
        "delete from worker.completeness_gaps where hour < now() - make_interval(secs => $1)",
    ] {
        sqlx::query(older).bind(KEPT.as_secs_f64()).execute(pool).await?;
    }
    Ok(())
}
