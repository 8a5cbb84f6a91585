//! ◆ Pure: how a sender was found, or was not.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_with::skip_serializing_none;

use crate::MessageId;

/// How a sender was found.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SenderResolution {
    /// `payload`, `known_message`, `twin`, `thread_id`, `graph_message`, `graph_message_other_host` or `conversation_scan`.
    pub method: String,
    /// Ids and outcomes that support it; no content.
    pub evidence: Option<Value>,
}

/// A message without a known sender.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SenderUnresolved {
    /// The message.
    pub message_id: MessageId,
    /// What was tried, in order.
    #[serde(default)]
    pub tried: Vec<TriedMethod>,
    /// The edit that waits, when it is a real edit of an unknown message.
    pub edit_number: Option<i64>,
}

/// One step of the ladder and what it gave.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TriedMethod {
    /// As in [`SenderResolution::method`].
    pub method: String,
    /// `nothing`, `not_tried`, `unavailable`, `refused`, `not_found`, `hint`, …
    pub outcome: String,
    /// Graph's error code, where it answered with one.
    pub code: Option<i64>,
}
