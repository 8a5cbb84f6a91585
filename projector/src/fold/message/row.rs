//! ◆ Pure: a row of table `messages`.

use schemas::facts::{Attachment, By};
use schemas::{AccountId, Channel, ContactId, ConversationId, EventId, Timestamp};
use serde::Serialize;
use serde_json::Value;

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    /// From the person.
    Inbound,
    /// From the account.
    Outbound,
    /// The message is known to exist, its author is not.
    Unknown,
}

impl Direction {
    /// The word for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
            Self::Unknown => "unknown",
        }
    }
}

/// The present reaction of one side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ReactionNow {
    /// Who reacted.
    pub(crate) by: By,
    /// Meta's word for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reaction: Option<String>,
    /// The emoji.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) emoji: Option<String>,
    /// Since when.
    pub(crate) at: Timestamp,
}

/// A row of `messages`, without `delivered_at` and `read_at`: these depend on rows of `receipts` too and are computed by the database.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct MessageRow {
    /// See [`schemas::ids::message_row_id`].
    pub(crate) id: String,
    /// The channel.
    pub(crate) channel: Channel,
    /// The account.
    pub(crate) account_id: AccountId,
    /// The person, where known.
    pub(crate) contact_id: Option<ContactId>,
    /// The conversation, where the person is known.
    pub(crate) conversation_id: Option<ConversationId>,
    /// The mid; the event's id for a postback without one.
    pub(crate) message_id: String,
    /// Which way it went.
    pub(crate) direction: Direction,
    /// A stub: only edits, deletions, reactions or receipts have come. Or the person is not known.
    pub(crate) hidden: bool,
    /// The text as it is now.
    pub(crate) text: Option<String>,
    /// The attachments.
    pub(crate) attachments: Vec<Attachment>,
    /// `{payload}` of a tapped quick reply.
    pub(crate) quick_reply: Option<Value>,
    /// `{title, payload}` of a postback.
    pub(crate) postback: Option<Value>,
    /// The quoted message or story.
    pub(crate) reply_to: Option<Value>,
    /// The present reactions, the contact's first.
    pub(crate) reactions: Vec<ReactionNow>,
    /// What brought the person here.
    pub(crate) referral: Option<Value>,
    /// When it was sent.
    pub(crate) sent_at: Timestamp,
    /// `sent_at` is that of the delivery.
    pub(crate) time_approximate: bool,
    /// When the shown text was written, where it was changed.
    pub(crate) edited_at: Option<Timestamp>,
    /// When it was unsent.
    pub(crate) deleted_at: Option<Timestamp>,
    /// Outbound: earliest delivery receipt that names it.
    pub(crate) delivered_by_id: Option<Timestamp>,
    /// Outbound: earliest read receipt that names it.
    pub(crate) read_by_id: Option<Timestamp>,
    /// The reply of ours that made it.
    pub(crate) reply_id: Option<String>,
    /// Outbound: the app that sent it.
    pub(crate) app_id: Option<String>,
    /// Another app owned the conversation.
    pub(crate) standby: bool,
    /// The account wrote to itself.
    pub(crate) is_self: bool,
    /// Known from an import only.
    pub(crate) backfilled: bool,
    /// Meta does not show this content to apps.
    pub(crate) unsupported: bool,
    /// The content could not be read, or was erased.
    pub(crate) content_missing: bool,
    /// How the sender was found; `unresolved` while it was not.
    pub(crate) sender_resolution: Option<String>,
    /// Counts as unread unless the conversation was read after it: inbound, not deleted, not backfilled.
    pub(crate) counts_unread: bool,
    /// Opens the 24 h window: a message or postback of the person. Also in standby and when unsent later, since the person did
    /// act; not when the account wrote to itself (docs/meta-platform.md 6.1, 11).
    pub(crate) opens_window: bool,
    /// The event that decides what the row is.
    pub(crate) event_id: EventId,
}
