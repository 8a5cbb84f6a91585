//! Webhook bodies built by hand, where a test needs what the simulator would not send.

use serde_json::{Value, json};

/// An Instagram account of the tests.
pub const IG: &str = "17841400000000101";
/// A Page of the tests.
pub const PAGE: &str = "103000000000301";

/// One item of `messaging[]`: a text from a person.
pub fn text(account: &str, person: &str, mid: &str, at: i64, text: &str) -> Value {
    json!({"sender": {"id": person}, "recipient": {"id": account}, "timestamp": at, "message": {"mid": mid, "text": text}})
}

/// An echo of a text from the account.
pub fn echo(account: &str, person: &str, mid: &str, at: i64, text: &str) -> Value {
    json!({"sender": {"id": account}, "recipient": {"id": person}, "timestamp": at,
           "message": {"mid": mid, "text": text, "is_echo": true}})
}

/// The sender-less announcement of a message.
pub fn senderless(mid: &str, at: i64) -> Value {
    json!({"timestamp": at, "message_edit": {"mid": mid, "num_edit": 0}})
}

/// An entry with items in `messaging[]`.
pub fn entry(account: &str, at: i64, items: &[Value]) -> Value {
    json!({"id": account, "time": at, "messaging": items})
}

/// An entry with one item in `changes[]`.
pub fn change(account: &str, at: i64, field: &str, value: Value) -> Value {
    json!({"id": account, "time": at / 1000, "changes": [{"field": field, "value": value}]})
}

/// A body of one object with its entries.
pub fn body(object: &str, entries: &[Value]) -> Vec<u8> {
    serde_json::to_vec(&json!({"object": object, "entry": entries})).unwrap()
}

/// A body with one Instagram item.
pub fn instagram(item: Value) -> Vec<u8> {
    let at = now();
    body("instagram", &[entry(IG, at, &[item])])
}

/// Milliseconds now.
pub fn now() -> i64 {
    chrono::Utc::now().timestamp_millis()
}
