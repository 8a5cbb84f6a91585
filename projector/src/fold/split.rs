//! ◆ Pure: an event, taken apart into one fact per row it is about.

use schemas::facts::{Author, Mention, PostChanged, Receipt, WithdrawReason};
use schemas::ids::message_row_id;
use schemas::{ConversationId, Event, Fact, Kind};

use super::absorb::Arrival;
use super::class::Class;
use super::reply_parts::parts_of;
use super::row_fact::{RowFact, Statement};
use super::version::Version;

/// Splits an event. Kinds that no read model shows have no facts.
pub(crate) fn split(event: Event) -> Arrival {
    if let Fact::FactWithdrawn(withdrawal) = event.data.fact {
        let reason = match withdrawal.reason {
            WithdrawReason::Superseded => "superseded",
            WithdrawReason::Vanished => "vanished",
            WithdrawReason::Erased => "erased",
        };
        return Arrival::Withdrawal { event_id: withdrawal.event_id, reason };
    }
    let version = Version::of(&event);
    let mut rows = rows_of(&event);
    if rows.is_empty() && is_projected(event.kind()) {
        // Another version of it may be about rows: that this one is not has to be remembered.
        rows.push((Class::Nothing.entity(&[event.id.as_str()]), event.data.fact.clone()));
    }
    let facts = rows
        .into_iter()
        .map(|(entity, fact)| RowFact {
            event_id: event.id.clone(),
            entity,
            kind: event.kind(),
            time: event.time,
            version: version.clone(),
            statement: Some(Statement {
                channel: event.data.channel,
                account_id: event.data.account_id.clone(),
                contact_id: event.data.contact_id.clone(),
                time_approximate: event.data.time_approximate,
                standby: event.data.standby,
                is_self: event.data.is_self,
                via: event.data.origin.via,
                fact,
            }),
        })
        .collect();
    Arrival::Fact { event_id: event.id, version, facts }
}

/// Whether some event of this kind is about a row.
const fn is_projected(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::ThreadControlChanged
            | Kind::AccountPolicyEnforced
            | Kind::AccountRolesChanged
            | Kind::FeedbackReceived
            | Kind::AccountLinkChanged
            | Kind::RatingReceived
            | Kind::TemplateStatusChanged
            | Kind::CommandDone
            | Kind::CommandFailed
            | Kind::CommandUnknown
            | Kind::FactWithdrawn
            | Kind::WebhookTest
            | Kind::WebhookUnrecognized
    )
}

/// The rows an event is about, with the part of its fact that concerns each.
fn rows_of(event: &Event) -> Vec<(String, Fact)> {
    let data = &event.data;
    let message = |mid: &str| message_row_id(data.channel, &data.account_id, mid);
    match &data.fact {
        // Parts that Meta took are messages, whatever became of the others.
        Fact::ReplySent(reply) => parts_of(reply, Fact::ReplySent, message),
        Fact::ReplyFailed(reply) => parts_of(reply, Fact::ReplyFailed, message),
        Fact::ReplyUnknown(reply) => parts_of(reply, Fact::ReplyUnknown, message),
        fact => entities_of(event).into_iter().map(|entity| (entity, fact.clone())).collect(),
    }
}

