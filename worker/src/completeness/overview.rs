//! Figures and standing of accounts, for verbs and gauges; and an operator's wish to have accounts compared at once.

use schemas::{AccountId, Channel, Timestamp};
use serde::Serialize;
use sqlx::PgPool;

/// What Graph showed of an hour, and what of it the log had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Figures {
    /// The channel.
    pub channel: Channel,
    /// The account.
    pub account_id: AccountId,
    /// The hour in which the messages were made.
    pub hour: Timestamp,
    /// Messages that Graph showed.
    pub shown: i64,
    /// Of them: those that the log had.
    pub known: i64,
    /// Those that were missing and have been imported.
    pub healed: i64,
    /// Those that are missing and of which Graph returns the id alone.
    pub unreachable: i64,
}

/// How an account stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct AccountStanding {
    /// The channel.
    pub channel: Channel,
    /// The account.
    pub account_id: AccountId,
    /// Messages made before were compared.
    pub compared_to: Timestamp,
    /// When a comparison last came to its end.
    pub looked_at: Option<Timestamp>,
    /// Why the one after it did not, in Meta's numbers.
    pub error: Option<String>,
    /// The webhook field by which nothing comes although Graph shows messages.
    pub lost_field: Option<String>,
    /// Since when.
    pub lost_since: Option<Timestamp>,
}

/// Figures by hour since a time, the newest first.
///
/// # Errors
/// `sqlx::Error`; call again.
pub async fn figures(
    pool: &PgPool,
    channel: Option<Channel>,
    account: Option<&AccountId>,
    since: Timestamp,
) -> sqlx::Result<Vec<Figures>> {
    sqlx::query_as(
        "select channel, account_id, hour, shown, known, healed, unreachable from worker.completeness_figures
          where ($1::text is null or channel = $1) and ($2::text is null or account_id = $2) and hour > $3::timestamptz - interval '1 hour'
          order by hour desc, channel, account_id",
    )
    .bind(channel)
    .bind(account)
    .bind(since)
    .fetch_all(pool)
    .await
}

/// How accounts stand.
///
/// # Errors
/// `sqlx::Error`; call again.
pub async fn standing(
    pool: &PgPool,
    channel: Option<Channel>,
    account: Option<&AccountId>,
) -> sqlx::Result<Vec<AccountStanding>> {
    sqlx::query_as(
        "select channel, account_id, compared_to, looked_at, error, lost_field, lost_since from worker.completeness
          where ($1::text is null or channel = $1) and ($2::text is null or account_id = $2)
          order by channel, account_id",
    )
    .bind(channel)
    .bind(account)
    .fetch_all(pool)
    .await
}

/// Has accounts compared at once, from `since` on; returns how many.
///
/// # Errors
/// `sqlx::Error`; call again.
pub async fn ask(
    pool: &PgPool,
    channel: Option<Channel>,
    account: Option<&AccountId>,
    since: Option<Timestamp>,
) -> sqlx::Result<u64> {
    let asked = sqlx::query(
        "update worker.completeness c set due_at = now(), look_from = least(c.look_from, $3::timestamptz), error = null
           from worker.accounts a
          where a.channel = c.channel and a.id = c.account_id and a.state = 'active'
            and ($1::text is null or c.channel = $1) and ($2::text is null or c.account_id = $2)",
    )
    .bind(channel)
    .bind(account)
    .bind(since)
    .execute(pool)
    .await?;
    Ok(asked.rows_affected())
}
