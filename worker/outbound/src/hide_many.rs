//! `comment_hide_many`: becomes one command for each comment, so that each has an outcome of its own. Published again after a crash they are
//! the same commands.

use std::time::Duration;

use runtime::publish::Outgoing;
use schemas::Command;
use schemas::command::{Action, CommentRef, RequestedBy};
use schemas::facts::OutcomeError;
use serde_json::json;

use crate::ledger::CommandRow;
use crate::ledger::commands::End;
use crate::reading;
use crate::services::{Next, Services};
use crate::state::CommandState;

const ACK_WAIT: Duration = Duration::from_secs(5);
/// Longest id of a command, bytes.
const ID_MAX: usize = 256;

/// Publishes the commands and ends. The command is claimed.
///
/// # Errors
/// Broker or database failed: it is carried out again when the claim lapses.
pub(crate) async fn run(
    services: &Services,
    command: &CommandRow,
    ids: &[String],
    hidden: bool,
) -> anyhow::Result<Next> {
    let each: Vec<Command> = ids.iter().map(|id| one(command, id, hidden)).collect();
    if each.iter().any(|command| ID_MAX < command.id.as_str().len()) {
        let words = "`id` is too long for the commands of its comments: use a shorter one";
        let error = Some(OutcomeError::own("invalid", "invalid", words));
        let (state, rule, result) = (CommandState::Failed, None, None);
        return reading::end_with(services, command, End { state, rule, error, result }).await;
    }
    let outgoing = each.iter().map(outgoing).collect::<serde_json::Result<Vec<_>>>()?;
    for end in services.log.broker().publish_each(outgoing, ACK_WAIT).await {
        end?;
    }
    let ids: Vec<&str> = each.iter().map(|command| command.id.as_str()).collect();
    let result = Some(json!({ "commands": ids }));
    let end = End { state: CommandState::Sent, rule: None, error: None, result };
    reading::end_with(services, command, end).await
}

/// The command for one comment: its id follows from that of the whole.
fn one(command: &CommandRow, comment: &str, hidden: bool) -> Command {
    let act = if hidden { Action::CommentHide } else { Action::CommentUnhide };
    Command {
        id: format!("{}/{comment}", command.command_id).into(),
        channel: command.channel,
        account_id: command.account_id.clone(),
        contact_id: None,
        action: act(CommentRef { comment_id: comment.to_owned() }),
        requested_by: RequestedBy { kind: command.requester, name: command.requester_name.clone() },
        requested_at: command.requested_at,
    }
}

fn outgoing(command: &Command) -> serde_json::Result<Outgoing> {
    Ok(Outgoing {
        subject: command.nats_subject(),
        id: command.identity(),
        headers: async_nats::HeaderMap::new(),
        payload: serde_json::to_vec(command)?.into(),
    })
}
