//! ◆ Pure: how Meta refused a token.

/// How Meta refused a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Numbers, no content.
    pub reason: String,
    /// The person removed the app (190/458): no new token comes by itself, and the account is disconnected.
    pub app_removed: bool,
}
