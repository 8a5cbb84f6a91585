//! ◆ Pure: one row per post.

use schemas::facts::PostChanged;
use schemas::{AccountId, Channel, Fact, Timestamp};
use serde::Serialize;

use super::row_fact::{RowFact, Statement, by_moment};

/// A row of `posts`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct PostRow {
    /// The entity.
    pub(crate) id: String,
    /// The channel.
    pub(crate) channel: Channel,
    /// The account.
    pub(crate) account_id: AccountId,
    /// Meta's id.
    pub(crate) post_id: Option<String>,
    /// `post`, `photo`, …
    pub(crate) item: String,
    /// Who posted.
    pub(crate) author_id: Option<String>,
    /// Their name.
    pub(crate) author_username: Option<String>,
    /// The account itself.
    pub(crate) author_self: bool,
    /// The text as it is now.
    pub(crate) text: Option<String>,
    /// A link in it.
    pub(crate) link: Option<String>,
    /// Pictures in it.
    pub(crate) photos: Vec<String>,
    /// A video in it.
    pub(crate) video_id: Option<String>,
    /// Whether it is published.
    pub(crate) published: Option<bool>,
    /// The time of the first event about it.
    pub(crate) created_at: Timestamp,
    /// `created_at` is that of a delivery.
    pub(crate) time_approximate: bool,
    /// Its last change.
    pub(crate) edited_at: Option<Timestamp>,
    /// When it was removed.
    pub(crate) deleted_at: Option<Timestamp>,
    /// Hidden now.
    pub(crate) hidden: bool,
}

/// Whether this verb of Meta's takes something back.
pub(super) fn is_removal(verb: &str) -> bool {
    matches!(verb, "remove" | "delete" | "deleted")
}

/// One row per post: the latest change has its content; a removal takes the content off the row.
pub(crate) fn post_row(id: &str, facts: &[RowFact]) -> Option<PostRow> {
    let all = by_moment(facts);
    let posts: Vec<(&RowFact, &Statement, &PostChanged)> = all
        .iter()
        .filter_map(|(fact, statement)| match &statement.fact {
            Fact::PostChanged(post) => Some((*fact, *statement, post)),
            _ => None,
        })
        .collect();
    let (first, statement, opening) = *posts.first()?;
    let is_mark = |verb: &str| {
        matches!(verb, "hide" | "unhide" | "block" | "unblock" | "mute") || is_removal(verb)
    };
    let content = || posts.iter().rev().filter(|(.., post)| !is_mark(&post.verb));
    let deleted_at =
        posts.iter().find(|(.., post)| is_removal(&post.verb)).map(|(fact, ..)| fact.time);
    let edited_at = content().find(|(.., post)| post.verb != "add").map(|(fact, ..)| fact.time);
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
        channel: statement.channel,
        account_id: statement.account_id.clone(),
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
        time_approximate: statement.time_approximate,
        edited_at,
        deleted_at,
        hidden,
    })
}
