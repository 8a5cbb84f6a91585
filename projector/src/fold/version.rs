//! ◆ Pure: which reading of an event counts.

use schemas::{Event, Fact};
use serde_json::Value;

/// The rank of one reading of an event: of several the highest is kept (docs/contract.md 5, "Revisions").
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Version {
    /// How often the event was read anew from its source.
    pub(crate) revision: i64,
    /// Rank of the source: webhook > reply > Graph (`schemas::Via::rank`).
    pub(crate) rank: i16,
    /// 32 hex digits: 24 of kind, time and data, 8 of everything else that reaches a row. Readings with equal digests are equal.
    pub(crate) digest: String,
}

impl Version {
    /// The version of an event.
    pub(crate) fn of(event: &Event) -> Self {
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

/// The digest of docs/contract.md 5 leaves out how the sender was found.
fn take_resolution(fact: &mut Fact) -> Option<schemas::facts::SenderResolution> {
    match fact {
        Fact::MessageReceived(message) | Fact::MessageSent(message) => {
            message.sender_resolution.take()
        }
        Fact::MessageEdited(edit) => edit.sender_resolution.take(),
        _ => None,
    }
}
