//! ◆ Pure: commands: wishes to act on Meta (contract section 6).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_with::skip_serializing_none;

use crate::subjects::{self, Route};
use crate::{AccountId, Channel, CommandId, ContactId, EventId, MessageId, Timestamp};

/// A wish to act on Meta, as INBOX_COMMANDS carries it.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Command {
    /// Unique per channel and account; decides identity.
    pub id: CommandId,
    /// The channel.
    pub channel: Channel,
    /// The account that acts.
    pub account_id: AccountId,
    /// The person it is for, where there is one.
    pub contact_id: Option<ContactId>,
    /// What to do: see [`Action`].
    pub command: String,
    /// Who wants it.
    pub requested_by: RequestedBy,
    /// Since when.
    pub requested_at: Timestamp,
    /// The fields of the command.
    #[serde(default)]
    pub data: Value,
}

/// Who wants a command done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestedBy {
    /// A person or an automation: decides what the policy allows.
    pub kind: Requester,
    /// Name of the API token or automation.
    pub name: String,
}

/// A person or an automation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Requester {
    /// A person answers.
    Person,
    /// A program answers.
    Automation,
}

/// What a command asks for, with its fields.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// `reply`
    Reply(ReplyData),
    /// `sender_action`: one try.
    SenderAction(SenderActionData),
    /// `comment_reply`
    CommentReply(CommentTextData),
    /// `comment_private_reply`
    CommentPrivateReply(CommentTextData),
    /// `comment_create`
    CommentCreate(CommentCreateData),
    /// `comment_hide`
    CommentHide(CommentRef),
    /// `comment_unhide`
    CommentUnhide(CommentRef),
    /// `comment_delete`
    CommentDelete(CommentRef),
    /// `sync`
    Sync(SyncData),
    /// A command of the contract that this version does not carry out yet: `insights_refresh`, `conversion_event`, `template_…`.
    Later(&'static str),
}

/// `reply`: exactly one of text, attachment, template; quick replies go with text.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReplyData {
    /// Plain text; long text becomes several parts.
    pub text: Option<String>,
    /// A file by URL or by Meta's attachment id.
    pub attachment: Option<OutboundAttachment>,
    /// A template payload as Meta takes it (`template_type`, `elements`, …).
    pub template: Option<Value>,
    /// At most 13.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quick_replies: Vec<OutboundQuickReply>,
    /// The message to quote.
    pub reply_to: Option<MessageId>,
    /// `HUMAN_AGENT`, by a person only.
    pub tag: Option<String>,
    /// The event it answers.
    pub caused_by: Option<EventId>,
}

/// A file to send.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutboundAttachment {
    /// `image`, `video`, `audio`, `file`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where Meta fetches it.
    pub url: Option<String>,
    /// Meta's id of an uploaded file.
    pub attachment_id: Option<String>,
    /// Whether Meta keeps it for later sends.
    pub is_reusable: Option<bool>,
}

/// A quick reply to offer.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutboundQuickReply {
    /// At most 20 characters.
    pub title: String,
    /// At most 1000 characters; the title where absent.
    pub payload: Option<String>,
}

/// `sender_action`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SenderActionData {
    /// `typing_on`, `typing_off` or `mark_seen`.
    pub action: String,
}

/// `comment_reply`, `comment_private_reply`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommentTextData {
    /// The comment to answer.
    pub comment_id: String,
    /// What to say.
    pub text: String,
}

/// `comment_create`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommentCreateData {
    /// The media or post to comment on.
    pub media_id: String,
    /// What to say.
    pub text: String,
}

/// `comment_hide`, `comment_unhide`, `comment_delete`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommentRef {
    /// The comment.
    pub comment_id: String,
}

/// `sync`
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SyncData {
    /// One person's conversation only; all of the account where absent.
    pub contact_id: Option<ContactId>,
}

/// The names of all commands of the contract.
pub const COMMANDS: [&str; 14] = [
    "reply",
    "sender_action",
    "comment_reply",
    "comment_private_reply",
    "comment_create",
    "comment_hide",
    "comment_unhide",
    "comment_delete",
    "sync",
    "insights_refresh",
    "conversion_event",
    "template_submit",
    "template_status",
    "template_send",
];

