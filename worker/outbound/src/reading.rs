//! Commands that only read Graph: what is done when a read fails. They may be carried out again, whatever became of the first try.

use serde::{Deserialize, Serialize};

use schemas::facts::OutcomeError;
use serde_json::Value;

use crate::answer::outcome_error;
use crate::ledger::commands::{self, End};
use crate::ledger::{self, CommandRow};
use crate::services::{Next, Services};
use crate::state::{CommandState, Hold};
use facts::accounts::Connected;
use graph::{Class, GraphError};

/// How long a read of a stopped account is left alone; a new token wakes it earlier.
pub(crate) const STOPPED_PAUSE: std::time::Duration = std::time::Duration::from_secs(60);
/// Tries that may fail in a row before a read is given up.
const FAILURES_MAX: u32 = 10;

/// How often a read has failed in a row; as the progress of the command.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Tries {
    #[serde(default)]
    tries: u32,
}

/// Why a read is given up, as the outcome says it.
pub(crate) fn given_up(error: &GraphError) -> OutcomeError {
    match error.class {
        Class::Permission => OutcomeError::own("permission", "permission", error.to_string()),
        _ => outcome_error(error),
    }
}

/// How long before the next try, after so many that failed.
pub(crate) fn pause(services: &Services, tries: u32) -> std::time::Duration {
    let waits = &services.waits;
    runtime::retry::delay(waits.retry_min, waits.retry_max, tries, rand::random())
}

/// How far a command that reads has come when a read fails.
pub(crate) struct Stand {
    /// Reads that failed in a row before this one.
    pub(crate) tries: u32,
    /// What is kept for the next try.
    pub(crate) kept: Value,
    /// What the outcome says of it, where it is the last.
    pub(crate) reported: Option<Value>,
}

/// Puts the command off where the read may succeed later, else ends it.
///
/// # Errors
/// As [`failed_at`].
pub(crate) async fn failed(
    services: &Services,
    command: &CommandRow,
    connected: &Connected,
    error: &GraphError,
) -> anyhow::Result<Next> {
    let Tries { tries } = command
        .result
        .clone()
        .and_then(|result| serde_json::from_value(result).ok())
        .unwrap_or_default();
    let kept = serde_json::to_value(Tries { tries: tries + 1 })?;
    failed_at(services, command, connected, Stand { tries, kept, reported: None }, error).await
}

/// The same for a command with a progress of its own.
///
/// # Errors
/// Database or the store of accounts failed; the read is made again when the claim lapses.
pub(crate) async fn failed_at(
    services: &Services,
    command: &CommandRow,
    connected: &Connected,
    stand: Stand,
    error: &GraphError,
) -> anyhow::Result<Next> {
    if error.class == Class::Account {
        services.accounts.stop(connected, &error.refusal()).await?;
    }
    let Stand { tries, kept, reported } = stand;
    let later = error.retry_after.unwrap_or_else(|| pause(services, tries));
    let (why, later) = match error.class {
        Class::Limited(_) => (Hold::Budget, later),
        Class::Account => (Hold::AccountStopped, STOPPED_PAUSE),
        Class::Retry | Class::Unknown if tries < FAILURES_MAX => (Hold::Paused, later),
        _ => {
            let (state, error) = (CommandState::Failed, Some(given_up(error)));
            let end = End { state, rule: None, error, result: reported };
            return end_with(services, command, end).await;
        }
    };
    let mut tx = services.pool.begin().await?;
    if !commands::lock_open(&mut tx, &command.identity).await? {
        return Ok(Next::Idle);
    }
    let until = ledger::now(&mut tx).await?.plus(later);
    commands::save_progress(&mut tx, &command.identity, &kept).await?;
    commands::wait(&mut tx, &command.identity, until, Some(why)).await?;
    tx.commit().await?;
    Ok(Next::Idle)
}

/// Ends the command.
///
/// # Errors
/// The database failed; the read is made again when the claim lapses.
pub(crate) async fn end_with(
    services: &Services,
    command: &CommandRow,
    end: End<'_>,
) -> anyhow::Result<Next> {
    let mut tx = services.pool.begin().await?;
    if !commands::lock_open(&mut tx, &command.identity).await? {
        return Ok(Next::Idle);
    }
    commands::finish(&mut tx, &command.identity, end).await?;
    tx.commit().await?;
    Ok(Next::Ended)
}
