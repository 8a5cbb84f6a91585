//! ◆ Pure: who wants a command done.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

crate::words! { Requester, "requester": Person = "person", Automation = "automation" }
