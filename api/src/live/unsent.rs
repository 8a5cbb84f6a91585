//! Words that were unsent do not come back: what a client is shown of the past is looked up in the read model first.

use std::collections::HashSet;
use std::sync::Arc;

use schemas::ids::message_row_id;
use schemas::{AccountId, Channel, Event, Fact, MessageId};
use serde::Deserialize;
use serde_json::Value;
use sqlx::PgPool;

use super::filter::LiveEvent;

/// Kinds of events that have what a message says.
const WITH_WORDS: [&str; 6] = [
    "message.received",
    "message.sent",
    "message.edited",
    "reply.sent",
    "reply.failed",
    "reply.unknown",
];

/// What an event says of its place, without what a message says.
const ENVELOPE: [&str; 6] =
    ["channel", "account_id", "conversation_id", "contact_id", "message_id", "origin"];

/// The messages an event is about.
#[derive(Deserialize)]
struct Envelope {
    data: About,
}

#[derive(Deserialize)]
struct About {
    channel: Channel,
    account_id: AccountId,
    message_id: Option<MessageId>,
    #[serde(default)]
    parts: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    message_id: Option<MessageId>,
}

/// The rows of the messages whose words an event has.
fn rows_of(event: &LiveEvent) -> Vec<String> {
    if !WITH_WORDS.contains(&event.kind.as_str()) {
        return Vec::new();
    }
    let Ok(Envelope { data }) = serde_json::from_str::<Envelope>(&event.json) else {
        return Vec::new();
    };
    let parts = data.parts.into_iter().filter_map(|part| part.message_id);
    let messages = data.message_id.into_iter().chain(parts);
    messages.map(|mid| message_row_id(data.channel, &data.account_id, mid.as_str())).collect()
}

/// The same event without what the messages of these rows said, where it had that; marked like one whose content is not known. What this release
/// cannot read is shown with its envelope only.
fn without_words(event: &LiveEvent, unsent: &HashSet<String>) -> Option<LiveEvent> {
    let Ok(mut read) = serde_json::from_str::<Event>(&event.json) else {
        let mut read: Value = serde_json::from_str(&event.json).ok()?;
        let data = read.get_mut("data")?.as_object_mut()?;
        data.retain(|name, _| ENVELOPE.contains(&name.as_str()));
        data.insert("content_missing".to_owned(), Value::Bool(true));
        return Some(LiveEvent { json: read.to_string(), ..event.clone() });
    };
    let data = &mut read.data;
    let (channel, account) = (data.channel, data.account_id.clone());
    let gone = |mid: &MessageId| unsent.contains(&message_row_id(channel, &account, mid.as_str()));
    if !data.fact.erase_content(gone) {
        return None;
    }
    if let Fact::MessageReceived(message) | Fact::MessageSent(message) = &mut data.fact {
        message.content_missing = Some(true);
    }
    Some(LiveEvent { json: serde_json::to_string(&read).ok()?, ..event.clone() })
}

/// These events as they may be shown now.
///
/// # Errors
/// `sqlx::Error`: what was unsent is not known, show none of them.
pub(super) async fn without(
    pool: &PgPool,
    events: Vec<Arc<LiveEvent>>,
) -> sqlx::Result<Vec<Arc<LiveEvent>>> {
    let rows: Vec<String> = events.iter().flat_map(|event| rows_of(event)).collect();
    if rows.is_empty() {
        return Ok(events);
    }
    let unsent: Vec<String> = sqlx::query_scalar(
        "select m.id from unnest($1::text[]) as e(id) join inbox.messages m on m.id = e.id where m.deleted_at is not null",
    )
    .bind(&rows)
    .fetch_all(pool)
    .await?;
    let unsent: HashSet<String> = unsent.into_iter().collect();
    if unsent.is_empty() {
        return Ok(events);
    }
    let shown = |event: Arc<LiveEvent>| {
        let is_about = rows_of(&event).iter().any(|row| unsent.contains(row));
        let without = is_about.then(|| without_words(&event, &unsent)).flatten();
        without.map_or(event, Arc::new)
    };
    Ok(events.into_iter().map(shown).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(kind: &str, more: Value) -> LiveEvent {
        let mut event = json!({
            "specversion": "1.0", "id": "evt_1", "type": format!("hookline.{kind}.v1"), "source": "/instagram/1",
            "time": "2026-11-21T10:00:00.000Z",
            "data": {"channel": "instagram", "account_id": "1", "contact_id": "2", "origin": {"via": "webhook", "revision": 0}},
        });
        event["data"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        LiveEvent::read(7, event.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn what_is_left_of_an_event_has_no_words_and_its_place() {
        let received = event("message.received", json!({"message_id": "m1", "text": "words"}));
        let rows = rows_of(&received);
        assert_eq!(rows.len(), 1);
        let unsent: HashSet<String> = rows.into_iter().collect();
        let shown = without_words(&received, &unsent).unwrap();
        assert_eq!((shown.sequence, shown.kind.as_str()), (7, "message.received"));
        let left: Value = serde_json::from_str(&shown.json).unwrap();
        assert_eq!(
            (&left["data"]["content_missing"], &left["data"]["text"]),
            (&json!(true), &Value::Null)
        );
        let edit = event("message.edited", json!({"message_id": "m1", "text": "other words"}));
        assert!(!without_words(&edit, &unsent).unwrap().json.contains("words"));
        let other = event("message.received", json!({"message_id": "m2", "text": "words"}));
        assert!(without_words(&other, &unsent).is_none());
        // Of a later release, as far as its words are concerned.
        let later = event("message.received", json!({"message_id": "m1", "text": {"of": "words"}}));
        assert!(serde_json::from_str::<Event>(&later.json).is_err());
        assert!(!without_words(&later, &unsent).unwrap().json.contains("words"));
        let read = event("message.read", json!({"message_id": "m1"}));
        assert_eq!(rows_of(&read), Vec::<String>::new());
    }
}
