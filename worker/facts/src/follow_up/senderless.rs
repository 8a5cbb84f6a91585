//! ◆ Pure: an item whose webhook named no sender.

use schemas::event::Origin;
use schemas::meta::mid;
use schemas::{AccountId, Channel, ContactId, Fact, MessageId, Timestamp};

use crate::{Direction, Draft};

/// "A message with this mid exists", or a real edit whose author is not named (`docs/meta-platform.md` 5).
#[derive(Clone, Debug, PartialEq)]
pub struct Senderless {
    /// The channel.
    pub channel: Channel,
    /// The canonical account.
    pub account_id: AccountId,
    /// The message.
    pub message_id: MessageId,
    /// 0: no edit but a hint that the message exists; from 1: a real edit.
    pub num_edit: i64,
    /// The text of a real edit, or of a message that came without a usable sender.
    pub text: Option<String>,
    /// The person, where the item names one (method `payload`): the sender, or the recipient when `outbound`.
    pub sender: Option<ContactId>,
    /// The sender is the account.
    pub outbound: bool,
    /// The thread inside an Instagram mid (section 5.2).
    pub thread_id: Option<String>,
    /// When the message was made, by its mid (`docs/meta-platform.md` 5.2); Messenger mids have no time.
    pub created_at: Option<Timestamp>,
    /// When the item says it happened.
    pub time: Timestamp,
    /// Meta gave no time: `time` is that of the delivery.
    pub time_approximate: bool,
    /// Another app owns the conversation.
    pub standby: bool,
    /// Where it came from.
    pub origin: Origin,
    /// W3C trace context of the raw webhook.
    pub traceparent: Option<String>,
}

impl Senderless {
    /// A real edit as an item that waits for its message; `None` for other drafts, and for an edit without a number.
    pub fn of_edit(draft: &Draft) -> Option<Self> {
        let Fact::MessageEdited(edit) = &draft.event.data.fact else { return None };
        let data = &draft.event.data;
        let decoded = mid::decode(edit.message_id.as_str());
        Some(Self {
            channel: data.channel,
            account_id: data.account_id.clone(),
            message_id: edit.message_id.clone(),
            num_edit: edit.edit_number?,
            text: edit.text.clone(),
            sender: data.contact_id.clone(),
            outbound: draft.editor? == Direction::Outbound,
            thread_id: decoded.as_ref().map(|mid| mid.thread_id.clone()),
            created_at: decoded.map(|mid| mid.created_at),
            time: draft.event.time,
            time_approximate: data.time_approximate,
            standby: data.standby,
            origin: data.origin.clone(),
            traceparent: draft.event.traceparent.clone(),
        })
    }
}
