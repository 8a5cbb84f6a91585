//! ◆ Pure: an event, taken apart into what it says about each row.

use schemas::facts::{PartState, Reply, ReplyPart};
use schemas::ids::message_row_id;
use schemas::{Event, Fact, Kind};

use super::absorb::Arrival;
use super::piece::{Class, Piece, Said, Version};

/// What an event says about rows; nothing for kinds that no read model shows.
pub fn split(event: Event) -> Arrival {
    if let Fact::FactWithdrawn(withdrawal) = event.data.fact {
        let reason = match withdrawal.reason {
            schemas::facts::WithdrawReason::Superseded => "superseded",
            schemas::facts::WithdrawReason::Vanished => "vanished",
            schemas::facts::WithdrawReason::Erased => "erased",
        };
        return Arrival::Withdrawal { event_id: withdrawal.event_id, reason };
    }
    let version = Version::of(&event);
    let mut rows = rows_of(&event);
    if rows.is_empty() && is_projected(event.kind()) {
        // Another version of it may speak of rows: that this one does not has to be remembered.
        rows.push((Class::Nothing.entity(&[event.id.as_str()]), event.data.fact.clone()));
    }
    let pieces = rows
        .into_iter()
        .map(|(entity, fact)| Piece {
            event_id: event.id.clone(),
            entity,
            kind: event.kind(),
            time: event.time,
            version: version.clone(),
            said: Some(Said {
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
    Arrival::Fact { event_id: event.id, version, pieces }
}

/// Whether some event of this kind speaks of a row.
pub const fn is_projected(kind: Kind) -> bool {
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

fn rows_of(event: &Event) -> Vec<(String, Fact)> {
    let data = &event.data;
    let (channel, account) = (data.channel, data.account_id.as_str());
    let whole = |entity: String| vec![(entity, data.fact.clone())];
    let message = |mid: &str| message_row_id(channel, &data.account_id, mid);
    let keyed = |class: Class, key: &[&str]| {
        let mut parts = vec![channel.as_str(), account];
        parts.extend_from_slice(key);
        class.entity(&parts)
    };
    // Somebody without an id counts for themselves: their reaction cannot be told from another's.
    let reaction = |target: &str, id: &str, author: &Option<String>| {
        let (who, id_of) = match author {
            Some(author) => ("author", author.as_str()),
            None => ("event", event.id.as_str()),
        };
        keyed(Class::Reaction, &[target, id, who, id_of])
    };
    match &data.fact {
        Fact::MessageReceived(body) | Fact::MessageSent(body) => {
            whole(message(body.message_id.as_str()))
        }
        Fact::MessageEdited(body) => whole(message(body.message_id.as_str())),
        Fact::MessageDeleted(body) => whole(message(body.message_id.as_str())),
        Fact::MessageReacted(body) | Fact::MessageUnreacted(body) => {
            whole(message(body.message_id.as_str()))
        }
        Fact::SenderUnresolved(body) => whole(message(body.message_id.as_str())),
        Fact::PostbackReceived(body) => {
            whole(message(body.message_id.as_ref().map_or(event.id.as_str(), |mid| mid.as_str())))
        }
        Fact::MessageDelivered(body) | Fact::MessageRead(body) => {
            let mut rows = Vec::new();
            if let Some(mid) = &body.message_id {
                rows.push((message(mid.as_str()), data.fact.clone()));
            }
            if body.watermark.is_some() && data.contact_id.is_some() {
                rows.push((Class::Receipt.entity(&[event.id.as_str()]), data.fact.clone()));
            }
            rows
        }
        // Parts that Meta took are messages, whatever became of the others.
        Fact::ReplySent(reply) => parts_of(reply, Fact::ReplySent, message),
        Fact::ReplyFailed(reply) => parts_of(reply, Fact::ReplyFailed, message),
        Fact::ReplyUnknown(reply) => parts_of(reply, Fact::ReplyUnknown, message),
        Fact::ContactDiscovered(_)
        | Fact::ContactEnriched(_)
        | Fact::ConversationRead(_)
        | Fact::ConversationArchived(_)
        | Fact::ConversationUnarchived(_)
        | Fact::ConversationAssigned(_)
        | Fact::ContactBlocked(_)
        | Fact::ContactUnblocked(_)
        | Fact::ReferralReceived(_)
        | Fact::OptinReceived(_)
        | Fact::OrderReceived(_) => {
            let contact = data.contact_id.as_ref();
            contact
                .map(|contact| {
                    schemas::ConversationId::of(channel, &data.account_id, contact).into_string()
                })
                .map_or_else(Vec::new, whole)
        }
        Fact::CommentCreated(body)
        | Fact::CommentEdited(body)
        | Fact::CommentDeleted(body)
        | Fact::CommentHidden(body)
        | Fact::CommentUnhidden(body) => whole(keyed(Class::Comment, &[&body.comment_id])),
        Fact::CommentReacted(body) | Fact::CommentUnreacted(body) => {
            whole(reaction("comment", &body.comment_id, &body.author.id))
        }
        Fact::PostReacted(body) => whole(reaction("post", &body.post_id, &body.author.id)),
        Fact::PostChanged(body) => match &body.post_id {
            Some(post) => whole(keyed(Class::Post, &["post", post])),
            None => whole(keyed(Class::Post, &["event", event.id.as_str()])),
        },
        Fact::MentionCreated(body) => {
            let part = |id: &Option<String>| id.clone().unwrap_or_default();
            let key = [part(&body.media_id), part(&body.post_id), part(&body.comment_id)];
            whole(keyed(Class::Mention, &[&key[0], &key[1], &key[2]]))
        }
        Fact::StoryInsights(_) | Fact::InsightsCaptured(_) => {
            whole(Class::Insight.entity(&[event.id.as_str()]))
        }
        // Outcomes, account matters and shape facts: other readers' business.
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
        | Fact::WebhookUnrecognized(_) => Vec::new(),
    }
}

/// One piece per part that has a mid. Each carries its own text only, so that deleting one message erases that one.
fn parts_of(
    reply: &Reply,
    fact: fn(Reply) -> Fact,
    entity: impl Fn(&str) -> String,
) -> Vec<(String, Fact)> {
    let alone = reply.parts.len() == 1;
    let mut rows: Vec<(String, Fact)> = Vec::new();
    for part in reply.parts.iter().filter(|part| part.state == PartState::Sent) {
        let Some(mid) = &part.message_id else { continue };
        let entity = entity(mid.as_str());
        // A mid named twice is one message; the first part tells its text.
        if rows.iter().any(|(known, _)| *known == entity) {
            continue;
        }
        let text = part.text.clone().or_else(|| if alone { reply.text.clone() } else { None });
        let first = reply.parts.iter().map(|part| part.n).min() == Some(part.n);
        let only = Reply {
            text: text.clone(),
            attachments: if first { reply.attachments.clone() } else { Vec::new() },
            reply_to: if first { reply.reply_to.clone() } else { None },
            parts: vec![ReplyPart { text, ..part.clone() }],
            ..reply.clone()
        };
        rows.push((entity, fact(only)));
    }
    rows
}
