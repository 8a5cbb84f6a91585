//! ◆ Pure: the end of a command as its outcome event reported it.

use schemas::command::UncheckedCommand;
use schemas::facts::{CommandOutcome, OutcomeError, PartState as ReportedState, Reply};
use schemas::{Event, EventId, Fact, Timestamp};

use crate::state::{CommandState, PartState};

/// Kinds of outcomes of a reply, then of everything else; the first that is found counts (docs/contract.md 6).
const REPLY_KINDS: [&str; 3] = ["reply.sent", "reply.failed", "reply.unknown"];
const OTHER_KINDS: [&str; 3] = ["command.done", "command.failed", "command.unknown"];
/// What they say, in the same order.
const STATES: [CommandState; 3] = [CommandState::Sent, CommandState::Failed, CommandState::Unknown];

/// The end of a command.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) state: CommandState,
    pub(super) at: Timestamp,
    /// The rule of the policy that decided.
    pub(super) rule: Option<String>,
    /// Why it failed.
    pub(super) error: Option<OutcomeError>,
    /// What Meta answered.
    pub(super) result: Option<serde_json::Value>,
    pub(super) parts: Vec<EndedPart>,
}

/// The end of one part.
#[derive(Clone, Debug)]
pub(super) struct EndedPart {
    pub(super) state: PartState,
    pub(super) message_id: Option<String>,
    pub(super) sent_at: Option<Timestamp>,
}

impl Ended {
    /// An end of which only the kind of its outcome is known.
    pub(super) const fn bare(state: CommandState, at: Timestamp) -> Self {
        Self { state, at, rule: None, error: None, result: None, parts: Vec::new() }
    }

    /// The end of part `n`. Only what is sent has a time.
    pub(super) fn part(&self, n: usize) -> EndedPart {
        let mut part = self.parts.get(n).cloned().unwrap_or(EndedPart {
            state: match self.state {
                CommandState::Sent => PartState::Sent,
                CommandState::Unknown => PartState::Unknown,
                CommandState::Open | CommandState::Failed | CommandState::Partial => {
                    PartState::Failed
                }
            },
            message_id: None,
            sent_at: None,
        });
        part.sent_at = (part.state == PartState::Sent).then(|| part.sent_at.unwrap_or(self.at));
        part
    }
}

/// The ids an outcome of `command` would have and the state each stands for, the one that counts most first.
pub(super) fn outcome_ids(command: &UncheckedCommand) -> [(EventId, CommandState); 3] {
    let id = command.id.as_str();
    let derive =
        |kind: &str, key: &[&str]| EventId::derive(command.channel, &command.account_id, kind, key);
    let ids = if command.name == "reply" {
        REPLY_KINDS.map(|kind| derive(kind, &[id]))
    } else {
        OTHER_KINDS.map(|kind| derive(kind, &[id, ""]))
    };
    let [sent, failed, unknown] = ids;
    [(sent, STATES[0]), (failed, STATES[1]), (unknown, STATES[2])]
}

/// The end that an outcome event reports; `None` for any other event.
pub(super) fn ended(event: &Event) -> Option<Ended> {
    let reply = |state, body: &Reply| Ended {
        state,
        at: event.time,
        rule: body.rule.clone(),
        error: body.error.clone(),
        result: None,
        parts: body
            .parts
            .iter()
            .map(|part| EndedPart {
                state: of_outcome(part.state),
                message_id: part.message_id.as_ref().map(ToString::to_string),
                sent_at: part.sent_at,
            })
            .collect(),
    };
    let other = |state, body: &CommandOutcome| Ended {
        state,
        at: event.time,
        rule: None,
        error: body.error.clone(),
        result: body.result.clone(),
        parts: Vec::new(),
    };
    Some(match &event.data.fact {
        Fact::ReplySent(body) => reply(CommandState::Sent, body),
        Fact::ReplyFailed(body) => {
            let some_sent = body.parts.iter().any(|part| part.state == ReportedState::Sent);
            reply(if some_sent { CommandState::Partial } else { CommandState::Failed }, body)
        }
        Fact::ReplyUnknown(body) => reply(CommandState::Unknown, body),
        Fact::CommandDone(body) => other(CommandState::Sent, body),
        Fact::CommandFailed(body) => other(CommandState::Failed, body),
        Fact::CommandUnknown(body) => other(CommandState::Unknown, body),
        _ => return None,
    })
}

const fn of_outcome(state: ReportedState) -> PartState {
    match state {
        ReportedState::Sent => PartState::Sent,
        ReportedState::Failed => PartState::Failed,
        ReportedState::Unknown => PartState::Unknown,
        ReportedState::Skipped => PartState::Skipped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_are_those_that_outcomes_are_published_under() {
        let command = |name: &str, data: serde_json::Value| -> UncheckedCommand {
            serde_json::from_value(serde_json::json!({
                "id": "r1", "channel": "instagram", "account_id": "17841400000000101", "contact_id": "5200000000000011",
                "command": name, "requested_by": {"kind": "person", "name": "anna"},
                "requested_at": "2026-11-21T10:00:00.000Z", "data": data
            }))
            .unwrap()
        };
        let reply = outcome_ids(&command("reply", serde_json::json!({"text": "hi"})));
        let derive = |kind, key: &[&str]| {
            EventId::derive(schemas::Channel::Instagram, &"17841400000000101".into(), kind, key)
        };
        assert_eq!(reply[0].0, derive("reply.sent", &["r1"]));
        let typing =
            outcome_ids(&command("sender_action", serde_json::json!({"action": "typing_on"})));
        assert_eq!(typing[1].0, derive("command.failed", &["r1", ""]));
    }
}
