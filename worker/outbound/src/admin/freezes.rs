//! The outbound kill switch.

use facts::follow_up::conversation_state;
use schemas::{AccountId, Channel};
use sqlx::PgPool;

pub use crate::ledger::stops::Freeze;

use crate::ledger::{commands, queue, stops};

/// What a freeze covers.
#[derive(Clone, Copy, Debug)]
pub enum FreezeScope<'a> {
    /// Everything.
    All,
    /// One account.
    Account(Channel, &'a AccountId),
    /// One conversation, by its id.
    Conversation(&'a str),
}

impl FreezeScope<'_> {
    /// As `worker.freezes.scope` has it.
    pub fn key(&self) -> String {
        match self {
            Self::All => "*".to_owned(),
            Self::Account(channel, id) => format!("account:{channel}/{id}"),
            Self::Conversation(id) => format!("conversation:{id}"),
        }
    }
}

/// Sends nothing in this scope from now on, for this reason: commands wait in the ledger, and the next claim already sees it. `false`: it was frozen.
///
/// # Errors
/// `sqlx::Error`: whether it is frozen is unknown, call again.
pub async fn freeze(
    pool: &PgPool,
    scope: FreezeScope<'_>,
    by: &str,
    reason: Option<&str>,
) -> sqlx::Result<bool> {
    stops::add_freeze(pool, &scope.key(), by, reason).await
}

/// Ends a freeze; what waits goes out if the policy still allows it. `false`: there was none of exactly this scope.
///
/// # Errors
/// `sqlx::Error`: the freeze may have ended; workers let go of what waits within a second then.
pub async fn thaw(pool: &PgPool, scope: FreezeScope<'_>) -> sqlx::Result<bool> {
    let thawed = stops::remove_freeze(pool, &scope.key()).await?;
    // What was being claimed at this moment is let go by the senders' own look.
    let mut conn = pool.acquire().await?;
    queue::release(&mut conn).await?;
    conversation_state::wake(&mut conn).await?;
    Ok(thawed)
}

/// All freezes in force.
///
/// # Errors
/// `sqlx::Error`: call again.
pub async fn freezes(pool: &PgPool) -> sqlx::Result<Vec<Freeze>> {
    stops::freezes(pool).await
}

/// How many commands wait in a scope: what a freeze holds, or a thaw lets go.
///
/// # Errors
/// `sqlx::Error`: call again.
pub async fn waiting(pool: &PgPool, scope: FreezeScope<'_>) -> sqlx::Result<i64> {
    let (channel, account, conversation) = match scope {
        FreezeScope::All => (None, None, None),
        FreezeScope::Account(channel, account) => {
            (Some(channel.as_str()), Some(account.as_str()), None)
        }
        FreezeScope::Conversation(id) => (None, None, Some(id)),
    };
    queue::count_open(pool, channel, account, conversation).await
}

/// Channel and account of a conversation, as far as the worker knows of it.
///
/// # Errors
/// `sqlx::Error`: call again.
pub async fn account_of(
    pool: &PgPool,
    conversation: &str,
) -> sqlx::Result<Option<(String, String)>> {
    commands::account_of(pool, conversation).await
}
