//! ◆ Pure: what happens to an account as a whole.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// Meta acts against the account, or stops doing so.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyEnforced {
    /// `warning`, `block` or `unblock`.
    pub action: String,
    /// Meta's reason.
    pub reason: Option<String>,
}

/// Roles of apps on the account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RolesChanged {
    /// App id → roles such as `primary_receiver`.
    pub roles: std::collections::BTreeMap<String, Vec<String>>,
}

/// A recommendation or review of the Page.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rating {
    /// `add`, `edit`, `remove`, …
    pub verb: Option<String>,
    /// `rating`, `comment`, …
    pub item: Option<String>,
    /// The person.
    pub reviewer_id: Option<String>,
    /// The person's name.
    pub reviewer_name: Option<String>,
    /// `positive` or `negative`.
    pub recommendation_type: Option<String>,
    /// Stars of older reviews.
    pub rating: Option<i64>,
    /// What the person wrote.
    pub review_text: Option<String>,
    /// The story behind it.
    pub open_graph_story_id: Option<String>,
    /// A comment on it.
    pub comment_id: Option<String>,
}

/// The state of a message template.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TemplateStatus {
    /// The template.
    pub template_id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its language.
    pub language: Option<String>,
    /// `APPROVED`, `REJECTED`, `PENDING`, …
    pub status: Option<String>,
    /// Meta's reason.
    pub reason: Option<String>,
}
