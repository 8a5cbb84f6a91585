//! Outcomes: one event for every command that came to an end, published through [`facts`] and then marked as published. A
//! crash in between publishes it again under the same id, and subscribers drop it.

mod draft;

use runtime::failpoint;

use crate::ledger::{commands, parts};
use facts::{Draft, FactStore};

/// Publishes the outcome of one command, if it has one that is not published.
///
/// # Errors
/// Broker or database refused: the outcome is published later, under the same id.
pub(crate) async fn publish(facts: &FactStore, identity: &str) -> anyhow::Result<()> {
    let (command, parts) = {
        let mut conn = facts.pool().acquire().await?;
        let Some(command) = commands::ended_unpublished(&mut conn, identity).await? else {
            return Ok(());
        };
        let parts = parts::of(&mut conn, identity).await?;
        (command, parts)
    };
    let action = command.action();
    let Some(outcome) = draft::draft(&command, action.as_ref(), &parts) else { return Ok(()) };
    let kind = outcome.event.kind();
    failpoint!("outcome.before_publish");
    // The effect first: whoever reads of the end can read it.
    let effect = draft::effect(&command, action.as_ref());
    let drafts: Vec<Draft> = effect.into_iter().chain([outcome]).collect();
    let mut emission = facts.begin(&drafts).await?;
    commands::mark_published(&mut emission.tx, identity, command.version).await?;
    failpoint!("outcome.before_commit");
    emission.commit().await?;
    failpoint!("outcome.after_commit");
    metrics::counter!("hookline_command_outcomes_total", "command" => metric_name(&command.command), "state" => command.state.as_str())
        .increment(1);
    tracing::info!(
        account.id = %command.account_id, command.id = %command.command_id, %kind, "Outcome of command `{}`", command.command_id
    );
    Ok(())
}

/// Names of commands come from outside; a metric takes only those of the contract.
fn metric_name(command: &str) -> &'static str {
    schemas::command::COMMANDS.iter().find(|name| **name == command).copied().unwrap_or("other")
}
