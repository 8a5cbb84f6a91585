//! ◆ Pure: the aspects of a row that facts are about.

use schemas::Kind;

/// The aspect of its row that a fact is about. Conversations may have very many facts, of which only the latest of each slot counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Slot {
    /// What the row is: a message, a comment, a post, …
    Main,
    /// A change of its text.
    Edit,
    /// Its deletion.
    Delete,
    /// Hidden or shown again.
    Hide,
    /// A reaction.
    Reaction,
    /// A delivery or read receipt.
    Receipt,
    /// `sender.unresolved`
    Unresolved,
    /// `conversation.read`
    Read,
    /// Archived or not.
    Archive,
    /// Assigned to.
    Assign,
    /// Snoozed until.
    Snooze,
    /// Blocked or not.
    Block,
    /// An enriched profile.
    Profile,
    /// The discovery of the contact.
    Discovered,
    /// A sign of life that is no message: referral, opt-in, order.
    Interaction,
}

impl Slot {
    /// The slots of a conversation: of each only the latest fact counts.
    pub(crate) const OF_CONVERSATION: [Self; 8] = [
        Self::Read,
        Self::Archive,
        Self::Assign,
        Self::Snooze,
        Self::Block,
        Self::Profile,
        Self::Discovered,
        Self::Interaction,
    ];

    /// Its name in the database.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Edit => "edit",
            Self::Delete => "delete",
            Self::Hide => "hide",
            Self::Reaction => "reaction",
            Self::Receipt => "receipt",
            Self::Unresolved => "unresolved",
            Self::Read => "read",
            Self::Archive => "archive",
            Self::Assign => "assign",
            Self::Snooze => "snooze",
            Self::Block => "block",
            Self::Profile => "profile",
            Self::Discovered => "discovered",
            Self::Interaction => "interaction",
        }
    }

    /// The slot of facts of this kind.
    pub(crate) const fn of(kind: Kind) -> Self {
        match kind {
            Kind::MessageEdited | Kind::CommentEdited => Self::Edit,
            Kind::MessageDeleted | Kind::CommentDeleted => Self::Delete,
            Kind::CommentHidden | Kind::CommentUnhidden => Self::Hide,
            Kind::MessageReacted
            | Kind::MessageUnreacted
            | Kind::CommentReacted
            | Kind::CommentUnreacted
            | Kind::PostReacted => Self::Reaction,
            Kind::MessageDelivered | Kind::MessageRead => Self::Receipt,
            Kind::SenderUnresolved => Self::Unresolved,
            Kind::ConversationRead => Self::Read,
            Kind::ConversationArchived | Kind::ConversationUnarchived => Self::Archive,
            Kind::ConversationAssigned => Self::Assign,
            Kind::ConversationSnoozed => Self::Snooze,
            Kind::ContactBlocked | Kind::ContactUnblocked => Self::Block,
            Kind::ContactEnriched => Self::Profile,
            Kind::ContactDiscovered => Self::Discovered,
            Kind::ReferralReceived | Kind::OptinReceived | Kind::OrderReceived => Self::Interaction,
            _ => Self::Main,
        }
    }
}