/// The ids of the rows that an event other than a reply is about.
fn entities_of(event: &Event) -> Vec<String> {
    let data = &event.data;
    let message = |mid: &str| vec![message_row_id(data.channel, &data.account_id, mid)];
    match &data.fact {
        Fact::MessageReceived(body) | Fact::MessageSent(body) => message(body.message_id.as_str()),
        Fact::MessageEdited(body) => message(body.message_id.as_str()),
        Fact::MessageDeleted(body) => message(body.message_id.as_str()),
        Fact::MessageReacted(body) | Fact::MessageUnreacted(body) => {
            message(body.message_id.as_str())
        }
        Fact::SenderUnresolved(body) => message(body.message_id.as_str()),
        // The mid may be that of the template whose button was tapped, which has a row of its own.
        Fact::PostbackReceived(_) => message(event.id.as_str()),
        Fact::MessageDelivered(body) | Fact::MessageRead(body) => receipt_entities(event, body),
        Fact::ContactDiscovered(_)
        | Fact::ContactEnriched(_)
        | Fact::ConversationRead(_)
        | Fact::ConversationArchived(_)
        | Fact::ConversationUnarchived(_)
        | Fact::ConversationAssigned(_)
        | Fact::ConversationSnoozed(_)
        | Fact::ContactBlocked(_)
        | Fact::ContactUnblocked(_)
        | Fact::ReferralReceived(_)
        | Fact::OptinReceived(_)
        | Fact::OrderReceived(_) => conversation_entity(event).into_iter().collect(),
        Fact::ConversationLabelled(body) | Fact::ConversationUnlabelled(body) => {
            of_conversation(event, Class::Label, &body.label)
        }
        Fact::ConversationNoted(body) => of_conversation(event, Class::Note, &body.note_id),
        Fact::CommentCreated(body)
        | Fact::CommentEdited(body)
        | Fact::CommentDeleted(body)
        | Fact::CommentHidden(body)
        | Fact::CommentUnhidden(body) => vec![keyed(event, Class::Comment, &[&body.comment_id])],
        Fact::CommentReacted(body) | Fact::CommentUnreacted(body) => {
            vec![reaction_entity(event, "comment", &body.comment_id, &body.author)]
        }
        Fact::PostReacted(body) => {
            vec![reaction_entity(event, "post", &body.post_id, &body.author)]
        }
        Fact::PostChanged(body) => vec![post_entity(event, body)],
        Fact::MentionCreated(body) => vec![mention_entity(event, body)],
        Fact::StoryInsights(_) | Fact::InsightsCaptured(_) => {
            vec![Class::Insight.entity(&[event.id.as_str()])]
        }
        // Outcomes, account matters and shape facts are for other readers; replies were split above.
        Fact::ThreadControlChanged(_)
        | Fact::AccountPolicyEnforced(_)
        | Fact::AccountRolesChanged(_)
        | Fact::FeedbackReceived(_)
        | Fact::AccountLinkChanged(_)
        | Fact::RatingReceived(_)
        | Fact::TemplateStatusChanged(_)
        | Fact::CommandDone(_)
        | Fact::CommandFailed(_)
        | Fact::CommandUnknown(_)
        | Fact::FactWithdrawn(_)
        | Fact::WebhookTest(_)
        | Fact::WebhookUnrecognized(_)
        | Fact::ReplySent(_)
        | Fact::ReplyFailed(_)
        | Fact::ReplyUnknown(_) => Vec::new(),
    }
}

/// The id of a row of this account.
fn keyed(event: &Event, class: Class, key: &[&str]) -> String {
    let mut parts = vec![event.data.channel.as_str(), event.data.account_id.as_str()];
    parts.extend_from_slice(key);
    class.entity(&parts)
}

/// The message that a receipt names, and the row of its watermark.
fn receipt_entities(event: &Event, receipt: &Receipt) -> Vec<String> {
    let data = &event.data;
    let named = receipt.message_id.as_ref();
    let named = named.map(|mid| message_row_id(data.channel, &data.account_id, mid.as_str()));
    let covering = receipt.watermark.is_some() && data.contact_id.is_some();
    let covering = covering.then(|| Class::Receipt.entity(&[event.id.as_str()]));
    named.into_iter().chain(covering).collect()
}

fn conversation_entity(event: &Event) -> Option<String> {
    let contact = event.data.contact_id.as_ref()?;
    let data = &event.data;
    Some(ConversationId::of(data.channel, &data.account_id, contact).into_string())
}

/// The row of a conversation that this key names; none where the person is not known.
fn of_conversation(event: &Event, class: Class, key: &str) -> Vec<String> {
    let contact = event.data.contact_id.iter();
    contact.map(|contact| keyed(event, class, &[contact.as_str(), key])).collect()
}

/// A person without an id counts once per event: their reactions cannot be tied to each other.
fn reaction_entity(event: &Event, target: &str, id: &str, author: &Author) -> String {
    let (by, author) = match &author.id {
        Some(author) => ("author", author.as_str()),
        None => ("event", event.id.as_str()),
    };
    keyed(event, Class::Reaction, &[target, id, by, author])
}

fn post_entity(event: &Event, post: &PostChanged) -> String {
    match &post.post_id {
        Some(post) => keyed(event, Class::Post, &["post", post]),
        None => keyed(event, Class::Post, &["event", event.id.as_str()]),
    }
}

fn mention_entity(event: &Event, mention: &Mention) -> String {
    let part = |id: &Option<String>| id.clone().unwrap_or_default();
    let key = [part(&mention.media_id), part(&mention.post_id), part(&mention.comment_id)];
    keyed(event, Class::Mention, &[&key[0], &key[1], &key[2]])
}
