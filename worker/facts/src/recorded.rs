//! ◆ Pure: facts as they are recorded, for readers that compare with them.

use schemas::{AccountId, Channel, ContactId, EventId, MessageId, Timestamp};

/// A fact whose first source is a raw webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedFact {
    /// Its id.
    pub event_id: EventId,
    /// Its kind, as a word.
    pub kind: String,
    /// Its channel.
    pub channel: Channel,
    /// Its account.
    pub account_id: AccountId,
    /// Its person.
    pub contact_id: Option<ContactId>,
    /// Its message.
    pub message_id: Option<MessageId>,
    /// Its time.
    pub time: Timestamp,
    /// The raw webhook.
    pub raw_seq: u64,
    /// The item of the raw webhook.
    pub index: Option<u32>,
}

impl RecordedFact {
    /// Whether its id follows from the bytes of the raw webhook, so that no other raw webhook can give it.
    pub fn is_of_bytes(&self) -> bool {
        self.kind.starts_with("webhook.")
    }
}

/// Where the newest reading of an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its position in INBOX_EVENTS.
    pub event_seq: u64,
    /// Which reading it is.
    pub revision: u32,
}
