//! ◆ Pure: what is known about a waiting item, and what an answer of Graph says about who wrote it.

use schemas::{AccountId, Channel, ContactId, MessageId, Timestamp};

use facts::Direction;
use facts::accounts::directory::Account;
use graph::{Class, FoundMessage, GraphError, Party};

/// A step of the ladder (docs/contract.md 5), in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// The item itself names the person.
    Payload,
    /// An event we have names message and person.
    KnownMessage,
    /// The message came as a webhook of its own.
    Twin,
    /// Another message of the same thread is known: a hint at the person, not at the direction.
    ThreadId,
    /// Graph, by the mid.
    GraphMessage,
    /// Graph's other host, by the mid, with the other login's token.
    GraphMessageOtherHost,
    /// The newest threads, searched for the mid.
    ConversationScan,
}

impl Method {
    /// All, in order.
    pub const ALL: [Self; 7] = [
        Self::Payload,
        Self::KnownMessage,
        Self::Twin,
        Self::ThreadId,
        Self::GraphMessage,
        Self::GraphMessageOtherHost,
        Self::ConversationScan,
    ];

    /// Reads what [`Method::as_str`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == text)
    }

    /// As events have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Payload => "payload",
            Self::KnownMessage => "known_message",
            Self::Twin => "twin",
            Self::ThreadId => "thread_id",
            Self::GraphMessage => "graph_message",
            Self::GraphMessageOtherHost => "graph_message_other_host",
            Self::ConversationScan => "conversation_scan",
        }
    }
}

/// Where a waiting item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing was published about it.
    Waiting,
    /// `sender.unresolved` stands.
    Unresolved,
    /// The message was published without its content, or an edit without its message: that is still looked for.
    Content,
}

impl State {
    /// As `worker.waiting.state` has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Unresolved => "unresolved",
            Self::Content => "content",
        }
    }

    /// Reads the column; a word of another release counts as `waiting`, so that the item is looked at.
    pub fn of_column(text: &str) -> Self {
        [Self::Unresolved, Self::Content]
            .into_iter()
            .find(|state| state.as_str() == text)
            .unwrap_or(Self::Waiting)
    }
}

/// A waiting item: what its webhook said, and what became known since.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The channel.
    pub channel: Channel,
    /// The canonical account.
    pub account_id: AccountId,
    /// The message.
    pub message_id: MessageId,
    /// 0: the message exists; from 1: a real edit of it.
    pub num_edit: i64,
    /// Where it stands.
    pub state: State,
    /// Passes over the ladder so far.
    pub attempts: u32,
    /// When its webhook was read.
    pub received_at: Timestamp,
    /// When the item says it happened: for `num_edit` 0 somewhat after the message.
    pub time: Timestamp,
    /// `time` is that of the delivery.
    pub time_approximate: bool,
    /// When the message was made, by its mid.
    pub created_time: Option<Timestamp>,
    /// The thread inside an Instagram mid.
    pub thread_id: Option<String>,
    /// The person the item names.
    pub payload_contact: Option<ContactId>,
    /// The item's sender is the account.
    pub payload_outbound: bool,
    /// Another app owns the thread.
    pub standby: bool,
    /// The text of a real edit, or of a message without a usable sender.
    pub text: Option<String>,
    /// Position of the raw webhook.
    pub raw_seq: Option<u64>,
    /// The number of the era of META_RAW that it is of.
    pub raw_era: i16,
    /// Which item of it.
    pub raw_index: Option<u32>,
    /// Its trace.
    pub traceparent: Option<String>,
    /// The person a later event named for this message.
    pub revealed_contact: Option<ContactId>,
    /// Who wrote it, where that event says so.
    pub revealed_direction: Option<Direction>,
    /// How the author was found of a message that was published without its content; author and direction stand as revealed.
    pub settled_by: Option<Method>,
    /// `sender.unresolved` stands, of this item or another of the same message.
    pub unresolved: bool,
    /// The person under whom it stands.
    pub unresolved_contact: Option<ContactId>,
    /// Graph said that the message is gone, or too old to be returned.
    pub gone: bool,
}

