//! ◆ Pure: what an event says, as a digest: equal digests mean the same reading of a fact.

use schemas::digest::Digest as Hasher;
use schemas::{Event, Fact};
use serde_json::Value;

/// A sha256 over what an event says.
pub type Digest = [u8; 32];

/// The digest of an event (`docs/contract.md` 5): kind, exact time, contact, flags and the fields of its kind.
///
/// Not part of it: `origin`, `sender_resolution`, the trace, and a time that is only that of a delivery.
pub fn digest(event: &Event) -> Digest {
    let data = &event.data;
    let mut hasher = Hasher::default();
    hasher.text(event.kind().as_str());
    if data.time_approximate {
        hasher.text("approximate");
    } else {
        hasher.text(&event.time.to_string());
    }
    hasher.text(data.contact_id.as_ref().map_or("", AsRef::as_ref));
    hasher.bytes([
        u8::from(data.contact_id.is_some()),
        u8::from(data.standby),
        u8::from(data.is_self),
    ]);
    // Serialising our own structs cannot fail; were it to, the debug form still differs between readings.
    match fields(&data.fact) {
        Ok(fields) => hasher.json(&fields),
        Err(_) => hasher.text(&format!("{:?}", data.fact)),
    }
    hasher.finish()
}

fn fields(fact: &Fact) -> Result<Value, serde_json::Error> {
    let mut fields = fact.to_fields()?;
    fields.remove("sender_resolution");
    Ok(Value::Object(fields))
}

#[cfg(test)]
mod tests {
    use schemas::event::Origin;
    use schemas::facts::{Message, SenderResolution};
    use schemas::{Channel, EventId, Timestamp, Via};

    use super::*;

    fn event(text: &str, time: i64) -> Event {
        let fact = Fact::MessageReceived(Message {
            message_id: "m1".into(),
            text: Some(text.to_owned()),
            ..Message::default()
        });
        Event::new(
            EventId::from("evt_1"),
            Timestamp::from_millis(time),
            Channel::Instagram,
            "1".into(),
            Some("5200000000000011".into()),
            Origin::of(Via::Webhook),
            fact,
        )
    }

    #[test]
    fn another_text_time_or_flag_is_another_reading() {
        let base = digest(&event("a", 1_000));
        assert_ne!(base, digest(&event("b", 1_000)));
        assert_ne!(base, digest(&event("a", 2_000)));
        let mut standby = event("a", 1_000);
        standby.data.standby = true;
        assert_ne!(base, digest(&standby));
    }

    #[test]
    fn origin_trace_and_the_way_to_the_sender_do_not_count() {
        let mut other = event("a", 1_000);
        other.data.origin.raw_stream_sequence = Some(9);
        other.data.origin.revision = 3;
        other.traceparent = Some("00-a-b-01".to_owned());
        if let Fact::MessageReceived(message) = &mut other.data.fact {
            message.sender_resolution =
                Some(SenderResolution { method: "payload".to_owned(), evidence: None });
        }
        assert_eq!(digest(&event("a", 1_000)), digest(&other));
    }

    #[test]
    fn a_time_of_delivery_does_not_count() {
        let (mut one, mut other) = (event("a", 1_000), event("a", 2_000));
        one.data.time_approximate = true;
        other.data.time_approximate = true;
        assert_eq!(digest(&one), digest(&other));
        assert_ne!(digest(&one), digest(&event("a", 1_000)));
    }

    #[test]
    fn the_digest_survives_the_wire() {
        let event = event("Grüße", 1_000);
        let back: Event = serde_json::from_slice(&serde_json::to_vec(&event).unwrap()).unwrap();
        assert_eq!(digest(&event), digest(&back));
    }
}
