//! Two events of each kind, the smallest and the fullest that its schema allows: what a subscriber may get, as the types write it.

use schemas::{AccountId, Channel, ContactId, ConversationId, Event, EventId, Kind};
use serde_json::{Map, Value, json};

use crate::contains::contains;
use crate::json_schema::event_schema;

/// How much a golden event says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// What is required.
    Smallest,
    /// Everything there is a field for, one of each.
    Fullest,
}

impl Size {
    pub(crate) const ALL: [Self; 2] = [Self::Smallest, Self::Fullest];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Smallest => "smallest",
            Self::Fullest => "fullest",
        }
    }
}

const ACCOUNT: &str = "17841400000000101";
const CONTACT: &str = "5200000000000011";

/// A golden event of a kind.
///
/// # Panics
/// When the types lose something that the schema has.
pub(crate) fn event(kind: Kind, size: Size) -> Value {
    let drawn = drawn(kind, size);
    let event: Event = serde_json::from_value(drawn.clone())
        .unwrap_or_else(|error| panic!("{kind}: the types do not read {drawn}: {error}"));
    let written = serde_json::to_value(event).expect("an event is always JSON");
    assert!(contains(&written, &drawn), "{kind}: of {drawn}\nthe types keep only {written}");
    written
}

/// An event drawn from the schema, with ids that fit each other.
fn drawn(kind: Kind, size: Size) -> Value {
    let schema = event_schema(kind);
    let mut event = draw("", &schema, &schema["$defs"], size);
    let channel: Channel = event["data"]["channel"].as_str().unwrap_or_default().parse().unwrap();
    let account = AccountId::from(ACCOUNT);
    event["data"]["account_id"] = json!(ACCOUNT);
    event["id"] = json!(EventId::derive(channel, &account, kind.as_str(), &[size.as_str()]));
    event["source"] = json!(format!("/{channel}/{ACCOUNT}"));
    if event.get("subject").is_some() {
        let contact = ContactId::from(CONTACT);
        let conversation = ConversationId::of(channel, &account, &contact);
        event["data"]["contact_id"] = json!(contact);
        event["data"]["conversation_id"] = json!(conversation);
        event["subject"] = json!(conversation);
        event["traceparent"] = json!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    }
    event
}

/// A value that a schema takes.
fn draw(name: &str, schema: &Value, definitions: &Value, size: Size) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = reference.rsplit('/').next().unwrap_or_default();
        return draw(name, &definitions[target], definitions, size);
    }
    if let Some(value) = schema.get("const") {
        return value.clone();
    }
    if let Some(words) = schema["examples"].as_array() {
        let word = if size == Size::Smallest { words.first() } else { words.last() };
        return word.cloned().unwrap_or_default();
    }
    match schema["type"].as_str() {
        Some("string") if schema["format"] == "date-time" => json!("2026-11-21T10:00:00.123Z"),
        Some("string") => json!(text(name)),
        Some("integer") => json!(7),
        Some("number") => json!(1.5),
        Some("boolean") => json!(true),
        Some("array") if size == Size::Smallest => json!([]),
        Some("array") => json!([draw(name, &schema["items"], definitions, size)]),
        Some("object") => object(schema, definitions, size),
        // Whatever Meta sends.
        None if size == Size::Smallest => json!("anything"),
        None => json!({ "any": ["thing", 1, true] }),
        Some(other) => panic!("`{name}` is a {other}: draw one here"),
    }
}

fn object(schema: &Value, definitions: &Value, size: Size) -> Value {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let mut fields = Map::new();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        if size == Size::Fullest || required.contains(&json!(name)) {
            fields.insert(name.clone(), draw(name, field, definitions, size));
        }
    }
    if let (Size::Fullest, Some(values)) = (size, schema.get("additionalProperties")) {
        fields.insert("key".to_owned(), draw("key", values, definitions, size));
    }
    Value::Object(fields)
}

fn text(name: &str) -> String {
    match name {
        "text" => "Grüße 😊".to_owned(),
        url if ["url", "uri", "link"].iter().any(|end| url.ends_with(end)) => {
            format!("https://example.com/{url}")
        }
        id if id == "id" || id.ends_with("_id") => format!("{id}-1"),
        other => other.to_owned(),
    }
}
