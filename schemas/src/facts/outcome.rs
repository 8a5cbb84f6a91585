//! ◆ Pure: outcomes of commands.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_with::skip_serializing_none;

use super::message::{Attachment, ReplyTo};
use crate::{CommandId, EventId, MessageId, Timestamp};

/// The state of one part of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum PartState {
    /// Meta accepted it.
    Sent,
    /// It will not be sent.
    Failed,
    /// Nobody can tell.
    Unknown,
    /// Not attempted, because an earlier part failed.
    Skipped,
}

crate::words! {
    PartState, "state of a part": Sent = "sent", Failed = "failed", Unknown = "unknown", Skipped = "skipped"
}

/// One part of a reply: long text is several.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReplyPart {
    /// From 0.
    pub n: u32,
    /// Meta's id, once known.
    pub message_id: Option<MessageId>,
    /// Its state.
    pub state: PartState,
    /// The text of this part.
    pub text: Option<String>,
    /// When Meta accepted it.
    pub sent_at: Option<Timestamp>,
}

/// The outcome of a reply.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reply {
    /// The command's id.
    pub reply_id: CommandId,
    /// The text that was to be sent, whole.
    pub text: Option<String>,
    /// What was to be sent beside text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// The quoted message.
    pub reply_to: Option<ReplyTo>,
    /// Its parts.
    pub parts: Vec<ReplyPart>,
    /// Why it failed.
    pub error: Option<OutcomeError>,
    /// HTTP calls made.
    pub attempts: u32,
    /// The rule of the policy that decided.
    pub rule: Option<String>,
    /// Who asked for it.
    pub requested_by: Option<crate::command::RequestedBy>,
    /// The event it answers.
    pub caused_by: Option<EventId>,
}

/// Why a command had no effect.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutcomeError {
    /// Meta's code as text, or a stable word of ours such as `window_closed`.
    pub code: String,
    /// Meta's sub-code.
    pub subcode: Option<i64>,
    /// `window`, `recipient`, `auth`, `permission`, `throttled`, `invalid`, `unknown`, `refused`, …
    pub class: String,
    /// For people who operate; never a person's words.
    pub message: String,
}

impl OutcomeError {
    /// An error that hookline itself states, with a code and a class of its own.
    pub fn own(code: &str, class: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            subcode: None,
            class: class.to_owned(),
            message: message.into(),
        }
    }
}

/// The outcome of a command other than a reply.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommandOutcome {
    /// The command.
    pub command_id: CommandId,
    /// Its name.
    pub command: String,
    /// What Meta answered, by its ids.
    pub result: Option<Value>,
    /// Why it had no effect.
    pub error: Option<OutcomeError>,
}
