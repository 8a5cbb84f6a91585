//! ◆ Pure: a command as it came, before its name and fields are judged.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_with::skip_serializing_none;

use super::action::Action;
use super::error::{CommandError, describe};
use super::limits::{self, Measured};
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

impl UncheckedCommand {
    /// Reads a command from the bytes of a message.
    ///
    /// # Errors
    /// [`CommandError::Malformed`] naming the field, without any of its content.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, CommandError> {
        let command: Self = serde_json::from_slice(bytes)
            .map_err(|error| CommandError::Malformed(describe(&error)))?;
        let contact = command.contact_id.as_ref().map_or("", |contact| contact.as_str());
        limits::check(&Measured {
            id: command.id.as_str(),
            account_id: command.account_id.as_str(),
            contact_id: contact,
            name: &command.name,
            requested_by: &command.requested_by.name,
            data: &command.data,
        })?;
        Ok(command)
    }

    /// What it asks for, after the checks that need no knowledge of account and conversation.
    ///
    /// # Errors
    /// [`CommandError::Unknown`] or [`CommandError::Invalid`] naming the field.
    pub fn action(&self) -> Result<Action, CommandError> {
        check_contact(&self.name, self.contact_id.as_ref())?;
        let action = Action::read(&self.name, &self.data)?;
        action.check(self.channel)?;
        Ok(action)
    }

    /// Its identity over the whole system; also its `Nats-Msg-Id`.
    pub fn identity(&self) -> String {
        crate::ids::command_identity(self.channel, &self.account_id, &self.id)
    }
}

/// Commands to a person name the person.
pub(super) fn check_contact(name: &str, contact: Option<&ContactId>) -> Result<(), CommandError> {
    let to_a_person = matches!(name, "reply" | "sender_action" | "template_send");
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
        check("insights_refresh", json!({"scope": "media", "metrics": ["reach"]}), "data.id");
    }

    #[test]
    fn malformed_commands_do_not_leak_content() {
        let bytes = br#"{"id":"a","channel":"instagram","account_id":"1","command":"reply","requested_by":"my secret words"}"#;
        let error = UncheckedCommand::from_slice(bytes).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
