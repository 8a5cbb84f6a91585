//! ◆ Pure: one row per person and comment or post: their present reaction.

use schemas::{AccountId, Channel, Fact, Timestamp};
use serde::Serialize;

use super::post::is_removal;
use super::row_fact::{RowFact, by_moment};

/// A row of `reactions`: what one person thinks of one comment or post now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ReactionRow {
    /// The entity.
    pub(crate) id: String,
    /// The channel.
    pub(crate) channel: Channel,
    /// The account.
    pub(crate) account_id: AccountId,
    /// `comment` or `post`.
    pub(crate) target: &'static str,
    /// Meta's id of it.
    pub(crate) target_id: String,
    /// Who reacted, where Meta names them.
    pub(crate) author_id: Option<String>,
    /// `like`, `love`, …
    pub(crate) reaction: String,
    /// Since when.
    pub(crate) at: Timestamp,
}

/// The latest by (time, id) holds; taking it back removes the row.
pub(crate) fn reaction_row(id: &str, facts: &[RowFact]) -> Option<ReactionRow> {
    let (fact, statement) = by_moment(facts).pop()?;
    let (target, target_id, author, reaction) = match &statement.fact {
        Fact::CommentReacted(body) => ("comment", &body.comment_id, &body.author, &body.reaction),
        Fact::PostReacted(body) if !is_removal(&body.verb) => {
            ("post", &body.post_id, &body.author, &body.reaction)
        }
        _ => return None,
    };
    Some(ReactionRow {
        id: id.to_owned(),
        channel: statement.channel,
        account_id: statement.account_id.clone(),
        target,
        target_id: target_id.clone(),
        author_id: author.id.clone(),
        // The old `like` item names no reaction.
        reaction: reaction.clone().unwrap_or_else(|| "like".to_owned()),
        at: fact.time,
    })
}
