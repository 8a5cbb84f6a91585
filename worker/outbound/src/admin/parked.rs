//! What is parked: sends whose outcome is unknown.

use schemas::Timestamp;
use sqlx::PgPool;

use super::whose::Whose;
use crate::ledger::parked::{self, ParkedRow};

/// A command whose outcome is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// Its id (`reply_id`).
    pub command_id: String,
    /// Its name.
    pub command: String,
    /// The channel.
    pub channel: String,
    /// The account.
    pub account_id: String,
    /// The conversation, where there is one.
    pub conversation_id: Option<String>,
    /// The person, where there is one: whose conversation to look into.
    pub contact_id: Option<String>,
    /// Since when.
    pub parked_at: Option<Timestamp>,
    /// When the attempt began whose outcome is unknown: look there.
    pub attempted_at: Option<Timestamp>,
    /// How often it was attempted.
    pub attempts: i64,
    /// Which part is unknown, from 1, and of how many.
    pub part: (i64, i64),
    /// What that part was to say; nobody's but an operator's eyes need it.
    pub text: Option<String>,
}

/// What is parked, oldest first, at most `max`.
///
/// # Errors
/// `sqlx::Error`: call again.
pub async fn parked(pool: &PgPool, whose: Option<&Whose>, max: i64) -> sqlx::Result<Vec<Parked>> {
    let account = whose.map(|whose| whose.account.as_str());
    let channel = whose.and_then(|whose| whose.channel);
    let rows = parked::list(pool, channel, account, max).await?;
    Ok(rows.into_iter().map(Parked::from).collect())
}

impl From<ParkedRow> for Parked {
    fn from(row: ParkedRow) -> Self {
        Self {
            command_id: row.command_id,
            command: row.command,
            channel: row.channel,
            account_id: row.account_id,
            conversation_id: row.conversation_id,
            contact_id: row.contact_id,
            parked_at: row.finished_at,
            attempted_at: row.started_at,
            attempts: row.attempts,
            part: (row.part.map_or(0, i64::from), row.parts),
            text: row.text,
        }
    }
}
