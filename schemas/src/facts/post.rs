//! ◆ Pure: posts, stories and figures.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_with::skip_serializing_none;

use super::comment::Author;

/// A post of the account.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PostChanged {
    /// The post.
    pub post_id: Option<String>,
    /// `post`, `status`, `photo`, `video`, `share`, `album`, `event`, …
    pub item: String,
    /// `add`, `edited`, `hide`, `unhide`, `remove`, …
    pub verb: String,
    /// Who posted.
    #[serde(default)]
    pub author: Author,
    /// Its text.
    pub text: Option<String>,
    /// A link in it.
    pub link: Option<String>,
    /// Pictures in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub photos: Vec<String>,
    /// A video in it.
    pub video_id: Option<String>,
    /// Whether it is published.
    pub published: Option<bool>,
}

/// A reaction to a post.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PostReacted {
    /// The post.
    pub post_id: String,
    /// `add`, `edit` or `remove`.
    pub verb: String,
    /// `like`, `love`, …
    pub reaction: Option<String>,
    /// Who reacted.
    #[serde(default)]
    pub author: Author,
}

/// Final figures of a story; -1 means below 5 (docs/meta-platform.md 6.2).
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StoryInsights {
    /// The story.
    pub media_id: String,
    /// Times shown.
    pub impressions: Option<i64>,
    /// People reached.
    pub reach: Option<i64>,
    /// Taps to the next.
    pub taps_forward: Option<i64>,
    /// Taps back.
    pub taps_back: Option<i64>,
    /// People who left.
    pub exits: Option<i64>,
    /// Replies.
    pub replies: Option<i64>,
}

/// Figures read from Graph.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InsightsCaptured {
    /// What was measured: `account`, `media` or `story`.
    pub object: String,
    /// The media or story; absent for the account.
    pub media_id: Option<String>,
    /// The metric's name.
    pub metric: String,
    /// `day`, `week`, `lifetime`, …
    pub period: Option<String>,
    /// Meta's values with their end times.
    pub values: Value,
}
