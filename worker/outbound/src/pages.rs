//! What becomes of a page that Graph did not return, for everything that is read page by page.

use std::time::Duration;

use facts::accounts::Connected;
use graph::{Class, GraphError};
use schemas::Timestamp;
use schemas::facts::OutcomeError;
use serde_json::Value;

use crate::answer::outcome_error;
use crate::ledger::commands::{self, End};
use crate::ledger::{self, CommandRow};
use crate::services::{Next, Services};
use crate::state::{CommandState, Hold};

/// How long a page of a stopped account is left alone; a new token wakes it earlier.
const STOPPED_PAUSE: Duration = Duration::from_secs(60);
/// Pages that may fail in a row before the command gives up.
const FAILURES_MAX: u32 = 10;

/// Reads the page again later, or ends the command. `tries`: pages that failed in a row before this one; `result`: the progress to keep.
///
/// # Errors
/// Database or the store of accounts failed; the page is read again when the claim lapses.
pub(crate) async fn failed(
    services: &Services,
    command: &CommandRow,
    connected: &Connected,
    tries: u32,
    result: Value,
    error: &GraphError,
) -> anyhow::Result<Next> {
    if matches!(error.class, Class::Account) {
        services.accounts.stop(connected, &error.refusal()).await?;
    }
    let mut tx = services.pool.begin().await?;
    let Some(command) = commands::lock(&mut tx, &command.identity).await? else {
        return Ok(Next::Idle);
    };
    let now: Timestamp = ledger::now(&mut tx).await?;
    let pause = error.retry_after.unwrap_or_else(|| {
        let waits = &services.waits;
        runtime::retry::delay(waits.retry_min, waits.retry_max, tries, rand::random())
    });
    let again = match error.class {
        Class::Limited(_) => Some((Hold::Paused, pause)),
        Class::Account => Some((Hold::AccountStopped, STOPPED_PAUSE)),
        Class::Retry | Class::Unknown if tries < FAILURES_MAX => Some((Hold::Paused, pause)),
        _ => None,
    };
    let next = if let Some((why, pause)) = again {
        commands::save_progress(&mut tx, &command.identity, &result).await?;
        commands::wait(&mut tx, &command.identity, now.plus(pause), Some(why)).await?;
        Next::Idle
    } else {
        let error = match error.class {
            Class::Permission => OutcomeError::own("permission", "permission", error.to_string()),
            _ => outcome_error(error),
        };
        let (state, error, result) = (CommandState::Failed, Some(error), Some(result));
        let end = End { state, rule: None, error, result };
        commands::finish(&mut tx, &command.identity, end).await?;
        Next::Ended
    };
    tx.commit().await?;
    Ok(next)
}
