//! ◆ Pure: what a caller wants published: an event without its revision, and what is kept beside it.

use std::fmt;
use std::str::FromStr;

use schemas::event::Origin;
use schemas::facts::{FactWithdrawn, WithdrawReason};
use schemas::meta::mid;
use schemas::{AccountId, Channel, ContactId, Event, EventId, Fact, MessageId, Timestamp, Via};

/// An event to publish, with what must be stored in the same transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// The event; its revision is set by [`super::decide`], whatever stands there.
    pub event: Event,
    /// Secrets that came with it; sealed in `worker.secrets`, never published.
    pub secrets: Vec<Secret>,
    /// Messages this event makes known by their mid; they go to `worker.messages`.
    pub messages: Vec<MessageFact>,
    /// Of a real edit: who made it, and so wrote the message. While that is unknown, the edit waits (docs/contract.md 5).
    pub editor: Option<Direction>,
}

/// Whether a message was read from a list of Graph's and no webhook has led to it: an import, or a gap that was found by comparing. Nobody
/// answers it automatically; its webhook, where it comes after all, is answered like any other.
pub fn is_listed(event: &Event) -> bool {
    match event.data.origin.via {
        Via::Backfill => true,
        // What was looked up for a webhook names how its sender was found.
        Via::Reconcile => match &event.data.fact {
            Fact::MessageReceived(body) | Fact::MessageSent(body) => {
                body.sender_resolution.is_none()
            }
            _ => false,
        },
        _ => false,
    }
}

/// A secret that came with a webhook: an opt-in token or an authorisation code.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// What it is, such as `notification_messages_token`.
    pub name: &'static str,
    /// The secret itself.
    pub value: String,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Whose message a mid is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageFact {
    /// Meta's id of the message.
    pub message_id: MessageId,
    /// Who wrote it.
    pub direction: Direction,
    /// The thread inside an Instagram mid (docs/meta-platform.md 5.2).
    pub thread_id: Option<String>,
}

impl MessageFact {
    /// A message whose thread is read from its id.
    pub fn of(message_id: MessageId, direction: Direction) -> Self {
        let thread_id = mid::decode(message_id.as_str()).map(|mid| mid.thread_id);
        Self { message_id, direction, thread_id }
    }
}

/// Who wrote a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The person.
    Inbound,
    /// The account.
    Outbound,
}

impl Direction {
    /// As `worker.messages.direction` has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

impl FromStr for Direction {
    type Err = UnknownDirection;

    fn from_str(text: &str) -> Result<Self, UnknownDirection> {
        match text {
            "inbound" => Ok(Self::Inbound),
            "outbound" => Ok(Self::Outbound),
            other => Err(UnknownDirection(other.to_owned())),
        }
    }
}

/// A word that is no [`Direction`].
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no direction of a message")]
pub struct UnknownDirection(String);

schemas::text_column!(Direction);

impl Draft {
    /// A draft of nothing but an event.
    pub const fn of(event: Event) -> Self {
        Self { event, secrets: Vec::new(), messages: Vec::new(), editor: None }
    }

    /// Adds a message that becomes known by this event.
    pub fn with_message(mut self, message: MessageFact) -> Self {
        self.messages.push(message);
        self
    }

    /// Says who made an edit.
    pub const fn with_editor(mut self, editor: Direction) -> Self {
        self.editor = Some(editor);
        self
    }

    /// Adds a secret to seal.
    pub fn with_secret(mut self, name: &'static str, value: String) -> Self {
        self.secrets.push(Secret { name, value });
        self
    }

    /// Puts a reading that was merged from several reports in place of this one. The message it makes known is the one that it then is.
    pub(crate) fn set_reading(&mut self, event: Event) {
        let direction = match &event.data.fact {
            Fact::MessageReceived(body) => Some((&body.message_id, Direction::Inbound)),
            Fact::MessageSent(body) => Some((&body.message_id, Direction::Outbound)),
            _ => None,
        };
        if let Some((mid, direction)) = direction {
            let own = self.messages.iter_mut().filter(|message| message.message_id == *mid);
            own.for_each(|message| message.direction = direction);
        }
        self.event = event;
    }

    /// The withdrawal of `event_id`; its own id follows from that one.
    #[allow(clippy::too_many_arguments)] // one call per fact of a withdrawal
    pub fn withdrawal(
        channel: Channel,
        account: AccountId,
        contact: Option<ContactId>,
        event_id: EventId,
        reason: WithdrawReason,
        superseded_by: Option<EventId>,
        message_id: Option<MessageId>,
        time: Timestamp,
        via: Via,
    ) -> Self {
        let id = EventId::derive(channel, &account, "fact.withdrawn", &[event_id.as_str()]);
        let fact = Fact::FactWithdrawn(FactWithdrawn {
            event_id,
            reason,
            superseded_by,
            message_id,
            erased_until: None,
        });
        Self::of(Event::new(id, time, channel, account, contact, Origin::of(via), fact))
    }
}

/// The message a fact speaks of, for the index `worker.facts.message_id`.
pub fn message_of(fact: &Fact) -> Option<&str> {
    match fact {
        Fact::MessageReceived(body) | Fact::MessageSent(body) => Some(body.message_id.as_str()),
        Fact::MessageEdited(body) => Some(body.message_id.as_str()),
        Fact::MessageDeleted(body) => Some(body.message_id.as_str()),
        Fact::MessageReacted(body) | Fact::MessageUnreacted(body) => Some(body.message_id.as_str()),
        Fact::MessageDelivered(body) | Fact::MessageRead(body) => {
            body.message_id.as_ref().map(AsRef::as_ref)
        }
        Fact::PostbackReceived(body) => body.message_id.as_ref().map(AsRef::as_ref),
        Fact::FeedbackReceived(body) => body.message_id.as_ref().map(AsRef::as_ref),
        Fact::OrderReceived(body) => body.message_id.as_ref().map(AsRef::as_ref),
        Fact::SenderUnresolved(body) => Some(body.message_id.as_str()),
        Fact::FactWithdrawn(body) => body.message_id.as_ref().map(AsRef::as_ref),
        Fact::ReplySent(body) | Fact::ReplyFailed(body) | Fact::ReplyUnknown(body) => {
            body.parts.iter().find_map(|part| part.message_id.as_ref()).map(AsRef::as_ref)
        }
        Fact::WebhookTest(body) | Fact::WebhookUnrecognized(body) => body.item_id.as_deref(),
        _ => None,
    }
}
