//! ◆ Pure: what came with a token.

use schemas::Timestamp;

/// What Meta says of a token that a person granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// When the token ends; `None`: never.
    pub ends: Option<Timestamp>,
    /// The permissions that were granted.
    pub scopes: Vec<String>,
    /// Who granted them, as Meta's callbacks name them.
    pub person: Option<String>,
}
