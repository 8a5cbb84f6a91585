//! ◆ Pure: an event as somebody reads it who may be older than it: unknown words are text, unknown fields are kept. What it states is a
//! [`Fact`] of the crate `schemas`.

use schemas::{Fact, Kind, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};

/// An event of a kind that this release knows.
#[derive(Clone, Debug, Deserialize)]
pub struct Event {
    /// Derived from what Meta says: the same fact has the same id.
    pub id: String,
    /// `hookline.<kind>.v1`
    #[serde(rename = "type")]
    pub type_name: String,
    /// `/<channel>/<account>`
    pub source: String,
    /// The conversation; absent without a person.
    pub subject: Option<String>,
    /// When it happened, by Meta's clock.
    pub time: Timestamp,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// What it says.
    pub data: Data,
    /// The rest of the envelope.
    #[serde(flatten)]
    pub others: Map<String, Value>,
    /// What it states. `None`: one of its fields is of another shape, or one of its words is of a later release; `data.fields` has them.
    #[serde(skip)]
    pub fact: Option<Fact>,
}

/// What an event says.
#[derive(Clone, Debug, Deserialize)]
pub struct Data {
    /// `instagram`, `messenger`, or one of a later release.
    pub channel: String,
    /// The canonical account.
    pub account_id: String,
    /// The conversation; absent without a person.
    pub conversation_id: Option<String>,
    /// The person, as the account knows them; absent without one.
    pub contact_id: Option<String>,
    /// Meta named no time: `time` is that of the delivery.
    #[serde(default)]
    pub time_approximate: bool,
    /// Another app owns the conversation.
    #[serde(default)]
    pub standby: bool,
    /// The account wrote to itself.
    #[serde(default, rename = "self")]
    pub is_self: bool,
    /// Where it came from.
    pub origin: Origin,
    /// The fields of the kind, and those that this release does not know.
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}

/// Where an event came from.
#[derive(Clone, Debug, Deserialize)]
pub struct Origin {
    /// How it reached hookline: `webhook`, `reply`, … or a word of a later release.
    pub via: String,
    /// Position of the raw webhook in META_RAW, or of the command in INBOX_COMMANDS.
    pub raw_stream_sequence: Option<u64>,
    /// Which item of the raw webhook.
    pub index: Option<u32>,
    /// How often this fact was read anew; the highest wins.
    pub revision: u32,
    /// What this release does not know.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// What bytes turned out to be.
pub(crate) struct Read {
    /// Id and revision, where they can be read.
    pub identity: Option<(String, u32)>,
    /// Or why this release cannot read it.
    pub event: Result<Box<Event>, String>,
}

/// What a reader has to know of every event, whatever it says.
#[derive(Deserialize)]
struct Envelope {
    id: String,
    #[serde(rename = "type")]
    type_name: String,
    data: EnvelopeData,
}

#[derive(Deserialize)]
struct EnvelopeData {
    origin: EnvelopeOrigin,
}

#[derive(Deserialize)]
struct EnvelopeOrigin {
    revision: u32,
}

pub(crate) fn read(bytes: &[u8]) -> Read {
    let unknown = |identity, reason: &str| Read { identity, event: Err(reason.to_owned()) };
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
        return unknown(None, "not JSON");
    };
    let Ok(envelope) = Envelope::deserialize(&value) else {
        return unknown(None, "no `id`, `type` or `data.origin.revision`");
    };
    let identity = Some((envelope.id, envelope.data.origin.revision));
    let Some(kind) = kind_of(&envelope.type_name) else {
        return unknown(identity, &format!("unknown kind {}", envelope.type_name));
    };
    // The error would quote what people wrote.
    let Ok(mut event) = Event::deserialize(value) else {
        return unknown(identity, "not of its kind's shape");
    };
    event.fact = Fact::from_fields(kind, event.data.fields.clone()).ok();
    Read { identity, event: Ok(Box::new(event)) }
}

fn kind_of(type_name: &str) -> Option<Kind> {
    type_name.strip_prefix("hookline.")?.strip_suffix(".v1")?.parse().ok()
}

impl Event {
    /// The event that this one says no longer holds, where it is a `fact.withdrawn`.
    pub fn withdraws(&self) -> Option<&str> {
        let is_withdrawal = kind_of(&self.type_name) == Some(Kind::FactWithdrawn);
        is_withdrawal.then(|| self.data.fields.get("event_id")?.as_str()).flatten()
    }
}
