//! ◆ Pure: parts of a raw webhook that are no event of their own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// Shape facts of a raw webhook, never content.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookShape {
    /// Why it is listed: `test_payload`, `not_json`, `unreadable_headers`, `unknown_field`, `unknown_item`, `unknown_object`, `unknown_account`, `wrong_app`, `invalid_item`, `bad_shape`.
    pub reason: String,
    /// `instagram`, `page`, or what stood there (cut to 64 characters).
    pub object: Option<String>,
    /// The `entry[].id`, opaque.
    pub entry_id: Option<String>,
    /// The name of the unknown field or key (cut to 64 characters).
    pub field: Option<String>,
    /// Names of the item's keys, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// Fingerprint of the item's shape: hex of a hash over sorted paths and JSON types.
    pub shape: Option<String>,
    /// Bytes of the raw body.
    pub bytes: Option<u64>,
    /// The comment or message id, where the item has one.
    pub item_id: Option<String>,
}
