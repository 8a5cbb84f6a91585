//! Outcomes: one event for every command that came to an end, published through [`facts`] and then marked as published. A
//! crash in between publishes it again under the same id, and subscribers drop it.

use runtime::failpoint;
use schemas::command::{Action, ReplyData};
use schemas::event::Origin;
use schemas::facts::{
    Attachment, CommandOutcome, Comment, OutcomeError, PartState, Reply, ReplyPart, ReplyTo,
};
use schemas::{Channel, CommandId, Event, EventId, Fact, MessageId, Timestamp, Via};
use sqlx::PgPool;

use super::decide::State;
use super::ledger::{self, CommandRow, PartRow};
use super::plan::Payload;
use facts::{Direction, Draft, FactStore};

/// Builds the outcome of a command that has ended. `None`: it has not.
pub fn draft(command: &CommandRow, parts: &[PartRow]) -> Option<Draft> {
    let finished_at = command.finished_at?;
    let (fact, key) = match command.command.as_str() {
        "reply" if !command.identity.contains('#') => {
            (reply(command, parts), vec![command.command_id.as_str()])
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
    let origin = Origin { raw_stream_sequence: Some(command.stream_seq), ..Origin::of(via) };
    let contact = command.contact_id.as_deref().map(Into::into);
    let mut event =
        Event::new(id, time, command.channel, command.account_id.clone(), contact, origin, fact);
    event.traceparent = command.traceparent.clone();
    let mut draft = Draft::of(event);
    if command.contact_id.is_some() {
        for part in parts.iter().filter(|part| is_message(part) && part.state == State::Sent) {
            if let Some(mid) = &part.message_id {
                let thread = schemas::meta::mid::decode(mid).map(|mid| mid.thread_id);
                draft = draft.with_message(MessageId::new(mid), Direction::Outbound, thread);
            }
        }
    }
    Some(draft)
}

/// What tells a refused reuse of an id (and a malformed command) from the first command of that id.
fn reuse(identity: &str) -> &str {
    identity.split_once('#').map_or("", |(_, seq)| seq)
}

const fn is_message(part: &PartRow) -> bool {
    matches!(part.payload, Payload::Message { .. } | Payload::PrivateReply { .. })
}

fn reply(command: &CommandRow, parts: &[PartRow]) -> Fact {
    let data = match &command.action {
        Ok(Action::Reply(data)) => data.clone(),
        Ok(_) => ReplyData::default(),
        Err(fields) => ReplyData::readable(fields),
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
        reply_id: CommandId::new(&command.command_id),
        text: data.text,
        attachments: file.into_iter().chain(template).collect(),
        reply_to: data.reply_to.map(|mid| ReplyTo { message_id: Some(mid), story: None }),
        parts: parts.iter().filter_map(reply_part).collect(),
        error: if command.state == "sent" { None } else { command.error.clone() },
        attempts: parts.iter().map(|part| part.attempt).sum(),
        rule: command.rule.clone(),
        requested_by: Some(schemas::command::RequestedBy {
            kind: command.requester,
            name: command.requester_name.clone(),
        }),
        caused_by: command.caused_by.as_deref().map(Into::into),
    };
    match command.state.as_str() {
        "sent" => Fact::ReplySent(body),
        "unknown" => Fact::ReplyUnknown(body),
        _ => Fact::ReplyFailed(body),
    }
}

fn reply_part(part: &PartRow) -> Option<ReplyPart> {
    let state = match part.state {
        State::Sent => PartState::Sent,
        State::Failed => PartState::Failed,
        State::Unknown => PartState::Unknown,
        State::Skipped => PartState::Skipped,
        State::Planned | State::Sending | State::Refused => return None,
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
        command_id: CommandId::new(&command.command_id),
        command: command.command.clone(),
        result: command.result.clone(),
        error: if command.state == "sent" { None } else { command.error.clone() },
    };
    match command.state.as_str() {
        "sent" => Fact::CommandDone(body),
        "unknown" => Fact::CommandUnknown(body),
        _ => Fact::CommandFailed(body),
    }
}

/// What a command did to a comment of Instagram, which sends no webhook about it (`meta-platform.md` section 6.2): without this event nobody
/// would read of it. Of Facebook's the feed tells.
fn effect(command: &CommandRow) -> Option<Draft> {
    if command.channel != Channel::Instagram || command.state != "sent" {
        return None;
    }
    let finished_at = command.finished_at?;
    let (comment_id, fact): (_, fn(Comment) -> Fact) = match command.action.as_ref().ok()? {
        Action::CommentHide(on) => (on.comment_id.clone(), Fact::CommentHidden),
        Action::CommentUnhide(on) => (on.comment_id.clone(), Fact::CommentUnhidden),
        Action::CommentDelete(on) => (on.comment_id.clone(), Fact::CommentDeleted),
        _ => return None,
    };
    let fact = fact(Comment { comment_id: comment_id.clone(), ..Comment::default() });
    let (account, key) = (command.account_id.clone(), [comment_id.as_str(), &command.command_id]);
    let id = EventId::derive(command.channel, &account, "comment.command", &key);
    let origin =
        Origin { raw_stream_sequence: Some(command.stream_seq), ..Origin::of(Via::Command) };
    let mut event = Event::new(id, finished_at, command.channel, account, None, origin, fact);
    event.traceparent = command.traceparent.clone();
    Some(Draft::of(event))
}

/// An error of our own.
pub fn own_error(code: &str, class: &str, message: impl Into<String>) -> OutcomeError {
    OutcomeError {
        code: code.to_owned(),
        subcode: None,
        class: class.to_owned(),
        message: message.into(),
    }
}

/// Publishes the outcome of one command, if it has one that is not published.
///
/// # Errors
/// When broker or database refuse: it is published later.
pub async fn publish(facts: &FactStore, identity: &str) -> anyhow::Result<()> {
    let (command, draft) = {
        let mut conn = facts.pool().acquire().await?;
        let ended = "and c.state <> 'open' and not c.outcome_published";
        let Some(command) = ledger::find(&mut conn, identity, ended).await? else {
            return Ok(());
        };
        let parts = ledger::parts(&mut conn, identity).await?;
        let Some(draft) = draft(&command, &parts) else { return Ok(()) };
        (command, draft)
    };
    let kind = draft.event.kind();
    failpoint!("outcome.before_publish");
    // The effect first: who hears of the end can read it.
    let drafts: Vec<Draft> = effect(&command).into_iter().chain([draft]).collect();
    let mut emission = facts.begin(&drafts).await?;
    // Only what was read is marked: a change meanwhile has an outcome of its own to tell.
    sqlx::query(
        "update worker.commands set outcome_published = true where identity = $1 and version = $2",
    )
    .bind(identity)
    .bind(command.version)
    .execute(&mut *emission.tx)
    .await?;
    failpoint!("outcome.before_commit");
    emission.commit().await?;
    failpoint!("outcome.after_commit");
    metrics::counter!("hookline_command_outcomes_total", "command" => metric_name(&command.command), "state" => command.state.clone())
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

/// The commands whose outcome is still to be published, oldest first: those that ended before `before`, whose own task has not got to
/// it, and those that were refused at the door and have no task.
///
/// # Errors
/// Of the database.
pub async fn unpublished(pool: &PgPool, before: Timestamp, max: i64) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select identity from worker.commands
          where state <> 'open' and not outcome_published
            and (finished_at <= $1 or not exists (select from worker.parts p where p.identity = commands.identity))
          order by finished_at limit $2",
    )
    .bind(before.to_datetime())
    .bind(max)
    .fetch_all(pool)
    .await
}
