//! The part of the status about sending: what is held and why, and what waits for somebody.

use std::collections::BTreeMap;

use schemas::Timestamp;
use serde::Serialize;
use sqlx::{PgPool, Row};

use super::database::absent_is_empty;
use super::lag::age;

/// How sending stands.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Sending {
    /// Commands that wait although nothing is in flight, by reason: `frozen`, `account_stopped`, `paused`, `budget`, `parked`.
    pub(crate) held: BTreeMap<String, i64>,
    /// How long the oldest parked send waits for a person, seconds.
    pub(crate) oldest_unknown_seconds: Option<u64>,
    /// Replies refused within a day because the window was closed.
    pub(crate) window_refusals: i64,
    /// Freezes in force.
    pub(crate) freezes: Vec<Freeze>,
    /// Accounts whose token or right Meta refused: their queues wait.
    pub(crate) accounts_stopped: Vec<Stopped>,
    /// Accounts whose messages Meta blocks for a breach of policy.
    pub(crate) accounts_blocked: Vec<String>,
}

/// A freeze.
#[derive(Debug, Serialize)]
pub(crate) struct Freeze {
    /// `*`, `account:<channel>/<account>` or `conversation:<conversation id>`.
    pub(crate) scope: String,
    /// Who froze it.
    pub(crate) by: String,
    /// Since when.
    pub(crate) since: Timestamp,
}

/// A stopped account.
#[derive(Debug, Serialize)]
pub(crate) struct Stopped {
    /// Channel and id.
    pub(crate) account: String,
    /// Why, in numbers of Meta's.
    pub(crate) reason: String,
    /// Since when.
    pub(crate) since: Option<Timestamp>,
    /// Commands that wait for a new token.
    pub(crate) waiting: i64,
}

/// Reads it.
///
/// # Errors
/// Of the database.
pub(crate) async fn read(pool: &PgPool, now: Timestamp) -> anyhow::Result<Sending> {
    let held: sqlx::Result<Vec<(String, i64)>> = sqlx::query_as(
        "select held, count(*) from worker.commands where state = 'open' and held is not null group by held order by held",
    )
    .fetch_all(pool)
    .await;
    let oldest =
        sqlx::query_scalar("select min(finished_at) from worker.commands where state = 'unknown'")
            .fetch_one(pool)
            .await;
    let oldest: Option<chrono::DateTime<chrono::Utc>> = absent_is_empty(oldest)?;
    let window_refusals = sqlx::query_scalar(
        "select count(*) from worker.commands
          where state in ('failed', 'partial') and finished_at > now() - interval '1 day' and error ->> 'code' = 'window_closed'",
    )
    .fetch_one(pool)
    .await;
    let freezes = absent_is_empty(worker::outbound::admin::freezes(pool).await)?;
    let stopped = sqlx::query(
        "select a.channel || '/' || a.id as account, coalesce(a.state_reason, '') as reason, a.state_since,
                (select count(*) from worker.commands c
                  where c.channel = a.channel and c.account_id = a.id and c.state = 'open') as waiting
           from worker.accounts a where a.state = 'stopped' order by 1",
    )
    .fetch_all(pool)
    .await;
    let blocked = sqlx::query_scalar(
        "select channel || '/' || account_id from worker.account_policy where blocked order by 1",
    )
    .fetch_all(pool)
    .await;
    Ok(Sending {
        held: absent_is_empty(held)?.into_iter().collect(),
        oldest_unknown_seconds: age(oldest.map(Timestamp::from), now),
        window_refusals: absent_is_empty(window_refusals)?,
        freezes: freezes
            .into_iter()
            .map(|freeze| Freeze { scope: freeze.scope, by: freeze.by, since: freeze.since })
            .collect(),
        accounts_stopped: absent_is_empty(stopped)?
            .iter()
            .map(stopped_row)
            .collect::<sqlx::Result<_>>()?,
        accounts_blocked: absent_is_empty(blocked)?,
    })
}

fn stopped_row(row: &sqlx::postgres::PgRow) -> sqlx::Result<Stopped> {
    let since: chrono::DateTime<chrono::Utc> = row.try_get("state_since")?;
    Ok(Stopped {
        account: row.try_get("account")?,
        reason: row.try_get("reason")?,
        since: Some(since.into()),
        waiting: row.try_get("waiting")?,
    })
}
