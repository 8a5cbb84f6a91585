//! ◆ Pure: one row per message, from all facts about its mid (docs/contract.md 8).

mod bodies;
mod content;
mod erase;
mod known;
mod row;

use schemas::{ConversationId, Kind};

pub(crate) use self::erase::scrubbed;
pub(crate) use self::row::{Direction, MessageRow};

use self::bodies::{mid_of, referral_of, reply_of};
use self::content::{latest_edit, reactions, reply_to};
use self::known::KnownMessage;
use super::row_fact::RowFact;

/// The row of one mid; `None` when no fact of it holds any more.
pub(crate) fn message_row(id: &str, facts: &[RowFact]) -> Option<MessageRow> {
    let known = KnownMessage::from_facts(facts);
    let (shown, statement) = known.shown()?;
    let contact_id = known.contact_id(statement);
    let conversation_id = contact_id
        .as_ref()
        .map(|contact| ConversationId::of(statement.channel, &statement.account_id, contact));
    let hidden = known.identity().is_none() || conversation_id.is_none();
    let direction = known.direction();
    let inbound = direction == Direction::Inbound;
    let (sent_at, time_approximate) = known.sent((shown, statement));
    let deleted_at = known.first_time_of(Kind::MessageDeleted);
    let content = known.content();
    let content_missing = deleted_at.is_none() && content.is_empty() && known.lacks_content();
    let backfilled = known.is_backfilled(statement);
    let outbound_only =
        |kind| known.first_time_of(kind).filter(|_| direction == Direction::Outbound);
    Some(MessageRow {
        id: id.to_owned(),
        channel: statement.channel,
        account_id: statement.account_id.clone(),
        contact_id,
        conversation_id,
        message_id: mid_of(shown, statement),
        direction,
        hidden,
        text: content.text,
        attachments: content.attachments,
        quick_reply: content.quick_reply,
        postback: content.postback,
        reply_to: reply_to(&known.originals, known.erased),
        reactions: reactions(&known.all),
        referral: known.of_originals(referral_of),
        sent_at,
        time_approximate,
        edited_at: latest_edit(&known.all).map(|(fact, _)| fact.time),
        deleted_at,
        delivered_by_id: outbound_only(Kind::MessageDelivered),
        read_by_id: outbound_only(Kind::MessageRead),
        reply_id: known.of_originals(|fact| Some(reply_of(fact)?.reply_id.to_string())),
        app_id: known.app_id().filter(|_| direction == Direction::Outbound),
        standby: statement.standby,
        is_self: statement.is_self,
        backfilled,
        unsupported: known.is_unsupported(),
        content_missing,
        sender_resolution: known.sender_resolution(),
        counts_unread: inbound && !hidden && deleted_at.is_none() && !backfilled,
        opens_window: inbound && !hidden && !statement.is_self,
        event_id: shown.event_id.clone(),
    })
}
