//! ◆ Pure: the event that reports how a command ended.

use schemas::command::{Action, ReplyData, RequestedBy};
use schemas::event::Origin;
use schemas::facts::{
    Attachment, CommandOutcome, Comment, OutcomeError, PartState as ReportedState, Reply,
    ReplyPart, ReplyTo,
};
use schemas::{Channel, Event, EventId, Fact, MessageId, Via};

use crate::ledger::{CommandRow, PartRow};
use crate::payload::Payload;
use crate::state::{CommandState, EchoKind, PartState};
use facts::{Direction, Draft, MessageFact};

/// Builds the outcome of a command that has ended. `None`: it has not.
pub(super) fn draft(
    command: &CommandRow,
    action: Option<&Action>,
    parts: &[PartRow],
) -> Option<Draft> {
    let finished_at = command.finished_at?;
    let (fact, key) = match command.command.as_str() {
        "reply" if !command.identity.contains('#') => {
            (reply(command, action, parts), vec![command.command_id.as_str()])
        }
        _ => (other(command), vec![command.command_id.as_str(), reuse(&command.identity)]),
    };
    // A reply is sent when Meta took its last part; the end of anything else is when we knew.
    let sent_at = parts.iter().filter_map(|part| part.sent_at).max();
    let time = match &fact {
        Fact::ReplySent(_) => sent_at.unwrap_or(finished_at),
        _ => finished_at,
    };
    let id = EventId::derive(command.channel, &command.account_id, fact.kind().as_str(), &key);
    let via = if command.command == "reply" { Via::Reply } else { Via::Command };
    let origin = origin(command, via);
    let contact = command.contact_id.clone();
    let mut event =
        Event::new(id, time, command.channel, command.account_id.clone(), contact, origin, fact);
    event.traceparent = command.traceparent.clone();
    let mut draft = Draft::of(event);
    if command.contact_id.is_some() {
        for part in parts.iter().filter(|part| {
            part.payload.echo_kind() == EchoKind::Message && part.state == PartState::Sent
        }) {
            if let Some(mid) = &part.message_id {
                let message = MessageFact::of(MessageId::new(mid), Direction::Outbound);
                draft = draft.with_message(message);
            }
        }
    }
    Some(draft)
}

/// Where an outcome came from: the command's position in INBOX_COMMANDS.
pub(crate) fn origin(command: &CommandRow, via: Via) -> Origin {
    Origin {
        raw_stream_sequence: Some(command.stream_seq),
        source_era: Some(command.stream_era),
        ..Origin::of(via)
    }
}

/// What keeps a refused reuse of an id (and a malformed command) apart from the first command of that id.
fn reuse(identity: &str) -> &str {
    identity.split_once('#').map_or("", |(_, seq)| seq)
}

fn reply(command: &CommandRow, action: Option<&Action>, parts: &[PartRow]) -> Fact {
    let data = match action {
        Some(Action::Reply(data)) => data.clone(),
        Some(_) => ReplyData::default(),
        None => ReplyData::readable(&command.data),
    };
    let file = data.attachment.map(|file| Attachment {
        kind: file.kind,
        url: file.url,
        title: None,
        payload: None,
    });
    let template = data.template.filter(|template| template.is_object()).map(|template| {
        let url = template.get("url").and_then(|url| url.as_str()).map(str::to_owned);
        Attachment { kind: "template".to_owned(), url, title: None, payload: Some(template) }
    });
    let body = Reply {
        reply_id: command.command_id.clone(),
        text: data.text,
        attachments: file.into_iter().chain(template).collect(),
        reply_to: data.reply_to.map(|mid| ReplyTo { message_id: Some(mid), story: None }),
        parts: parts.iter().filter_map(reply_part).collect(),
        error: error(command),
        attempts: parts.iter().map(|part| part.attempt).sum(),
        rule: command.rule.clone(),
        requested_by: Some(RequestedBy {
            kind: command.requester,
            name: command.requester_name.clone(),
        }),
        caused_by: command.caused_by.clone(),
    };
    match command.state {
        CommandState::Sent => Fact::ReplySent(body),
        CommandState::Unknown => Fact::ReplyUnknown(body),
        _ => Fact::ReplyFailed(body),
    }
}

fn reply_part(part: &PartRow) -> Option<ReplyPart> {
    let state = match part.state {
        PartState::Sent => ReportedState::Sent,
        PartState::Failed => ReportedState::Failed,
        PartState::Unknown => ReportedState::Unknown,
        PartState::Skipped => ReportedState::Skipped,
        PartState::Planned | PartState::Sending | PartState::Refused => return None,
    };
    let text = match &part.payload {
        Payload::Message { message, .. } => {
            message.get("text").and_then(|text| text.as_str()).map(str::to_owned)
        }
        _ => None,
    };
    Some(ReplyPart {
        n: u32::try_from(part.n).unwrap_or(0),
        message_id: part.message_id.as_deref().map(MessageId::new),
        state,
        text,
        sent_at: part.sent_at,
    })
}

fn other(command: &CommandRow) -> Fact {
    let body = CommandOutcome {
        command_id: command.command_id.clone(),
        command: command.command.clone(),
        result: command.result.clone(),
        error: error(command),
    };
    match command.state {
        CommandState::Sent => Fact::CommandDone(body),
        CommandState::Unknown => Fact::CommandUnknown(body),
        _ => Fact::CommandFailed(body),
    }
}

/// What a command did to a comment of Instagram, which sends no webhook about it (docs/meta-platform.md 6.2): without this event nobody
/// would read of it. Facebook reports it in the feed.
pub(super) fn effect(command: &CommandRow, action: Option<&Action>) -> Option<Draft> {
    if command.channel != Channel::Instagram || command.state != CommandState::Sent {
        return None;
    }
    let finished_at = command.finished_at?;
    let (comment_id, fact): (_, fn(Comment) -> Fact) = match action? {
        Action::CommentHide(on) => (on.comment_id.clone(), Fact::CommentHidden),
        Action::CommentUnhide(on) => (on.comment_id.clone(), Fact::CommentUnhidden),
        Action::CommentDelete(on) => (on.comment_id.clone(), Fact::CommentDeleted),
        _ => return None,
    };
    let fact = fact(Comment { comment_id: comment_id.clone(), ..Comment::default() });
    let (account, key) =
        (command.account_id.clone(), [comment_id.as_str(), command.command_id.as_str()]);
    let id = EventId::derive(command.channel, &account, "comment.command", &key);
    let origin = origin(command, Via::Command);
    let mut event = Event::new(id, finished_at, command.channel, account, None, origin, fact);
    event.traceparent = command.traceparent.clone();
    Some(Draft::of(event))
}
/// Why it had no effect. What a part that was sent in the end met before is no error.
fn error(command: &CommandRow) -> Option<OutcomeError> {
    command.error.clone().filter(|_| command.state != CommandState::Sent)
}
