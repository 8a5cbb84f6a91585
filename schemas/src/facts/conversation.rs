//! ◆ Pure: marks on a conversation, and who controls it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::Timestamp;

/// A change of the app that owns a conversation.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ThreadControl {
    /// `pass`, `take` or `request`.
    pub action: String,
    /// The app that had it; absent when idle.
    pub previous_owner_app_id: Option<String>,
    /// The app that has it now.
    pub new_owner_app_id: Option<String>,
    /// The app that is asked for it.
    pub requested_owner_app_id: Option<String>,
    /// What the other app added.
    pub metadata: Option<String>,
}

/// An act of a person on our side.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationMark {
    /// Name of the API token that acted.
    pub by: Option<String>,
}

/// Somebody on our side read a conversation.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationRead {
    /// Name of the API token that acted.
    pub by: Option<String>,
    /// When the last message was sent that the conversation had then, by Meta's clock, which may be ahead of ours: it was read, too.
    pub last_message_at: Option<Timestamp>,
}

/// A label was put on a conversation, or taken off.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationLabel {
    /// The label, without spaces around it.
    pub label: String,
    /// Name of the API token that acted.
    pub by: Option<String>,
}

/// A note about a conversation, for people on our side. No command carries it, so it has no way to Meta.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationNoted {
    /// The note.
    pub note_id: String,
    /// What it says.
    pub text: String,
    /// Name of the API token that wrote it.
    pub by: Option<String>,
}

/// A conversation was snoozed: out of the list until a time, or until the person writes again.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationSnoozed {
    /// Until when; absent: no longer.
    pub until: Option<Timestamp>,
    /// Name of the API token that acted.
    pub by: Option<String>,
    /// When the last message was sent that the conversation had then, by Meta's clock, which may be ahead of ours: it wakes nobody.
    pub last_message_at: Option<Timestamp>,
}

/// A conversation was assigned.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationAssigned {
    /// To whom; absent: to nobody.
    pub assigned_to: Option<String>,
    /// Name of the API token that acted.
    pub by: Option<String>,
}
