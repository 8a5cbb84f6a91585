//! ◆ Pure: a piece: what one event says about one row.

use schemas::{
    AccountId, Channel, ContactId, ConversationId, Event, EventId, Fact, Kind, Timestamp, Via,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How good a reading of a fact is: the highest wins (contract section 5, "Revisions").
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// How often the fact was read anew.
    pub revision: i64,
    /// Rank of the source: webhook > reply > Graph.
    pub rank: i16,
    /// Hex: hash of kind, time and data, then of everything else that reaches a row. Two readings with equal digests are equal.
    pub digest: String,
}

impl Version {
    /// The version of an event.
    pub fn of(event: &Event) -> Self {
        let mut data = event.data.clone();
        data.origin.raw_stream_sequence = None;
        data.origin.index = None;
        let (via, resolution) = (data.origin.via, take_resolution(&mut data.fact));
        let content = serde_json::json!([
            event.kind().as_str(),
            event.time,
            data.contact_id,
            data.time_approximate,
            data.standby,
            data.is_self,
            data.fact.to_fields().ok(),
        ]);
        let rest = serde_json::json!([via, resolution]);
        let hash = |value: &Value, hex_len: usize| {
            let mut hex = schemas::ids::sha256_hex(value.to_string().as_bytes());
            hex.truncate(hex_len);
            hex
        };
        Self {
            revision: i64::from(event.revision()),
            rank: via.rank(),
            digest: format!("{}{}", hash(&content, 24), hash(&rest, 8)),
        }
    }
}

/// The digest of the contract leaves the resolution of the sender out.
fn take_resolution(fact: &mut Fact) -> Option<schemas::facts::SenderResolution> {
    match fact {
        Fact::MessageReceived(message) | Fact::MessageSent(message) => {
            message.sender_resolution.take()
        }
        Fact::MessageEdited(edit) => edit.sender_resolution.take(),
        _ => None,
    }
}

/// What kind of row a piece belongs to. The prefix of the entity's id tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// A message, by mid.
    Message,
    /// A conversation and its contact.
    Conversation,
    /// A receipt with a watermark.
    Receipt,
    /// A comment.
    Comment,
    /// One person's reaction to one comment or post.
    Reaction,
    /// A post.
    Post,
    /// A mention.
    Mention,
    /// A captured figure.
    Insight,
    /// No row: keeps the version of an event that speaks of none.
    Nothing,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Message,
        Self::Conversation,
        Self::Receipt,
        Self::Comment,
        Self::Reaction,
        Self::Post,
        Self::Mention,
        Self::Insight,
        Self::Nothing,
    ];

    /// How ids of this class begin.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Message => "msg_",
            Self::Conversation => "cnv_",
            Self::Receipt => "rcp_",
            Self::Comment => "cmt_",
            Self::Reaction => "rct_",
            Self::Post => "pst_",
            Self::Mention => "men_",
            Self::Insight => "ins_",
            Self::Nothing => "nil_",
        }
    }

    /// The class an entity belongs to.
    pub fn of(entity: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| entity.starts_with(class.prefix()))
    }

    /// The id of an entity of this class from its natural key.
    pub fn entity(self, key: &[&str]) -> String {
        let mut hex = schemas::ids::sha256_hex(Value::from(key).to_string().as_bytes());
        hex.truncate(32);
        format!("{}{hex}", self.prefix())
    }
}

/// What a piece is about within its row. Conversations may hold very many pieces, and only the latest of each slot counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Slot {
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
    /// The slots of a conversation: of each only the latest piece counts.
    pub const OF_CONVERSATION: [Self; 7] = [
        Self::Read,
        Self::Archive,
        Self::Assign,
        Self::Block,
        Self::Profile,
        Self::Discovered,
        Self::Interaction,
    ];

    /// Its name in the database.
    pub const fn as_str(self) -> &'static str {
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
            Self::Block => "block",
            Self::Profile => "profile",
            Self::Discovered => "discovered",
            Self::Interaction => "interaction",
        }
    }
}

