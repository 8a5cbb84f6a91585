//! ◆ Pure: where a conversation happens.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a conversation happens.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Channel {
    /// Instagram Direct and Instagram comments.
    Instagram,
    /// Messenger and Facebook Page comments.
    Messenger,
}

impl Channel {
    /// Both channels.
    pub const ALL: [Self; 2] = [Self::Instagram, Self::Messenger];

    /// `instagram` or `messenger`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Instagram => "instagram",
            Self::Messenger => "messenger",
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no channel.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no channel: use `instagram` or `messenger`")]
pub struct UnknownChannel(String);

impl FromStr for Channel {
    type Err = UnknownChannel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "instagram" => Ok(Self::Instagram),
            "messenger" => Ok(Self::Messenger),
            other => Err(UnknownChannel(other.chars().take(64).collect())),
        }
    }
}
