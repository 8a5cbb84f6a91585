//! ◆ Pure: posts, reactions to posts and comments, mentions and figures: one row each.

use schemas::facts::{Mention, PostChanged};
use schemas::{AccountId, Channel, Fact, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use super::piece::{Piece, Said};

/// A row of `reactions`: what one person thinks of one comment or post now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReactionRow {
    /// The entity.
    pub id: String,
    /// The channel.
    pub channel: Channel,
    /// The account.
    pub account_id: AccountId,
    /// `comment` or `post`.
    pub target: &'static str,
    /// Meta's id of it.
    pub target_id: String,
    /// Who reacted, where Meta tells.
    pub author_id: Option<String>,
    /// `like`, `love`, …
    pub reaction: String,
    /// Since when.
    pub at: Timestamp,
}

/// A row of `posts`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PostRow {
    /// The entity.
    pub id: String,
    /// The channel.
    pub channel: Channel,
    /// The account.
    pub account_id: AccountId,
    /// Meta's id.
    pub post_id: Option<String>,
    /// `post`, `photo`, …
    pub item: String,
    /// Who posted.
    pub author_id: Option<String>,
    /// Their name.
    pub author_username: Option<String>,
    /// The account itself.
    pub author_self: bool,
    /// The text as it is now.
    pub text: Option<String>,
    /// A link in it.
    pub link: Option<String>,
    /// Pictures in it.
    pub photos: Vec<String>,
    /// A video in it.
    pub video_id: Option<String>,
    /// Whether it is published.
    pub published: Option<bool>,
    /// When it was first heard of.
    pub created_at: Timestamp,
    /// `created_at` is that of a delivery.
    pub time_approximate: bool,
    /// Its last change.
    pub edited_at: Option<Timestamp>,
    /// When it was removed.
    pub deleted_at: Option<Timestamp>,
    /// Hidden now.
    pub hidden: bool,
}

/// A row of `mentions`.
#[derive(Clone, Debug, PartialEq)]
pub struct MentionRow {
    /// The entity.
    pub id: String,
    /// The channel.
    pub channel: Channel,
    /// The account.
    pub account_id: AccountId,
    /// What was said last.
    pub mention: Mention,
    /// When it was first heard of.
    pub mentioned_at: Timestamp,
    /// `mentioned_at` is that of a delivery.
    pub time_approximate: bool,
    /// When it was taken back.
    pub deleted_at: Option<Timestamp>,
}

/// A row of `insights`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InsightRow {
    /// The entity.
    pub id: String,
    /// The channel.
    pub channel: Channel,
    /// The account.
    pub account_id: AccountId,
    /// `account`, `media` or `story`.
    pub object: String,
    /// The media or story.
    pub media_id: Option<String>,
    /// The metric; `story` for the final figures of a story.
    pub metric: String,
    /// `day`, …
    pub period: Option<String>,
    /// Meta's values.
    pub values: Value,
    /// When.
    pub captured_at: Timestamp,
}

fn in_order(pieces: &[Piece]) -> Vec<(&Piece, &Said)> {
    let mut all: Vec<_> =
        pieces.iter().filter_map(|piece| piece.said.as_ref().map(|said| (piece, said))).collect();
    all.sort_by_key(|(piece, _)| piece.moment());
    all
}

fn is_removal(verb: &str) -> bool {
    matches!(verb, "remove" | "delete" | "deleted")
}

/// The latest by (time, id) holds; taking it back removes the row.
pub fn reaction_row(id: &str, pieces: &[Piece]) -> Option<ReactionRow> {
    let (piece, said) = in_order(pieces).pop()?;
    let (target, target_id, author, reaction) = match &said.fact {
        Fact::CommentReacted(body) => ("comment", &body.comment_id, &body.author, &body.reaction),
        Fact::PostReacted(body) if !is_removal(&body.verb) => {
            ("post", &body.post_id, &body.author, &body.reaction)
        }
        _ => return None,
    };
    Some(ReactionRow {
        id: id.to_owned(),
        channel: said.channel,
        account_id: said.account_id.clone(),
        target,
        target_id: target_id.clone(),
        author_id: author.id.clone(),
        // The old `like` item names no reaction.
        reaction: reaction.clone().unwrap_or_else(|| "like".to_owned()),
        at: piece.time,
    })
}