/// Why a command cannot be carried out as written.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CommandError {
    /// The bytes are no command.
    #[error("not a command: {0}")]
    Malformed(String),
    /// The name is none of [`COMMANDS`].
    #[error("`command`: `{0}` is unknown")]
    Unknown(String),
    /// A field is missing, of the wrong type or over its limit.
    #[error("`{field}`: {reason}")]
    Invalid {
        /// The field, with `data.` before it where it is one of the command's own.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl CommandError {
    fn invalid(field: &str, reason: impl Into<String>) -> Self {
        Self::Invalid { field: field.to_owned(), reason: reason.into() }
    }
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

impl Command {
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
            ("command", self.command.as_str()),
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

    /// The command with its fields, checked as far as the command alone tells.
    ///
    /// # Errors
    /// [`CommandError::Unknown`] or [`CommandError::Invalid`] naming the field.
    pub fn action(&self) -> Result<Action, CommandError> {
        Ok(match self.command.as_str() {
            "reply" => {
                self.needs_contact()?;
                let data: ReplyData = self.fields()?;
                data.check()?;
                Action::Reply(data)
            }
            "sender_action" => {
                self.needs_contact()?;
                let data: SenderActionData = self.fields()?;
                if !["typing_on", "typing_off", "mark_seen"].contains(&data.action.as_str()) {
                    return Err(CommandError::invalid(
                        "data.action",
                        "use typing_on, typing_off or mark_seen",
                    ));
                }
                Action::SenderAction(data)
            }
            "comment_reply" => Action::CommentReply(self.comment_text()?),
            "comment_private_reply" => Action::CommentPrivateReply(self.comment_text()?),
            "comment_create" => {
                let data: CommentCreateData = self.fields()?;
                not_empty("data.media_id", &data.media_id)?;
                not_empty("data.text", &data.text)?;
                Action::CommentCreate(data)
            }
            "comment_hide" => Action::CommentHide(self.comment_ref()?),
            "comment_unhide" => Action::CommentUnhide(self.comment_ref()?),
            "comment_delete" => Action::CommentDelete(self.comment_ref()?),
            "sync" => {
                Action::Sync(if self.data.is_null() { SyncData::default() } else { self.fields()? })
            }
            other => match COMMANDS.iter().find(|name| **name == other) {
                Some(name) => Action::Later(name),
                None => return Err(CommandError::Unknown(other.chars().take(64).collect())),
            },
        })
    }

    /// The subject it is published on.
    pub fn nats_subject(&self) -> String {
        let route = match (&self.contact_id, self.data.get("media_id").and_then(Value::as_str)) {
            (Some(contact), _) => Route::Contact(contact.as_str()),
            (None, Some(object)) => Route::Object(object),
            (None, None) => Route::Account,
        };
        subjects::command(self.channel, &self.account_id, route, &self.command)
    }

    /// Its identity over the whole system; also its `Nats-Msg-Id`.
    pub fn identity(&self) -> String {
        crate::ids::command_identity(self.channel, &self.account_id, &self.id)
    }

    fn needs_contact(&self) -> Result<(), CommandError> {
        match &self.contact_id {
            Some(contact) if !contact.as_str().is_empty() => Ok(()),
            _ => Err(CommandError::invalid("contact_id", "missing")),
        }
    }

    fn fields<T: serde::de::DeserializeOwned>(&self) -> Result<T, CommandError> {
        T::deserialize(&self.data).map_err(|error| CommandError::invalid("data", describe(&error)))
    }

    fn comment_text(&self) -> Result<CommentTextData, CommandError> {
        let data: CommentTextData = self.fields()?;
        not_empty("data.comment_id", &data.comment_id)?;
        not_empty("data.text", &data.text)?;
        Ok(data)
    }

    fn comment_ref(&self) -> Result<CommentRef, CommandError> {
        let data: CommentRef = self.fields()?;
        not_empty("data.comment_id", &data.comment_id)?;
        Ok(data)
    }
}

impl ReplyData {
    /// Checks what the reply alone tells: one kind of content, limits of `meta-platform.md` section 12 that cannot be met by splitting.
    ///
    /// # Errors
    /// [`CommandError::Invalid`] naming the field.
    pub fn check(&self) -> Result<(), CommandError> {
        let contents = [self.text.is_some(), self.attachment.is_some(), self.template.is_some()];
        match contents.iter().filter(|present| **present).count() {
            0 => {
                return Err(CommandError::invalid(
                    "data.text",
                    "a reply needs text, an attachment or a template",
                ));
            }
            1 => {}
            _ => {
                return Err(CommandError::invalid(
                    "data.text",
                    "a reply has one of text, attachment, template",
                ));
            }
        }
        if let Some(text) = &self.text {
            not_empty("data.text", text.trim())?;
        }
        if let Some(attachment) = &self.attachment {
            if !["image", "video", "audio", "file"].contains(&attachment.kind.as_str()) {
                return Err(CommandError::invalid(
                    "data.attachment.type",
                    "use image, video, audio or file",
                ));
            }
            match (&attachment.url, &attachment.attachment_id) {
                (Some(url), None) if url.starts_with("https://") || url.starts_with("http://") => {}
                (Some(_), None) => {
                    return Err(CommandError::invalid("data.attachment.url", "not an http(s) URL"));
                }
                (None, Some(id)) => not_empty("data.attachment.attachment_id", id)?,
                _ => {
                    return Err(CommandError::invalid(
                        "data.attachment",
                        "exactly one of url, attachment_id",
                    ));
                }
            }
        }
        if self.template.as_ref().is_some_and(|template| !template.is_object()) {
            return Err(CommandError::invalid("data.template", "must be an object"));
        }
        if self.quick_replies.len() > 13 {
            return Err(CommandError::invalid("data.quick_replies", "at most 13"));
        }
        if !self.quick_replies.is_empty() && self.text.is_none() {
            return Err(CommandError::invalid("data.quick_replies", "only with text"));
        }
        for reply in &self.quick_replies {
            if reply.title.trim().is_empty() || reply.title.chars().count() > 20 {
                return Err(CommandError::invalid(
                    "data.quick_replies.title",
                    "1 to 20 characters",
                ));
            }
            if reply.payload.as_ref().is_some_and(|payload| payload.chars().count() > 1000) {
                return Err(CommandError::invalid(
                    "data.quick_replies.payload",
                    "at most 1000 characters",
                ));
            }
        }
        Ok(())
    }
}

fn not_empty(field: &str, text: &str) -> Result<(), CommandError> {
    if text.is_empty() { Err(CommandError::invalid(field, "must not be empty")) } else { Ok(()) }
}

/// What serde says without the content it quotes: it writes values only inside `invalid type/value: … "…"`, which is cut.
fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match (text.find("invalid type: string"), text.find("invalid value")) {
        (None, None) => text,
        _ => {
            let expected = text.split("expected ").nth(1).unwrap_or("another type");
            format!("wrong type or value, expected {expected}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn command(name: &str, data: Value) -> Command {
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
            Ok(Action::Later("insights_refresh"))
        );
    }

    #[test]
    fn malformed_commands_do_not_leak_content() {
        let bytes = br#"{"id":"a","channel":"instagram","account_id":"1","command":"reply","requested_by":"my secret words"}"#;
        let error = Command::from_slice(bytes).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
