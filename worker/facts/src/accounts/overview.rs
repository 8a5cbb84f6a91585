//! Accounts as operators' overviews need them: without tokens, so without the key they are sealed with.

use schemas::{AccountId, Channel, Timestamp};
use sqlx::{FromRow, PgPool};

/// An account whose token or right Meta refused: nothing is sent for it until it gets a new token.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct StoppedAccount {
    /// The channel.
    pub channel: Channel,
    /// The account.
    pub id: AccountId,
    /// Meta's numbers; empty where none were kept.
    pub reason: String,
    /// When it was stopped.
    pub since: Timestamp,
}

/// How many accounts are connected.
///
/// # Errors
/// `sqlx::Error`; ask again. Of an absent table ([`runtime::db::is_absent`]) where the worker has not migrated yet.
pub async fn count(pool: &PgPool) -> sqlx::Result<i64> {
    sqlx::query_scalar("select count(*) from worker.accounts").fetch_one(pool).await
}

/// Accounts that take webhooks verified by any app's secret.
///
/// # Errors
/// As [`count`].
pub async fn without_app(pool: &PgPool) -> sqlx::Result<i64> {
    sqlx::query_scalar("select count(*) from worker.accounts where app is null")
        .fetch_one(pool)
        .await
}

/// The channels on which an account of this id is connected, or the given one if it is.
///
/// # Errors
/// As [`count`].
pub async fn channels_of(
    pool: &PgPool,
    id: &AccountId,
    channel: Option<Channel>,
) -> sqlx::Result<Vec<Channel>> {
    sqlx::query_scalar(
        "select channel from worker.accounts where id = $1 and ($2::text is null or channel = $2) order by channel",
    )
    .bind(id.as_str())
    .bind(channel.map(Channel::as_str))
    .fetch_all(pool)
    .await
}

/// All stopped accounts.
///
/// # Errors
/// As [`count`].
pub async fn stopped(pool: &PgPool) -> sqlx::Result<Vec<StoppedAccount>> {
    sqlx::query_as(
        "select channel, id, coalesce(state_reason, '') as reason, state_since as since
           from worker.accounts where state = 'stopped' order by channel || '/' || id",
    )
    .fetch_all(pool)
    .await
}