/// What is said, as long as it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// The channel.
    pub channel: Channel,
    /// The account.
    pub account_id: AccountId,
    /// The person, where one is known.
    pub contact_id: Option<ContactId>,
    /// The time is that of the delivery.
    pub time_approximate: bool,
    /// Another app owns the conversation.
    pub standby: bool,
    /// The account wrote to itself.
    pub is_self: bool,
    /// Where it came from.
    pub via: Via,
    /// The fact; for a reply, cut down to the one part that made this message.
    pub fact: Fact,
}

impl Said {
    /// The conversation of its person.
    pub fn conversation_id(&self) -> Option<ConversationId> {
        self.contact_id
            .as_ref()
            .map(|contact| ConversationId::of(self.channel, &self.account_id, contact))
    }
}

/// What one event says about one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// The event.
    pub event_id: EventId,
    /// The row: see [`Class`].
    pub entity: String,
    /// Its kind.
    pub kind: Kind,
    /// When it happened.
    pub time: Timestamp,
    /// Which reading of the event this is.
    pub version: Version,
    /// What it says; nothing when it was withdrawn.
    pub said: Option<Said>,
}

impl Piece {
    /// Its slot.
    pub const fn slot(&self) -> Slot {
        match self.kind {
            Kind::MessageEdited | Kind::CommentEdited => Slot::Edit,
            Kind::MessageDeleted | Kind::CommentDeleted => Slot::Delete,
            Kind::CommentHidden | Kind::CommentUnhidden => Slot::Hide,
            Kind::MessageReacted
            | Kind::MessageUnreacted
            | Kind::CommentReacted
            | Kind::CommentUnreacted
            | Kind::PostReacted => Slot::Reaction,
            Kind::MessageDelivered | Kind::MessageRead => Slot::Receipt,
            Kind::SenderUnresolved => Slot::Unresolved,
            Kind::ConversationRead => Slot::Read,
            Kind::ConversationArchived | Kind::ConversationUnarchived => Slot::Archive,
            Kind::ConversationAssigned => Slot::Assign,
            Kind::ContactBlocked | Kind::ContactUnblocked => Slot::Block,
            Kind::ContactEnriched => Slot::Profile,
            Kind::ContactDiscovered => Slot::Discovered,
            Kind::ReferralReceived | Kind::OptinReceived | Kind::OrderReceived => Slot::Interaction,
            _ => Slot::Main,
        }
    }

    /// (time, id): "the latest" of contract section 8.
    pub fn moment(&self) -> (Timestamp, &EventId) {
        (self.time, &self.event_id)
    }

    /// (revision, source rank, digest), then the id: the ties of contract section 8.
    pub fn precedence(&self) -> (&Version, &EventId) {
        (&self.version, &self.event_id)
    }

    /// The same piece without what it says.
    #[must_use]
    pub fn withdrawn(mut self) -> Self {
        self.said = None;
        self
    }
}

/// [`Said`] as the database keeps it, beside the kind.
#[derive(Serialize, Deserialize)]
struct Body {
    channel: Channel,
    account: AccountId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    contact: Option<ContactId>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    approximate: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    standby: bool,
    #[serde(default, rename = "self", skip_serializing_if = "std::ops::Not::not")]
    is_self: bool,
    via: Via,
    fact: Map<String, Value>,
}

impl Said {
    /// As JSON, for the database.
    ///
    /// # Errors
    /// Never for facts that came off the wire.
    pub fn to_body(&self) -> Result<Value, serde_json::Error> {
        serde_json::to_value(Body {
            channel: self.channel,
            account: self.account_id.clone(),
            contact: self.contact_id.clone(),
            approximate: self.time_approximate,
            standby: self.standby,
            is_self: self.is_self,
            via: self.via,
            fact: self.fact.to_fields()?,
        })
    }

    /// Reads what [`Said::to_body`] wrote.
    ///
    /// # Errors
    /// When the body is not of `kind`.
    pub fn from_body(kind: Kind, body: Value) -> Result<Self, serde_json::Error> {
        let body: Body = serde_json::from_value(body)?;
        Ok(Self {
            channel: body.channel,
            account_id: body.account,
            contact_id: body.contact,
            time_approximate: body.approximate,
            standby: body.standby,
            is_self: body.is_self,
            via: body.via,
            fact: Fact::from_fields(kind, body.fact)?,
        })
    }
}
