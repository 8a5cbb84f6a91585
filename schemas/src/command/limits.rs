//! ◆ Pure: how large a command may be. Whoever publishes one and whoever carries it out ask here, so that nothing is accepted by the one and
//! refused by the other.

use serde_json::Value;

use super::error::CommandError;
use super::split::{Limit, split};
use crate::Channel;

/// Longest `id`.
const ID_BYTES_MAX: usize = 256;
/// Longest other id or name within a command: indexes hold them.
const NAME_BYTES_MAX: usize = 512;
/// Largest `data`.
const DATA_BYTES_MAX: usize = 64 << 10;
/// Most messages that one text becomes.
const PARTS_MAX: usize = 10;

/// A command, as far as it is measured.
pub(super) struct Measured<'a> {
    pub(super) id: &'a str,
    pub(super) account_id: &'a str,
    pub(super) contact_id: &'a str,
    pub(super) name: &'a str,
    pub(super) requested_by: &'a str,
    pub(super) data: &'a Value,
}

/// Whether a database can keep it: sizes, and the one character that text of Postgres does not hold.
///
/// # Errors
/// [`CommandError::Invalid`] naming the field, without any of its content.
pub(super) fn check(command: &Measured<'_>) -> Result<(), CommandError> {
    if command.id.is_empty() || command.id.len() > ID_BYTES_MAX {
        return Err(CommandError::invalid("id", format!("1 to {ID_BYTES_MAX} bytes")));
    }
    if command.account_id.is_empty() {
        return Err(CommandError::invalid("account_id", "missing"));
    }
    for (field, text) in [
        ("id", command.id),
        ("account_id", command.account_id),
        ("contact_id", command.contact_id),
        ("command", command.name),
        ("requested_by.name", command.requested_by),
    ] {
        // They stand in log lines and headers.
        if text.len() > NAME_BYTES_MAX || text.contains(char::is_control) {
            let reason = format!("at most {NAME_BYTES_MAX} bytes, without control characters");
            return Err(CommandError::invalid(field, reason));
        }
    }
    if let Some(field) = unkeepable(command.data, "data") {
        let reason = format!("no U+0000; ids of at most {NAME_BYTES_MAX} bytes");
        return Err(CommandError::Invalid { field, reason });
    }
    let bytes = command.data.to_string().len();
    if bytes > DATA_BYTES_MAX {
        let reason = format!("{bytes} bytes of JSON, at most {DATA_BYTES_MAX}");
        return Err(CommandError::invalid("data", reason));
    }
    Ok(())
}

/// Whether a text becomes at most ten messages.
///
/// # Errors
/// [`CommandError::Invalid`] with the number.
pub fn check_parts(channel: Channel, text: &str) -> Result<(), CommandError> {
    let parts = split(text, Limit::of(channel)).len();
    if parts <= PARTS_MAX {
        return Ok(());
    }
    let reason = format!("would be {parts} messages, at most {PARTS_MAX}");
    Err(CommandError::invalid("data.text", reason))
}

/// Whether a text is one message: what answers a comment privately has no second part.
///
/// # Errors
/// [`CommandError::Invalid`] with the limit.
pub(super) fn check_single(channel: Channel, text: &str) -> Result<(), CommandError> {
    match split(text, Limit::of(channel)).len() {
        0 => return Err(CommandError::invalid("data.text", "must not be empty")),
        1 => return Ok(()),
        _ => {}
    }
    let limit = match Limit::of(channel) {
        Limit::Bytes(bytes) => format!("{bytes} bytes"),
        Limit::Chars(characters) => format!("{characters} characters"),
    };
    let reason = format!("at most {limit}: a private reply is one message");
    Err(CommandError::invalid("data.text", reason))
}

/// The first field that a database cannot keep, by its path.
fn unkeepable(value: &Value, path: &str) -> Option<String> {
    match value {
        Value::String(text) => {
            let is_name =
                path.ends_with("_id") || path.ends_with("caused_by") || path.ends_with("reply_to");
            let too_long = is_name && text.len() > NAME_BYTES_MAX;
            (too_long || text.contains('\0')).then(|| path.to_owned())
        }
        Value::Array(items) => items.iter().find_map(|item| unkeepable(item, path)),
        Value::Object(fields) => fields.iter().find_map(|(name, value)| {
            if name.contains('\0') {
                return Some(path.to_owned());
            }
            unkeepable(value, &format!("{path}.{name}"))
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Command, UncheckedCommand};

    fn wire(channel: &str, name: &str, data: serde_json::Value) -> serde_json::Value {
        json!({
            "id": "rpl_1", "channel": channel, "account_id": "1", "contact_id": "5200000000000011",
            "command": name, "requested_by": {"kind": "person", "name": "anna"},
            "requested_at": "2026-11-21T10:00:00.000Z", "data": data
        })
    }

    /// What the worker says of the bytes, and what the api says of the command before it writes them.
    fn both(wire: serde_json::Value) -> (Option<String>, Option<String>) {
        let bytes = wire.to_string();
        let worker = UncheckedCommand::from_slice(bytes.as_bytes())
            .and_then(|command| Command::try_from(command).map(|_| ()))
            .err();
        let action =
            super::super::Action::read(wire["command"].as_str().unwrap(), &wire["data"]).unwrap();
        let unchecked: UncheckedCommand = serde_json::from_value(wire).unwrap();
        let api = Command {
            id: unchecked.id,
            channel: unchecked.channel,
            account_id: unchecked.account_id,
            contact_id: unchecked.contact_id,
            action,
            requested_by: unchecked.requested_by,
            requested_at: unchecked.requested_at,
        };
        (worker.map(|error| error.to_string()), api.check().err().map(|error| error.to_string()))
    }

    #[test]
    fn the_api_refuses_exactly_what_the_worker_refuses() {
        let text = |text: String| json!({ "text": text });
        for (channel, name, data, refused) in [
            ("instagram", "reply", text("a".to_owned()), None),
            ("instagram", "reply", text("x".repeat(10_000)), None),
            ("instagram", "reply", text("x".repeat(10_001)), Some("would be 11 messages")),
            ("messenger", "reply", text("x".repeat(20_000)), None),
            ("messenger", "reply", text("x".repeat(20_001)), Some("would be 11 messages")),
            ("messenger", "reply", text("x".repeat(65_537)), Some("bytes of JSON")),
            ("messenger", "reply", text("a\0b".to_owned()), Some("data.text")),
            (
                "instagram",
                "reply",
                json!({"text": "a", "reply_to": "m".repeat(513)}),
                Some("data.reply_to"),
            ),
            (
                "messenger",
                "reply",
                json!({"template": {"elements": "e".repeat(100_000)}}),
                Some("bytes of JSON"),
            ),
            (
                "instagram",
                "comment_private_reply",
                json!({"comment_id": "1", "text": "x".repeat(1000)}),
                None,
            ),
            (
                "instagram",
                "comment_private_reply",
                json!({"comment_id": "1", "text": "x".repeat(1001)}),
                Some("1000 bytes"),
            ),
        ] {
            let (worker, api) = both(wire(channel, name, data));
            assert_eq!(worker, api);
            match refused {
                None => assert_eq!(api, None),
                Some(words) => {
                    assert!(api.as_ref().is_some_and(|said| said.contains(words)), "{api:?}")
                }
            }
        }
    }
}
