//! Where a command stands that a verb has asked for.

use schemas::facts::OutcomeError;
use schemas::{AccountId, Channel, CommandId, ids};
use serde_json::Value;
use sqlx::PgPool;

/// Where a command stands.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct CommandStanding {
    /// `open` while it has not ended; `sent` where it was carried out.
    pub state: String,
    /// Why it waits.
    pub held: Option<String>,
    /// How far it has come, or what it has led to.
    pub result: Option<Value>,
    /// Why it failed.
    #[sqlx(json(nullable))]
    pub error: Option<OutcomeError>,
}

/// Where the command stands; `None`: no worker has taken it in.
///
/// # Errors
/// `sqlx::Error`: call again.
pub async fn standing(
    pool: &PgPool,
    channel: Channel,
    account: &AccountId,
    id: &CommandId,
) -> sqlx::Result<Option<CommandStanding>> {
    sqlx::query_as("select state, held, result, error from worker.commands where identity = $1")
        .bind(ids::command_identity(channel, account, id))
        .fetch_optional(pool)
        .await
}
