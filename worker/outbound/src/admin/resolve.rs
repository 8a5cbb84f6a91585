//! Settles a parked send as a person found it.

use schemas::facts::OutcomeError;
use schemas::{AccountId, Channel, Timestamp};
use sqlx::{PgConnection, PgPool};

use super::whose::Whose;
use crate::ledger::{
    self, CommandRow, PartRow, commands, echoes, parked, part_states, parts, transitions,
};
use crate::state::{CommandState, PartState, SettledBy};

/// What a person found out about a parked send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It was delivered.
    Sent,
    /// It was not; it is not sent again by itself.
    NotSent,
}

/// Why a parked send cannot be settled.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// No command has this id.
    #[error("no command `{0}`: `hookline replies list` shows what is parked")]
    NotFound(String),
    /// Several accounts have a command of this id.
    #[error("several accounts have a command `{0}`: name the account with --account CHANNEL/ID")]
    Ambiguous(String),
    /// Its outcome is known.
    #[error("the outcome of `{id}` is not unknown: it is `{state}`")]
    NotParked {
        /// The command.
        id: String,
        /// Its state.
        state: &'static str,
    },
    /// The message that is named belongs to another command.
    #[error("message `{message_id}` is the effect of command `{command_id}`: look again")]
    Taken {
        /// The message.
        message_id: String,
        /// Whose effect it is.
        command_id: String,
    },
    /// Postgres did not answer as expected: nothing was changed, call again.
    #[error("the ledger")]
    Database(#[from] sqlx::Error),
}

/// What settling has led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The command.
    pub command_id: String,
    /// Its account.
    pub account: (Channel, AccountId),
    /// Its state now: `sent`, `failed`, `partial`.
    pub state: &'static str,
    /// Parts that were not sent because of it, and will not be.
    pub skipped: usize,
}

/// What a person says about a parked send.
#[derive(Clone, Copy, Debug)]
pub struct Resolution<'a> {
    /// The command (`reply_id`).
    pub command_id: &'a str,
    /// Its account, where several have such a command.
    pub whose: Option<&'a Whose>,
    /// What was found.
    pub finding: Finding,
    /// Meta's id of what was delivered, where the person knows it: row and echo become one then.
    pub message_id: Option<&'a str>,
    /// Who says so.
    pub by: &'a str,
    /// Only return what it would lead to.
    pub dry_run: bool,
}

/// Settles a parked send as a person found it; its outcome is published by a worker. A later echo still overrules.
///
/// # Errors
/// [`ResolveError`]; nothing was changed.
pub async fn resolve(pool: &PgPool, resolution: Resolution<'_>) -> Result<Resolved, ResolveError> {
    let Resolution { command_id, finding, by, dry_run, .. } = resolution;
    let mut tx = pool.begin().await?;
    let resolved = resolve_within(&mut tx, &resolution).await?;
    if dry_run {
        tx.rollback().await?;
    } else {
        tx.commit().await?;
        tracing::info!(command.id = command_id, by, ?finding, "Settled command `{command_id}`");
    }
    Ok(resolved)
}

/// The same in a transaction of the caller's, who commits it or not.
///
/// # Errors
/// [`ResolveError`]; roll back.
pub(crate) async fn resolve_within(
    tx: &mut PgConnection,
    resolution: &Resolution<'_>,
) -> Result<Resolved, ResolveError> {
    let command = find(tx, resolution).await?;
    if let Some(message_id) = resolution.message_id {
        not_taken(tx, &command, message_id).await?;
    }
    let now = ledger::now(tx).await?;
    for part in parts::of(tx, &command.identity).await? {
        if part.state == PartState::Unknown {
            settle(tx, &command, &part, resolution, now).await?;
        }
    }
    transitions::conclude(tx, &command, None).await?;
    let parts = parts::of(tx, &command.identity).await?;
    let states: Vec<PartState> = parts.iter().map(|part| part.state).collect();
    let state = CommandState::of_parts(&states).unwrap_or(command.state);
    Ok(Resolved {
        command_id: resolution.command_id.to_owned(),
        account: (command.channel, command.account_id),
        state: state.as_str(),
        skipped: states.iter().filter(|state| **state == PartState::Skipped).count(),
    })
}

/// Locks the command that is meant, which must be parked.
async fn find(
    conn: &mut PgConnection,
    resolution: &Resolution<'_>,
) -> Result<CommandRow, ResolveError> {
    let Resolution { command_id, whose, .. } = *resolution;
    let not_found = || ResolveError::NotFound(command_id.to_owned());
    let account = whose.map(|whose| whose.account.as_str());
    let channel = whose.and_then(|whose| whose.channel);
    let identities = parked::identities(conn, command_id, channel, account).await?;
    let identity = match identities.as_slice() {
        [] => return Err(not_found()),
        [identity] => identity,
        _ => return Err(ResolveError::Ambiguous(command_id.to_owned())),
    };
    let command = commands::lock(conn, identity).await?.ok_or_else(not_found)?;
    if command.state != CommandState::Unknown {
        let state = command.state.as_str();
        return Err(ResolveError::NotParked { id: command_id.to_owned(), state });
    }
    Ok(command)
}

async fn settle(
    conn: &mut PgConnection,
    command: &CommandRow,
    part: &PartRow,
    resolution: &Resolution<'_>,
    now: Timestamp,
) -> sqlx::Result<()> {
    match resolution.finding {
        Finding::Sent => {
            // When Meta took it is not known; the attempt's start is the nearest that is.
            let at = part.started_at.unwrap_or(now);
            let item = resolution.message_id;
            transitions::mark_sent(conn, command, part.n, item, at, SettledBy::Person).await?;
            // Its echo may be here already, taken for somebody else's.
            echoes::reopen(conn, command, &part.peer).await
        }
        Finding::NotSent => {
            let error =
                OutcomeError::own("not_sent", "unknown", "a person looked and found it not sent");
            part_states::set_failed(conn, &command.identity, part.n, &error).await
        }
    }
}

/// Refuses a message that is known to be the effect of another command: naming it here would hide one of the two.
async fn not_taken(
    conn: &mut PgConnection,
    command: &CommandRow,
    message_id: &str,
) -> Result<(), ResolveError> {
    let owner =
        parts::owner_of_message(conn, command.channel, &command.account_id, message_id).await?;
    match owner {
        None => Ok(()),
        Some(command_id) => {
            Err(ResolveError::Taken { message_id: message_id.to_owned(), command_id })
        }
    }
}
