//! Outcomes: one event for every command that came to an end, published through [`facts`] and then marked as published. A
//! crash in between publishes it again under the same id, and subscribers drop it.

mod draft;

use runtime::failpoint;

use crate::ledger::{CommandRow, PartRow, command_sets, commands, parts};
pub(crate) use draft::origin;
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
    count(&command, &kind.to_string());
    Ok(())
}

/// Publishes the outcomes of these commands together, as far as they have one that is not published.
///
/// # Errors
/// Broker or database refused: they are published later, under the same ids.
pub(crate) async fn publish_all(facts: &FactStore, identities: &[String]) -> anyhow::Result<()> {
    let (commands, parts) = {
        let mut conn = facts.pool().acquire().await?;
        let commands = command_sets::all_ended_unpublished(&mut conn, identities).await?;
        let ended: Vec<&str> = commands.iter().map(|command| command.identity.as_str()).collect();
        let parts = parts::of_all(&mut conn, &ended).await?;
        (commands, parts)
    };
    let mut drafts: Vec<Draft> = Vec::with_capacity(commands.len());
    let mut published = Vec::with_capacity(commands.len());
    for command in &commands {
        let action = command.action();
        let own: Vec<PartRow> =
            parts.iter().filter(|part| part.identity == command.identity).cloned().collect();
        let Some(outcome) = draft::draft(command, action.as_ref(), &own) else { continue };
        published.push((command, outcome.event.kind()));
        // The effect first: whoever reads of the end can read it.
        drafts.extend(draft::effect(command, action.as_ref()).into_iter().chain([outcome]));
    }
    if drafts.is_empty() {
        return Ok(());
    }
    failpoint!("outcome.before_publish");
    let mut emission = facts.begin(&drafts).await?;
    let (ended, versions): (Vec<&str>, Vec<i64>) =
        published.iter().map(|(command, _)| (command.identity.as_str(), command.version)).unzip();
    command_sets::mark_all_published(&mut emission.tx, &ended, &versions).await?;
    failpoint!("outcome.before_commit");
    emission.commit().await?;
    failpoint!("outcome.after_commit");
    for (command, kind) in published {
        count(command, &kind.to_string());
    }
    Ok(())
}

fn count(command: &CommandRow, kind: &str) {
    metrics::counter!("hookline_command_outcomes_total", "command" => metric_name(&command.command), "state" => command.state.as_str())
        .increment(1);
    tracing::info!(
        account.id = %command.account_id, command.id = %command.command_id, %kind, "Outcome of command `{}`", command.command_id
    );
}

/// Names of commands come from outside; a metric takes only those of the contract.
fn metric_name(command: &str) -> &'static str {
    schemas::command::COMMANDS.iter().find(|name| **name == command).copied().unwrap_or("other")
}
