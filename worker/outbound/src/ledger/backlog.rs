//! How much the ledger holds, and what it waits for: for operators' overviews.

use schemas::{AccountId, Channel, Timestamp};
use sqlx::{FromRow, PgPool};

/// Commands of the ledger, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub struct Backlog {
    /// Not finished.
    pub open: i64,
    /// Sends with unknown outcome: they wait for a person.
    pub unknown: i64,
    /// When the oldest of them was parked.
    pub oldest_unknown: Option<Timestamp>,
    /// Outcomes that INBOX_EVENTS does not have yet.
    pub unpublished_outcomes: i64,
    /// Refused within a day because the window was closed.
    pub window_refusals: i64,
}

/// Counts the commands.
///
/// # Errors
/// `sqlx::Error`; ask again. Of an absent table ([`runtime::db::is_absent`]) where the worker has not migrated yet.
pub async fn backlog(pool: &PgPool) -> sqlx::Result<Backlog> {
    // One select each, so that each has its index.
    sqlx::query_as(
        "select (select count(*) from worker.commands where finished_at is null) as open,
                (select count(*) from worker.commands where state = 'unknown') as unknown,
                (select min(finished_at) from worker.commands where state = 'unknown') as oldest_unknown,
                (select count(*) from worker.commands where state <> 'open' and not outcome_published) as unpublished_outcomes,
                (select count(*) from worker.commands
                  where state in ('failed', 'partial') and finished_at > now() - interval '1 day'
                    and error ->> 'code' = 'window_closed') as window_refusals",
    )
    .fetch_one(pool)
    .await
}

/// Open commands that are held for one reason.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Held {
    /// `frozen`, `account_stopped`, `paused`, `budget`, `parked`.
    pub reason: String,
    /// How many.
    pub count: i64,
}

/// Open commands that wait although nothing is in flight, by reason.
///
/// # Errors
/// As [`backlog`].
pub async fn held(pool: &PgPool) -> sqlx::Result<Vec<Held>> {
    sqlx::query_as(
        "select held as reason, count(*) as count from worker.commands
          where state = 'open' and held is not null group by held order by held",
    )
    .fetch_all(pool)
    .await
}

/// Open commands of one account.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct OpenOfAccount {
    /// The channel.
    pub channel: Channel,
    /// The account.
    pub account_id: AccountId,
    /// How many.
    pub count: i64,
}

/// Open commands by account.
///
/// # Errors
/// As [`backlog`].
pub async fn open_by_account(pool: &PgPool) -> sqlx::Result<Vec<OpenOfAccount>> {
    sqlx::query_as(
        "select channel, account_id, count(*) as count from worker.commands where state = 'open' group by channel, account_id",
    )
    .fetch_all(pool)
    .await
}
