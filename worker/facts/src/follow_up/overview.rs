//! The waiting room and Meta's blocks as operators' overviews need them.

use schemas::{AccountId, Channel};
use sqlx::{FromRow, PgPool};

/// How full the waiting room is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub struct WaitingRoom {
    /// Items whose sender is not known yet.
    pub waiting: i64,
    /// Of them: published as `sender.unresolved`.
    pub unresolved: i64,
}

/// Counts the waiting room.
///
/// # Errors
/// `sqlx::Error`; ask again. Of an absent table ([`runtime::db::is_absent`]) where the worker has not migrated yet.
pub async fn waiting_room(pool: &PgPool) -> sqlx::Result<WaitingRoom> {
    sqlx::query_as(
        "select (select count(*) from worker.waiting where state <> 'resolved') as waiting,
                (select count(*) from worker.waiting where state = 'unresolved') as unresolved",
    )
    .fetch_one(pool)
    .await
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct BlockedAccount {
    /// The channel.
    pub channel: Channel,
    /// The account.
    pub account_id: AccountId,
}

/// Accounts whose messages Meta blocks for a breach of policy.
///
/// # Errors
/// As [`waiting_room`].
pub async fn blocked_accounts(pool: &PgPool) -> sqlx::Result<Vec<BlockedAccount>> {
    sqlx::query_as(
        "select channel, account_id from worker.account_policy where blocked order by channel || '/' || account_id",
    )
    .fetch_all(pool)
    .await
}