/// One row per post: the latest change tells its content; a removal takes the content off the row.
pub fn post_row(id: &str, pieces: &[Piece]) -> Option<PostRow> {
    let all = in_order(pieces);
    let posts: Vec<(&Piece, &Said, &PostChanged)> = all
        .iter()
        .filter_map(|(piece, said)| match &said.fact {
            Fact::PostChanged(post) => Some((*piece, *said, post)),
            _ => None,
        })
        .collect();
    let (first, said, opening) = *posts.first()?;
    let is_mark = |verb: &str| {
        matches!(verb, "hide" | "unhide" | "block" | "unblock" | "mute") || is_removal(verb)
    };
    let content = || posts.iter().rev().filter(|(.., post)| !is_mark(&post.verb));
    let deleted_at =
        posts.iter().find(|(.., post)| is_removal(&post.verb)).map(|(piece, ..)| piece.time);
    let edited_at = content().find(|(.., post)| post.verb != "add").map(|(piece, ..)| piece.time);
    let hidden = posts
        .iter()
        .rev()
        .find(|(.., post)| matches!(post.verb.as_str(), "hide" | "unhide"))
        .is_some_and(|(.., post)| post.verb == "hide");
    let find =
        |field: fn(&PostChanged) -> Option<String>| content().find_map(|(.., post)| field(post));
    let shown = deleted_at.is_none();
    Some(PostRow {
        id: id.to_owned(),
        channel: said.channel,
        account_id: said.account_id.clone(),
        post_id: opening.post_id.clone(),
        item: content().next_back().map_or(opening, |(.., post)| post).item.clone(),
        author_id: posts.iter().find_map(|(.., post)| post.author.id.clone()),
        author_username: posts.iter().find_map(|(.., post)| post.author.username.clone()),
        author_self: posts.iter().any(|(.., post)| post.author.is_self == Some(true)),
        text: find(|post| post.text.clone()).filter(|_| shown),
        link: find(|post| post.link.clone()).filter(|_| shown),
        photos: content()
            .find_map(|(.., post)| (!post.photos.is_empty()).then(|| post.photos.clone()))
            .filter(|_| shown)
            .unwrap_or_default(),
        video_id: find(|post| post.video_id.clone()).filter(|_| shown),
        published: content().find_map(|(.., post)| post.published),
        created_at: first.time,
        time_approximate: said.time_approximate,
        edited_at,
        deleted_at,
        hidden,
    })
}

/// One row per mentioning comment, post or media.
pub fn mention_row(id: &str, pieces: &[Piece]) -> Option<MentionRow> {
    let all = in_order(pieces);
    let (first, said) = *all.first()?;
    let body = |said: &Said| match &said.fact {
        Fact::MentionCreated(mention) => Some(mention.clone()),
        _ => None,
    };
    let removed = |mention: &Mention| mention.verb.as_deref().is_some_and(is_removal);
    let (last, mut mention) =
        all.iter().rev().find_map(|(piece, said)| Some((piece, body(said)?)))?;
    let deleted_at = removed(&mention).then_some(last.time);
    if deleted_at.is_none() {
        mention.text = all.iter().rev().filter_map(|(_, said)| body(said)).find_map(|mention| {
            mention.text.filter(|_| !mention.verb.as_deref().is_some_and(is_removal))
        });
    } else {
        mention.text = None;
    }
    Some(MentionRow {
        id: id.to_owned(),
        channel: said.channel,
        account_id: said.account_id.clone(),
        mention,
        mentioned_at: first.time,
        time_approximate: said.time_approximate,
        deleted_at,
    })
}

/// One row per captured figure: snapshots are never merged.
pub fn insight_row(id: &str, pieces: &[Piece]) -> Option<InsightRow> {
    let (piece, said) = in_order(pieces).pop()?;
    let (object, media_id, metric, period, values) = match &said.fact {
        Fact::InsightsCaptured(body) => (
            body.object.clone(),
            body.media_id.clone(),
            body.metric.clone(),
            body.period.clone(),
            body.values.clone(),
        ),
        Fact::StoryInsights(body) => (
            "story".to_owned(),
            Some(body.media_id.clone()),
            "story".to_owned(),
            Some("lifetime".to_owned()),
            json!({
                "impressions": body.impressions, "reach": body.reach, "taps_forward": body.taps_forward,
                "taps_back": body.taps_back, "exits": body.exits, "replies": body.replies,
            }),
        ),
        _ => return None,
    };
    Some(InsightRow {
        id: id.to_owned(),
        channel: said.channel,
        account_id: said.account_id.clone(),
        object,
        media_id,
        metric,
        period,
        values,
        captured_at: piece.time,
    })
}
