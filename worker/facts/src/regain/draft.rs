//! ◆ Pure: an event of the log as the draft that it was.

use schemas::facts::PartState;
use schemas::{Event, Fact, MessageId};

use crate::draft::{Direction, Draft, MessageFact};

/// Commands whose effect is a message to a person.
const MESSAGE_COMMANDS: [&str; 2] = ["comment_private_reply", "template_send"];

/// The draft of a published event, with the messages that it makes known.
pub(super) fn draft_of(event: Event) -> Draft {
    let messages = messages(&event);
    Draft { messages, ..Draft::of(event) }
}

fn messages(event: &Event) -> Vec<MessageFact> {
    if event.data.contact_id.is_none() {
        return Vec::new();
    }
    match &event.data.fact {
        Fact::MessageReceived(body) => {
            vec![MessageFact::of(body.message_id.clone(), Direction::Inbound)]
        }
        Fact::MessageSent(body) => {
            vec![MessageFact::of(body.message_id.clone(), Direction::Outbound)]
        }
        Fact::ReplySent(body) | Fact::ReplyFailed(body) | Fact::ReplyUnknown(body) => {
            let sent = body.parts.iter().filter(|part| part.state == PartState::Sent);
            sent.filter_map(|part| part.message_id.clone()).map(outbound).collect()
        }
        Fact::CommandDone(body) if MESSAGE_COMMANDS.contains(&body.command.as_str()) => {
            let id = body.result.as_ref().and_then(|result| result.get("id")?.as_str());
            id.map(MessageId::new).map(outbound).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn outbound(message: MessageId) -> MessageFact {
    MessageFact::of(message, Direction::Outbound)
}

#[cfg(test)]
mod tests {
    use schemas::event::Origin;
    use schemas::facts::{CommandOutcome, Reply, ReplyPart};
    use schemas::{Channel, EventId, Timestamp, Via};

    use super::*;

    fn known(fact: Fact, contact: Option<&str>) -> Vec<(String, Direction)> {
        let contact = contact.map(Into::into);
        let (id, time) = (EventId::from("evt_1"), Timestamp::EPOCH);
        let origin = Origin::of(Via::Reply);
        let event = Event::new(id, time, Channel::Instagram, "1".into(), contact, origin, fact);
        let messages = draft_of(event).messages.into_iter();
        messages.map(|message| (message.message_id.to_string(), message.direction)).collect()
    }

    #[test]
    fn an_outcome_makes_the_messages_known_that_were_sent() {
        let part = |n, mid: &str, state| ReplyPart {
            n,
            message_id: Some(mid.into()),
            state,
            text: None,
            sent_at: None,
        };
        let parts = vec![part(0, "m1", PartState::Sent), part(1, "m2", PartState::Unknown)];
        let reply = Reply {
            reply_id: "r".into(),
            text: None,
            attachments: Vec::new(),
            reply_to: None,
            parts,
            error: None,
            attempts: 2,
            rule: None,
            requested_by: None,
            caused_by: None,
        };
        let m1 = vec![("m1".to_owned(), Direction::Outbound)];
        assert_eq!(known(Fact::ReplyUnknown(reply), Some("5200000000000011")), m1);
        let done = |command: &str| {
            Fact::CommandDone(CommandOutcome {
                command_id: "c".into(),
                command: command.to_owned(),
                result: Some(serde_json::json!({"id": "m1"})),
                error: None,
            })
        };
        assert_eq!(known(done("comment_private_reply"), Some("5200000000000011")), m1);
        assert!(known(done("comment_private_reply"), None).is_empty(), "of no conversation");
        assert!(known(done("comment_reply"), Some("5200000000000011")).is_empty(), "a comment");
    }
}
