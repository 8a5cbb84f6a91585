//! ◆ Pure: a command as it came, before its name and fields are judged.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_with::skip_serializing_none;

use super::action::Action;
use super::error::{CommandError, describe};
use super::requester::RequestedBy;
use crate::{AccountId, Channel, CommandId, ContactId, Timestamp};

/// A command of INBOX_COMMANDS as it came: who sent it can be answered, whatever stands in its fields.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UncheckedCommand {
    /// Unique per channel and account; decides identity.
    pub id: CommandId,
    /// The channel.
    pub channel: Channel,
    /// The account that acts.
    pub account_id: AccountId,
    /// The person it is for, where there is one.
    pub contact_id: Option<ContactId>,
    /// What to do: one of [`super::COMMANDS`], or a mistake.
    #[serde(rename = "command")]
    pub name: String,
    /// Who wants it.
    pub requested_by: RequestedBy,
    /// Since when.
    pub requested_at: Timestamp,
    /// The fields of the command.
    #[serde(default)]
    pub data: Value,
}

/// Longest id or name within a command: indexes hold them.
const NAME_BYTES_MAX: usize = 512;
/// Largest `data` of a command.
const DATA_BYTES_MAX: usize = 64 << 10;

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

impl UncheckedCommand {
    /// Reads a command from the bytes of a message.
    ///
    /// # Errors
    /// [`CommandError::Malformed`] naming the field, without any of its content.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, CommandError> {
        let command: Self = serde_json::from_slice(bytes)
            .map_err(|error| CommandError::Malformed(describe(&error)))?;
        if command.id.as_str().is_empty() || command.id.as_str().len() > 256 {
            return Err(CommandError::invalid("id", "1 to 256 bytes"));
        }
        if command.account_id.as_str().is_empty() {
            return Err(CommandError::invalid("account_id", "missing"));
        }
        command.can_be_kept()?;
        Ok(command)
    }

    /// Whether a database can keep it: sizes, and the one character that text of Postgres does not hold.
    fn can_be_kept(&self) -> Result<(), CommandError> {
        let contact = self.contact_id.as_ref().map_or("", |contact| contact.as_str());
        for (field, text) in [
            ("id", self.id.as_str()),
            ("account_id", self.account_id.as_str()),
            ("contact_id", contact),
            ("command", self.name.as_str()),
            ("requested_by.name", self.requested_by.name.as_str()),
        ] {
            if text.len() > NAME_BYTES_MAX || text.contains('\0') {
                let reason = format!("at most {NAME_BYTES_MAX} bytes, without U+0000");
                return Err(CommandError::invalid(field, reason));
            }
        }
        if let Some(field) = unkeepable(&self.data, "data") {
            let reason = format!(
                "no U+0000; ids of at most {NAME_BYTES_MAX} bytes, `data` of at most {DATA_BYTES_MAX}"
            );
            return Err(CommandError::Invalid { field, reason });
        }
        if self.data.to_string().len() > DATA_BYTES_MAX {
            return Err(CommandError::invalid("data", format!("at most {DATA_BYTES_MAX} bytes")));
        }
        Ok(())
    }

    /// What it asks for, after the checks that need no knowledge of account and conversation.
    ///
    /// # Errors
    /// [`CommandError::Unknown`] or [`CommandError::Invalid`] naming the field.
    pub fn action(&self) -> Result<Action, CommandError> {
        check_contact(&self.name, self.contact_id.as_ref())?;
        let action = Action::read(&self.name, &self.data)?;
        action.check()?;
        Ok(action)
    }

    /// Its identity over the whole system; also its `Nats-Msg-Id`.
    pub fn identity(&self) -> String {
        crate::ids::command_identity(self.channel, &self.account_id, &self.id)
    }
}

/// Commands to a person name the person.
pub(super) fn check_contact(name: &str, contact: Option<&ContactId>) -> Result<(), CommandError> {
    let to_a_person = matches!(name, "reply" | "sender_action");
    if to_a_person && contact.is_none_or(|contact| contact.as_str().is_empty()) {
        return Err(CommandError::invalid("contact_id", "missing"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn command(name: &str, data: Value) -> UncheckedCommand {
        serde_json::from_value(json!({
            "id": "rpl_1", "channel": "instagram", "account_id": "1", "contact_id": "5200000000000011",
            "command": name, "requested_by": {"kind": "person", "name": "anna"},
            "requested_at": "2026-11-21T10:00:00.000Z", "data": data
        }))
        .unwrap()
    }

    #[test]
    fn commands_name_the_field_that_is_wrong() {
        let check = |name: &str, data: Value, expected: &str| {
            let error = command(name, data).action().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("reply", json!({}), "data.text");
        check("reply", json!({"text": " "}), "data.text");
        check(
            "reply",
            json!({"text": "a", "attachment": {"type": "image", "url": "https://x"}}),
            "data.text",
        );
        check("reply", json!({"attachment": {"type": "image"}}), "data.attachment");
        check("sender_action", json!({"action": "dance"}), "data.action");
        check("comment_hide", json!({"comment_id": ""}), "data.comment_id");
        check("sing", json!({}), "command");
        assert!(matches!(command("reply", json!({"text": "a"})).action(), Ok(Action::Reply(_))));
        assert_eq!(
            command("insights_refresh", json!({})).action(),
            Ok(Action::InsightsRefresh(json!({})))
        );
    }

    #[test]
    fn malformed_commands_do_not_leak_content() {
        let bytes = br#"{"id":"a","channel":"instagram","account_id":"1","command":"reply","requested_by":"my secret words"}"#;
        let error = UncheckedCommand::from_slice(bytes).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
