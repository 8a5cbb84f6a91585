//! Claims on `worker.contacts`: one worker asks for one person at a time.

use std::time::Duration;

use schemas::{AccountId, Channel, ContactId, Timestamp};
use sqlx::{PgConnection, PgPool};

use super::freshness::{Answer, Next};
use crate::shares::{self, Shares};

/// A person whose profile is to be read now.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct Claimed {
    pub(super) channel: Channel,
    pub(super) account_id: AccountId,
    pub(super) contact_id: ContactId,
    attempts: i32,
    pub(super) answer: Option<String>,
    #[sqlx(rename = "profile_digest")]
    pub(super) digest: Option<Vec<u8>>,
}

impl Claimed {
    /// Reads of the profile so far that ended with the same answer.
    pub(super) fn attempts(&self) -> u32 {
        u32::try_from(self.attempts).unwrap_or(0)
    }
}

/// Claims up to `limit` people of active accounts for `owner` for `lease`, of each account as many as its `share` is not used up by.
pub(super) async fn claim(
    pool: &PgPool,
    owner: &str,
    lease: Duration,
    limit: i64,
    share: i64,
    under_way: &Shares,
) -> sqlx::Result<Vec<Claimed>> {
    let (channels, accounts, counts) = shares::columns(under_way);
    sqlx::query_as(
        "with due as (
             select c.channel, c.account_id, c.contact_id
               from worker.accounts a
               left join unnest($5::text[], $6::text[], $7::bigint[]) as b (channel, id, under_way) using (channel, id)
              cross join lateral (
                    select channel, account_id, contact_id, due_at from worker.contacts
                     where channel = a.channel and account_id = a.id and due_at <= clock_timestamp()
                       and (claimed_until is null or claimed_until < clock_timestamp())
                     order by due_at limit greatest($4 - coalesce(b.under_way, 0), 0)
                       for update skip locked) c
              where a.state = 'active'
              order by c.due_at limit $3
         )
         update worker.contacts c
            set claimed_by = $1, claimed_until = clock_timestamp() + make_interval(secs => $2)
           from due d
          where (c.channel, c.account_id, c.contact_id) = (d.channel, d.account_id, d.contact_id)
         returning c.channel, c.account_id, c.contact_id, c.attempts, c.answer, c.profile_digest",
    )
    .bind(owner)
    .bind(lease.as_secs_f64())
    .bind(limit)
    .bind(share)
    .bind(channels)
    .bind(accounts)
    .bind(counts)
    .fetch_all(pool)
    .await
}

/// Writes down an answer and what follows from it. An act of the person that came while Graph was asked is not lost: it counts as
/// an act after the answer where the rule allows acts at once.
pub(super) async fn answered(
    conn: &mut PgConnection,
    claimed: &Claimed,
    answer: Answer,
    next: Next,
    digest: Option<&[u8]>,
    asked_at: Timestamp,
) -> sqlx::Result<()> {
    let attempts = if next.counted {
        answer.count(claimed.answer.as_deref(), claimed.attempts())
    } else {
        claimed.attempts()
    };
    let word = if next.counted { Some(answer.as_str()) } else { claimed.answer.as_deref() };
    sqlx::query(
        "update worker.contacts
            set due_at = case when $4::timestamptz is null and $8 < noted_at and $5 <= clock_timestamp() then clock_timestamp()
                              else $4 end,
                refresh_after = $5, attempts = $6, answer = $7, answered_at = $8,
                profile_digest = coalesce($9, profile_digest),
                enriched_at = case when $9::bytea is null then enriched_at else $8 end,
                claimed_by = null, claimed_until = null
          where channel = $1 and account_id = $2 and contact_id = $3",
    )
    .bind(claimed.channel.as_str())
    .bind(claimed.account_id.as_str())
    .bind(claimed.contact_id.as_str())
    .bind(next.due_at.map(Timestamp::to_datetime))
    .bind(next.refresh_after.map(Timestamp::to_datetime))
    .bind(i32::try_from(attempts).unwrap_or(i32::MAX))
    .bind(word)
    .bind(asked_at.to_datetime())
    .bind(digest)
    .execute(conn)
    .await?;
    Ok(())
}

/// Schedules a read anew after a failure of our own (database, broker).
pub(super) async fn reschedule(
    pool: &PgPool,
    claimed: &Claimed,
    delay: Duration,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.contacts
            set due_at = clock_timestamp() + make_interval(secs => $4), claimed_by = null, claimed_until = null
          where channel = $1 and account_id = $2 and contact_id = $3",
    )
    .bind(claimed.channel.as_str())
    .bind(claimed.account_id.as_str())
    .bind(claimed.contact_id.as_str())
    .bind(delay.as_secs_f64())
    .execute(pool)
    .await?;
    Ok(())
}

/// Lets go of everything `owner` holds.
pub(super) async fn release(pool: &PgPool, owner: &str) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.contacts set claimed_by = null, claimed_until = null where claimed_by = $1",
    )
    .bind(owner)
    .execute(pool)
    .await?;
    Ok(())
}
