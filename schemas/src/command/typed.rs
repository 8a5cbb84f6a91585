//! ◆ Pure: a command whose name and fields are known: what is published on INBOX_COMMANDS.

use serde::{Deserialize, Serialize, Serializer};
use serde_with::skip_serializing_none;

use super::action::Action;
use super::error::CommandError;
use super::limits::{self, Measured};
use super::requester::RequestedBy;
use super::unchecked::{UncheckedCommand, check_contact};
use crate::subjects::{self, Route};
use crate::{AccountId, Channel, CommandId, ContactId, Timestamp};

/// A request to act on Meta. Its JSON is that of [`UncheckedCommand`]; reading one whose fields are wrong is an error.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "UncheckedCommand")]
pub struct Command {
    /// Unique per channel and account; decides identity.
    pub id: CommandId,
    /// The channel.
    pub channel: Channel,
    /// The account that acts.
    pub account_id: AccountId,
    /// The person it is for, where there is one.
    pub contact_id: Option<ContactId>,
    /// What to do: `command` and `data` on the wire.
    pub action: Action,
    /// Who wants it.
    pub requested_by: RequestedBy,
    /// Since when.
    pub requested_at: Timestamp,
}

impl Command {
    /// Checks what can be checked without knowing the account and the conversation.
    ///
    /// # Errors
    /// [`CommandError::Invalid`] naming the field.
    pub fn check(&self) -> Result<(), CommandError> {
        check_contact(self.action.name(), self.contact_id.as_ref())?;
        let data = serde_json::to_value(&self.action)
            .map_err(|_| CommandError::invalid("data", "has no JSON form"))?;
        limits::check(&Measured {
            id: self.id.as_str(),
            account_id: self.account_id.as_str(),
            contact_id: self.contact_id.as_ref().map_or("", |contact| contact.as_str()),
            name: self.action.name(),
            requested_by: &self.requested_by.name,
            data: &data,
        })?;
        self.action.check(self.channel)
    }

    /// The subject it is published on.
    pub fn nats_subject(&self) -> String {
        let route = match (&self.contact_id, self.action.media_id()) {
            (Some(contact), _) => Route::Contact(contact.as_str()),
            (None, Some(object)) => Route::Object(object),
            (None, None) => Route::Account,
        };
        subjects::command(self.channel, &self.account_id, route, self.action.name())
    }

    /// Its identity over the whole system; also its `Nats-Msg-Id`.
    pub fn identity(&self) -> String {
        crate::ids::command_identity(self.channel, &self.account_id, &self.id)
    }
}

impl TryFrom<UncheckedCommand> for Command {
    type Error = CommandError;

    fn try_from(command: UncheckedCommand) -> Result<Self, CommandError> {
        Ok(Self {
            action: command.action()?,
            id: command.id,
            channel: command.channel,
            account_id: command.account_id,
            contact_id: command.contact_id,
            requested_by: command.requested_by,
            requested_at: command.requested_at,
        })
    }
}

/// The fields of [`UncheckedCommand`], in its order.
#[skip_serializing_none]
#[derive(Serialize)]
struct Wire<'a> {
    id: &'a CommandId,
    channel: Channel,
    account_id: &'a AccountId,
    contact_id: Option<&'a ContactId>,
    command: &'static str,
    requested_by: &'a RequestedBy,
    requested_at: Timestamp,
    data: &'a Action,
}

impl Serialize for Command {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire {
            id: &self.id,
            channel: self.channel,
            account_id: &self.account_id,
            contact_id: self.contact_id.as_ref(),
            command: self.action.name(),
            requested_by: &self.requested_by,
            requested_at: self.requested_at,
            data: &self.action,
        }
        .serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_unchecked_command() {
        let wire = concat!(
            r#"{"id":"rpl_1","channel":"instagram","account_id":"1","contact_id":"5200000000000011","command":"reply","#,
            r#""requested_by":{"kind":"person","name":"anna"},"requested_at":"2026-11-21T10:00:00.000Z","#,
            r#""data":{"quick_replies":[{"payload":"YES","title":"Yes"}],"reply_to":"m","tag":"HUMAN_AGENT","text":"hi"}}"#
        );
        let command: Command = serde_json::from_str(wire).unwrap();
        let unchecked: UncheckedCommand = serde_json::from_str(wire).unwrap();
        assert_eq!(serde_json::to_string(&command).unwrap(), wire);
        assert_eq!(serde_json::to_string(&unchecked).unwrap(), wire);
    }
}
