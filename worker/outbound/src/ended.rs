//! ◆ Pure: the end of a command as its outcome event reported it.

use schemas::facts::{CommandOutcome, OutcomeError, PartState as ReportedState, Reply};
use schemas::{AccountId, Channel, Event, EventId, Fact, Timestamp};

use crate::state::{CommandState, PartState};

/// Kinds of outcomes of a reply, then of everything else; the first that is found counts (docs/contract.md 6).
const REPLY_KINDS: [&str; 3] = ["reply.sent", "reply.failed", "reply.unknown"];
const OTHER_KINDS: [&str; 3] = ["command.done", "command.failed", "command.unknown"];
/// What they say, in the same order.
const STATES: [CommandState; 3] = [CommandState::Sent, CommandState::Failed, CommandState::Unknown];

/// The end of a command.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) state: CommandState,
    pub(crate) at: Timestamp,
    /// The rule of the policy that decided.
    pub(crate) rule: Option<String>,
    /// Why it failed.
    pub(crate) error: Option<OutcomeError>,
    /// What Meta answered.
    pub(crate) result: Option<serde_json::Value>,
    pub(crate) parts: Vec<EndedPart>,
}

/// The end of one part.
#[derive(Clone, Debug)]
pub(crate) struct EndedPart {
    pub(crate) state: PartState,
    pub(crate) message_id: Option<String>,
    pub(crate) sent_at: Option<Timestamp>,
}

impl Ended {
    /// An end of which only the kind of its outcome is known.
    pub(crate) const fn bare(state: CommandState, at: Timestamp) -> Self {
        Self { state, at, rule: None, error: None, result: None, parts: Vec::new() }
    }

    /// The end of part `n`. Only what is sent has a time.
    pub(crate) fn part(&self, n: usize) -> EndedPart {
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

/// The ids an outcome of the command `id`, named `name`, would have and the state each stands for, the one that counts most first.
pub(crate) fn outcome_ids(
    channel: Channel,
    account: &AccountId,
    name: &str,
    id: &str,
) -> [(EventId, CommandState); 3] {
    let derive = |kind: &str, key: &[&str]| EventId::derive(channel, account, kind, key);
    let ids = if name == "reply" {
        REPLY_KINDS.map(|kind| derive(kind, &[id]))
    } else {
        OTHER_KINDS.map(|kind| derive(kind, &[id, ""]))
    };
    let [sent, failed, unknown] = ids;
    [(sent, STATES[0]), (failed, STATES[1]), (unknown, STATES[2])]
}

/// The id of the outcome of a command that was refused beside the one of its id: `apart` is what its identity has behind `#`.
pub(crate) fn refusal_id(channel: Channel, account: &AccountId, id: &str, apart: &str) -> EventId {
    EventId::derive(channel, account, OTHER_KINDS[1], &[id, apart])
}

/// The end that an outcome event reports; `None` for any other event.
pub(crate) fn ended(event: &Event) -> Option<Ended> {
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
        // The message or comment that it made, if it made one.
        parts: body
            .result
            .as_ref()
            .and_then(|result| result.get("id")?.as_str())
            .filter(|_| state == CommandState::Sent)
            .map(|id| EndedPart {
                state: PartState::Sent,
                message_id: Some(id.to_owned()),
                sent_at: Some(event.time),
            })
            .into_iter()
            .collect(),
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
        let account = "17841400000000101".into();
        let ids = |name: &str| outcome_ids(Channel::Instagram, &account, name, "r1");
        let derive = |kind, key: &[&str]| EventId::derive(Channel::Instagram, &account, kind, key);
        assert_eq!(ids("reply")[0].0, derive("reply.sent", &["r1"]));
        assert_eq!(ids("sender_action")[1].0, derive("command.failed", &["r1", ""]));
    }
}
