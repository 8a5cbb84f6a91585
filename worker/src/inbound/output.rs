//! ◆ Pure: what a raw webhook is turned into.

use schemas::event::Origin;
use schemas::meta::mid;
use schemas::{AccountId, Channel, ContactId, Fact, MessageId, Timestamp};

use crate::facts::{Direction, Draft};

/// Everything a raw webhook says, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Normalized {
    /// In the order in which it happened within each conversation, else as in the body.
    pub outputs: Vec<Output>,
}

/// One thing a raw webhook says.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant)] // nearly all are facts
pub enum Output {
    /// An event.
    Fact(Draft),
    /// A message that exists, told without its sender or without its content: it waits, is looked up, and may become an event.
    Senderless(Senderless),
}

/// "A message with this mid exists", or a real edit whose author is not told (`meta-platform.md` section 5).
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
    /// When the message was made, by its mid (section 5.2); Messenger does not tell.
    pub created_at: Option<Timestamp>,
    /// When the item says it happened.
    pub time: Timestamp,
    /// Meta told no time: `time` is that of the delivery.
    pub time_approximate: bool,
    /// Another app owns the conversation.
    pub standby: bool,
    /// Where it came from.
    pub origin: Origin,
    /// W3C trace context of the raw webhook.
    pub traceparent: Option<String>,
}

impl Senderless {
    /// A real edit as an item that waits for its message; `None` for other drafts, and for an edit whose number is not told.
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

impl Normalized {
    /// The drafts alone.
    pub fn facts(&self) -> impl Iterator<Item = &Draft> {
        self.outputs.iter().filter_map(|output| match output {
            Output::Fact(draft) => Some(draft),
            Output::Senderless(_) => None,
        })
    }

    /// The sender-less items alone.
    pub fn senderless(&self) -> impl Iterator<Item = &Senderless> {
        self.outputs.iter().filter_map(|output| match output {
            Output::Fact(_) => None,
            Output::Senderless(item) => Some(item),
        })
    }
}
