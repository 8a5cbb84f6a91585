//! ◆ Pure: an event as it is delivered: its id and its lane.

use bytes::Bytes;
use schemas::{Event, Timestamp};
use serde::Deserialize;

/// What is to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// Its position in INBOX_EVENTS.
    pub(crate) sequence: u64,
    /// What must stay in order.
    pub(crate) lane: String,
    /// `webhook-id`: the event's id, with `.r<revision>` from revision 1.
    pub(crate) webhook_id: String,
    /// When the broker stored it.
    pub(crate) stored_at: Timestamp,
    /// Byte for byte.
    pub(crate) body: Bytes,
}

/// What every event has, also one of a newer release.
#[derive(Deserialize)]
struct AnyEvent {
    id: String,
    data: AnyData,
}

#[derive(Deserialize)]
struct AnyData {
    channel: String,
    account_id: String,
    contact_id: Option<String>,
    origin: AnyOrigin,
}

#[derive(Deserialize)]
struct AnyOrigin {
    #[serde(default)]
    revision: u32,
}

/// `None`: it is no event.
pub(crate) fn item(sequence: u64, stored_at: Timestamp, body: &Bytes) -> Option<Item> {
    let (webhook_id, lane) = names(body)?;
    // It becomes a header.
    if webhook_id.is_empty() || !webhook_id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    // Postgres takes no NUL.
    let lane = lane.replace('\0', "");
    Some(Item { sequence, lane, webhook_id, stored_at, body: body.clone() })
}

/// `webhook-id` and lane.
fn names(body: &[u8]) -> Option<(String, String)> {
    if let Ok(event) = serde_json::from_slice::<Event>(body) {
        return Some((event.nats_message_id(), event.lane()));
    }
    let AnyEvent { id, data } = serde_json::from_slice(body).ok()?;
    let AnyData { channel, account_id, contact_id, origin } = data;
    let lane = match contact_id {
        Some(contact) => format!("{channel}/{account_id}/{contact}"),
        None => format!("{channel}/{account_id}"),
    };
    let id = if origin.revision == 0 { id } else { format!("{id}.r{}", origin.revision) };
    Some((id, lane))
}

/// Events of a batch by lane, lanes in the order of their first event.
pub(crate) fn by_lane(items: Vec<Item>) -> Vec<Vec<Item>> {
    let mut lanes: Vec<Vec<Item>> = Vec::new();
    let mut known = std::collections::HashMap::new();
    for item in items {
        let at = *known.entry(item.lane.clone()).or_insert(lanes.len());
        match lanes.get_mut(at) {
            Some(lane) => lane.push(item),
            None => lanes.push(vec![item]),
        }
    }
    lanes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(String, String)> {
        let item = item(1, Timestamp::EPOCH, &Bytes::from(text.to_owned()))?;
        assert_eq!(item.body, text);
        Some((item.webhook_id, item.lane))
    }

    #[test]
    fn an_event_of_a_newer_release_keeps_its_lane() {
        let event = r#"{"id":"evt_1","type":"hookline.message.sung.v1","data":{"channel":"instagram","account_id":"1","contact_id":"5","origin":{"via":"webhook","revision":2}}}"#;
        assert_eq!(read(event), Some(("evt_1.r2".to_owned(), "instagram/1/5".to_owned())));
        let event = r#"{"id":"evt_1","data":{"channel":"whatsapp","account_id":"1","origin":{}}}"#;
        assert_eq!(read(event), Some(("evt_1".to_owned(), "whatsapp/1".to_owned())));
    }

    #[test]
    fn what_is_no_event_is_none() {
        for text in
            ["", "{}", "[]", r#"{"id":"a\nb","data":{"channel":"x","account_id":"1","origin":{}}}"#]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn lanes_keep_the_order_of_their_events() {
        let item = |sequence: u64, lane: &str| Item {
            sequence,
            lane: lane.to_owned(),
            webhook_id: String::new(),
            stored_at: Timestamp::EPOCH,
            body: Bytes::new(),
        };
        let lanes = by_lane(vec![item(1, "b"), item(2, "a"), item(3, "b")]);
        let seen: Vec<Vec<u64>> =
            lanes.iter().map(|lane| lane.iter().map(|item| item.sequence).collect()).collect();
        assert_eq!(seen, [vec![1, 3], vec![2]]);
    }
}
