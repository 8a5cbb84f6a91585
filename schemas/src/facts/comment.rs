//! ◆ Pure: comments, reactions to them, and mentions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::message::Attachment;
use crate::Timestamp;

/// A comment, as far as the webhook tells.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comment {
    /// The comment.
    pub comment_id: String,
    /// The comment it answers; absent at top level.
    pub parent_id: Option<String>,
    /// Instagram: the media it stands under.
    pub media_id: Option<String>,
    /// Facebook: the post it stands under.
    pub post_id: Option<String>,
    /// Who wrote it; empty where Meta does not tell.
    #[serde(default)]
    pub author: Author,
    /// Its text.
    pub text: Option<String>,
    /// Written during a live video.
    pub live: Option<bool>,
    /// The ad the media was boosted by.
    pub ad: Option<CommentAd>,
    /// Instagram: FEED, REELS, STORY, AD, LIVE.
    pub media_product_type: Option<String>,
    /// Facebook: the picture or sticker of the comment.
    pub photo: Option<String>,
    /// Facebook: the picture, sticker or film of the comment.
    pub attachment: Option<Attachment>,
    /// When it was written, where the item tells apart from the event's own time (edits).
    pub created_at: Option<Timestamp>,
}

/// The author of a comment.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Author {
    /// The person or Page.
    pub id: Option<String>,
    /// Instagram handle or Facebook name.
    pub username: Option<String>,
    /// It is the account itself: never answered automatically.
    #[serde(rename = "self")]
    pub is_self: Option<bool>,
}

/// The ad a comment stands under.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommentAd {
    /// The ad.
    pub ad_id: Option<String>,
    /// Its title.
    pub ad_title: Option<String>,
    /// The media that was boosted.
    pub original_media_id: Option<String>,
}

/// A reaction to a comment, or its withdrawal.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommentReaction {
    /// The comment.
    pub comment_id: String,
    /// The comment it answers.
    pub parent_id: Option<String>,
    /// Instagram: the media.
    pub media_id: Option<String>,
    /// Facebook: the post.
    pub post_id: Option<String>,
    /// Who reacted.
    #[serde(default)]
    pub author: Author,
    /// `like`, `love`, …
    pub reaction: Option<String>,
}

/// A mention of the account.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Mention {
    /// Instagram: the media.
    pub media_id: Option<String>,
    /// The comment that mentions the account; absent when the media or post does.
    pub comment_id: Option<String>,
    /// Facebook: the post.
    pub post_id: Option<String>,
    /// Facebook: `post` or `comment`.
    pub item: Option<String>,
    /// Facebook: `add`, `edited`, …
    pub verb: Option<String>,
    /// Facebook: its text; Instagram needs a read.
    pub text: Option<String>,
    /// Who wrote it, where Meta tells.
    #[serde(default)]
    pub author: Author,
}