/// Whose message it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// The person of the conversation.
    pub contact: ContactId,
    /// Who of the two wrote it.
    pub direction: Direction,
}

impl Item {
    /// Author, where evidence that names this message id gives both person and direction.
    pub fn certain(&self) -> Option<(Author, Method)> {
        if let (Some(contact), Some(direction)) =
            (self.revealed_contact.clone(), self.revealed_direction)
        {
            let method = self.settled_by.unwrap_or(Method::KnownMessage);
            return Some((Author { contact, direction }, method));
        }
        let contact = self.payload_contact.clone()?;
        let direction =
            if self.payload_outbound { Direction::Outbound } else { Direction::Inbound };
        Some((Author { contact, direction }, Method::Payload))
    }
}

/// What is known of the account's handle: ids in answers may be app-scoped, handles are not (docs/meta-platform.md 5.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Handle {
    /// Graph was not asked.
    #[default]
    NotAsked,
    /// Graph was asked and did not name it.
    Unknown,
    /// It is this.
    Known(String),
}

/// What an answer says about the author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// This one.
    Author(Author),
    /// Ask for the account's handle first.
    NeedsHandle,
    /// Nobody is named, or a name that cannot be a person's.
    Refused,
}

/// Judges who wrote a message that Graph returned. `others`: the thread's participants, where `to` is missing.
pub fn judge(
    found: &FoundMessage,
    others: &[Party],
    account: &Account,
    handle: &Handle,
) -> Judgement {
    let Some(from) = &found.from else { return Judgement::Refused };
    let to: Vec<&Party> = found.to.iter().chain(others).filter(|party| *party != from).collect();
    let author = |party: Option<&Party>, direction| {
        let contact = party.and_then(|party| account.contact(party.id.as_deref()?));
        contact
            .map_or(Judgement::Refused, |contact| Judgement::Author(Author { contact, direction }))
    };
    let is_account = |party: &Party| {
        party.id.as_deref().is_some_and(|id| account.is_self(id))
            || matches!((handle, &party.username), (Handle::Known(own), Some(name)) if own.eq_ignore_ascii_case(name))
    };
    if is_account(from) {
        let person = to.iter().find(|party| !is_account(party)).copied();
        return author(person, Direction::Outbound);
    }
    if to.iter().any(|party| is_account(party)) {
        return author(Some(from), Direction::Inbound);
    }
    match (account.channel, handle) {
        // Page ids are never app-scoped: who is not the Page is the person.
        (Channel::Messenger, _) => author(Some(from), Direction::Inbound),
        (Channel::Instagram, Handle::NotAsked) => Judgement::NeedsHandle,
        (Channel::Instagram, Handle::Known(_)) if from.username.is_some() => {
            author(Some(from), Direction::Inbound)
        }
        // Neither side is recognised as the account: it may be either.
        (Channel::Instagram, _) => Judgement::Refused,
    }
}

/// What one way of asking Graph gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Look {
    /// The message, and whose it is.
    Found(Author, FoundMessage),
    /// An answer that names no usable author, or does not hold the message.
    Nothing(&'static str),
    /// An error.
    Failed(GraphError),
}

impl Look {
    /// A word for `sender.unresolved`.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Found(..) => "found",
            Self::Nothing(outcome) => outcome,
            Self::Failed(error) if error.message_is_gone() => "gone",
            Self::Failed(error) => match error.class {
                Class::Retry | Class::Unknown => "failed",
                Class::Limited(_) => "limited",
                Class::Recipient => "not_found",
                Class::Account
                | Class::Permission
                | Class::Window
                | Class::Done
                | Class::Invalid => "refused",
            },
        }
    }

    /// Meta's code, where it answered with one.
    pub const fn code(&self) -> Option<i64> {
        match self {
            Self::Failed(error) => error.code,
            _ => None,
        }
    }

    /// Whether the same question may be answered later.
    pub fn may_change(&self) -> bool {
        match self {
            Self::Found(..) => false,
            Self::Nothing(_) => true,
            Self::Failed(error) => !error.message_is_gone(),
        }
    }
}

#[cfg(test)]
#[path = "evidence_tests.rs"]
mod tests;
