//! ◆ Pure: what a command asks for, as a digest.

use schemas::command::UncheckedCommand;
use schemas::digest::{Digest, canonical_json};

/// What a command asks for, as a digest: equal digests are the same wish under the same id.
pub(super) fn body_digest(command: &UncheckedCommand) -> [u8; 32] {
    let contact = command.contact_id.as_ref().map_or("", |contact| contact.as_str());
    Digest::of_texts([command.name.as_str(), contact, &canonical_json(&command.data)])
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_same_wish_has_one_digest_whatever_the_order_of_its_keys() {
        let digest = |data: Value, requested_at: &str| {
            let command = serde_json::from_value::<UncheckedCommand>(json!({
                "id": "r1", "channel": "instagram", "account_id": "17841400000000101", "contact_id": "5200000000000011",
                "command": "reply", "requested_by": {"kind": "person", "name": "anna"}, "requested_at": requested_at, "data": data
            }));
            body_digest(&command.unwrap())
        };
        let (early, late) = ("2026-11-21T10:00:00.000Z", "2026-11-21T11:00:00.000Z");
        let one = digest(json!({"text": "a", "tag": "HUMAN_AGENT"}), early);
        assert_eq!(one, digest(json!({"tag": "HUMAN_AGENT", "text": "a", "reply_to": null}), late));
        assert_ne!(one, digest(json!({"text": "b", "tag": "HUMAN_AGENT"}), early));
    }
}
