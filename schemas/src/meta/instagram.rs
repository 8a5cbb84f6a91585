//! ◆ Pure: changes of object=instagram (docs/meta-platform.md 6.2).

use super::json::Node;
use crate::Timestamp;

/// A `comments` or `live_comments` change.
#[derive(Clone, Debug)]
pub struct InstagramComment {
    /// `id` or `comment_id`.
    pub id: Option<String>,
    /// The comment it answers.
    pub parent_id: Option<String>,
    /// The media it stands under.
    pub media_id: Option<String>,
    /// FEED, REELS, STORY, AD, LIVE.
    pub media_product_type: Option<String>,
    /// The ad that boosted the media.
    pub ad_id: Option<String>,
    /// Its title.
    pub ad_title: Option<String>,
    /// The media that was boosted.
    pub original_media_id: Option<String>,
    /// The author, where permitted.
    pub from_id: Option<String>,
    /// The author's handle.
    pub from_username: Option<String>,
    /// Present on the account's own comments.
    pub self_ig_scoped_id: Option<String>,
    /// Its text; absent for GIFs.
    pub text: Option<String>,
    /// Not documented; some describe `add`, `edited`, `delete`.
    pub verb: Option<String>,
    /// Not documented; taken where present.
    pub time: Option<Timestamp>,
    /// Hash over the whole value.
    pub hash: String,
}

impl InstagramComment {
    /// Reads the `value` of the change.
    pub fn read(node: &Node<'_>) -> Self {
        let (from, media) =
            (node.node("from").unwrap_or_default(), node.node("media").unwrap_or_default());
        Self {
            id: node.id("id").or_else(|| node.id("comment_id")),
            parent_id: node.id("parent_id"),
            media_id: media.id("id").or_else(|| node.id("media_id")),
            media_product_type: media.text("media_product_type"),
            ad_id: media.id("ad_id"),
            ad_title: media.text("ad_title"),
            original_media_id: media.id("original_media_id"),
            from_id: from.id("id"),
            from_username: from.text("username"),
            self_ig_scoped_id: from
                .id("self_ig_scoped_id")
                .or_else(|| node.id("self_ig_scoped_id")),
            text: node.text("text"),
            verb: node.text("verb"),
            time: node.time("timestamp").or_else(|| node.time("created_time")),
            hash: node.hash(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn both_spellings_of_ids_are_read() {
        let new =
            r#"{"id":"17900000000000501","media":{"id":"18"},"from":{"id":"52","username":"u"}}"#;
        let old =
            r#"{"comment_id":17900000000000501,"media_id":18,"from":{"id":52,"username":"u"}}"#;
        for text in [new, old] {
            let raw = RawValue::from_string(text.to_owned()).unwrap();
            let comment = InstagramComment::read(&Node::parse(&raw).unwrap());
            assert_eq!(comment.id.as_deref(), Some("17900000000000501"));
            assert_eq!(
                (comment.media_id.as_deref(), comment.from_id.as_deref()),
                (Some("18"), Some("52"))
            );
        }
    }
}
