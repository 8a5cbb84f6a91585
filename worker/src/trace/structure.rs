//! ◆ Pure: a body of Meta's without its content: keys, types, lengths, and the ids and times Meta gave.

use serde_json::{Map, Value, json};

/// Keys whose values are ids, times and flags of Meta's, never a person's words.
const SHOWN: [&str; 26] = [
    "object",
    "id",
    "mid",
    "field",
    "item",
    "verb",
    "time",
    "timestamp",
    "created_time",
    "num_edit",
    "watermark",
    "app_id",
    "is_echo",
    "is_self",
    "is_deleted",
    "is_unsupported",
    "type",
    "comment_id",
    "parent_id",
    "media_id",
    "post_id",
    "seq",
    "action",
    "reaction",
    "delivered_at",
    "media_product_type",
];
const KEY_MAX: usize = 64;
const ID_MAX: usize = 256;
const DEPTH_MAX: usize = 32;

/// The structure of a body; for what is no JSON its length alone.
pub fn of_body(body: &[u8]) -> Value {
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => shape(None, &value, 0),
        Err(_) => json!(format!("not JSON, {} bytes", body.len())),
    }
}

fn shape(key: Option<&str>, value: &Value, depth: usize) -> Value {
    let shown = key.is_some_and(|key| SHOWN.contains(&key));
    match value {
        Value::Null => Value::Null,
        Value::Bool(_) | Value::Number(_) if shown => value.clone(),
        Value::Bool(_) => json!("boolean"),
        Value::Number(_) => json!("number"),
        Value::String(text) if shown && is_id(text) => value.clone(),
        Value::String(text) => json!(format!("text of {}", text.chars().count())),
        Value::Array(_) | Value::Object(_) if depth >= DEPTH_MAX => json!("…"),
        Value::Array(items) => items.iter().map(|item| shape(None, item, depth + 1)).collect(),
        Value::Object(map) => {
            let shaped: Map<String, Value> = map
                .iter()
                .map(|(key, item)| {
                    (key.chars().take(KEY_MAX).collect(), shape(Some(key), item, depth + 1))
                })
                .collect();
            Value::Object(shaped)
        }
    }
}

/// Ids are one word; people write more than that, in more letters than these.
fn is_id(text: &str) -> bool {
    text.len() <= ID_MAX
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:=+/$".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_lengths_and_ids_stay() {
        let body = json!({"object": "instagram", "entry": [{"id": "1784", "time": 5, "messaging": [
            {"sender": {"id": "52"}, "message": {"mid": "m_1", "text": "call me at five", "attachments": [{"type": "image", "payload": {"url": "https://x/y"}}]}}]}]});
        let shaped = of_body(&serde_json::to_vec(&body).unwrap());
        let message = &shaped["entry"][0]["messaging"][0]["message"];
        assert_eq!(message["text"], "text of 15");
        assert_eq!((&message["mid"], &shaped["entry"][0]["id"]), (&json!("m_1"), &json!("1784")));
        assert_eq!(message["attachments"][0]["payload"]["url"], "text of 11");
        assert!(!shaped.to_string().contains("five"));
        assert_eq!(of_body(b"{nope"), "not JSON, 5 bytes");
        // An id that is a sentence is none.
        assert_eq!(of_body(br#"{"id": "Ann Berg"}"#)["id"], "text of 8");
    }
}
