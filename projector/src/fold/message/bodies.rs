//! ◆ Pure: what the facts of a message have in common.

use schemas::facts::{Message, Reply};
use schemas::{Fact, Kind, Timestamp};
use serde_json::Value;

use super::row::Direction;
use crate::fold::row_fact::{RowFact, Statement};

/// Whether an event of this kind is the message itself and not something that happened to it.
pub(super) const fn is_original(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::MessageReceived
            | Kind::MessageSent
            | Kind::PostbackReceived
            | Kind::ReplySent
            | Kind::ReplyFailed
            | Kind::ReplyUnknown
    )
}

pub(super) const fn direction_of(kind: Kind) -> Direction {
    match kind {
        Kind::MessageReceived | Kind::PostbackReceived => Direction::Inbound,
        _ => Direction::Outbound,
    }
}

/// When a message was sent: for a part of a reply when Meta took that part, else when the event happened.
pub(super) fn sent_time(fact: &RowFact) -> Timestamp {
    let part = fact
        .statement
        .as_ref()
        .and_then(|statement| reply_of(&statement.fact))
        .and_then(|reply| reply.parts.first());
    part.and_then(|part| part.sent_at).unwrap_or(fact.time)
}

pub(super) const fn message_of(fact: &Fact) -> Option<&Message> {
    match fact {
        Fact::MessageReceived(message) | Fact::MessageSent(message) => Some(message),
        _ => None,
    }
}

pub(super) const fn reply_of(fact: &Fact) -> Option<&Reply> {
    match fact {
        Fact::ReplySent(reply) | Fact::ReplyFailed(reply) | Fact::ReplyUnknown(reply) => {
            Some(reply)
        }
        _ => None,
    }
}

/// The mid; of a postback the id of its event, for taps share the mid of their template.
pub(super) fn mid_of(fact: &RowFact, statement: &Statement) -> String {
    let mid = match &statement.fact {
        Fact::MessageReceived(body) | Fact::MessageSent(body) => Some(&body.message_id),
        Fact::MessageEdited(body) => Some(&body.message_id),
        Fact::MessageDeleted(body) => Some(&body.message_id),
        Fact::MessageReacted(body) | Fact::MessageUnreacted(body) => Some(&body.message_id),
        Fact::SenderUnresolved(body) => Some(&body.message_id),
        Fact::MessageDelivered(body) | Fact::MessageRead(body) => body.message_id.as_ref(),
        Fact::ReplySent(body) | Fact::ReplyFailed(body) | Fact::ReplyUnknown(body) => {
            body.parts.first().and_then(|part| part.message_id.as_ref())
        }
        _ => None,
    };
    mid.map_or_else(|| fact.event_id.to_string(), ToString::to_string)
}

pub(super) fn referral_of(fact: &Fact) -> Option<Value> {
    let referral = match fact {
        Fact::PostbackReceived(postback) => postback.referral.as_ref(),
        _ => message_of(fact)?.referral.as_ref(),
    };
    referral.and_then(|referral| serde_json::to_value(referral).ok())
}
