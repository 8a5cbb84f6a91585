//! ◆ Pure: one row per comment, post or media that mentions the account.

use schemas::facts::Mention;
use schemas::{AccountId, Channel, Fact, Timestamp};
use serde::Serialize;

use super::post::is_removal;
use super::row_fact::{RowFact, Statement, by_moment};

/// A row of `mentions`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct MentionRow {
    /// The entity.
    pub(crate) id: String,
    /// The channel.
    pub(crate) channel: Channel,
    /// The account.
    pub(crate) account_id: AccountId,
    /// Instagram: the media.
    pub(crate) media_id: Option<String>,
    /// The comment that mentions the account.
    pub(crate) comment_id: Option<String>,
    /// Facebook: the post.
    pub(crate) post_id: Option<String>,
    /// Meta's word for what mentions the account.
    pub(crate) item: Option<String>,
    /// Who mentioned it.
    pub(crate) author_id: Option<String>,
    /// Their handle or name.
    pub(crate) author_username: Option<String>,
    /// The text as it is now.
    pub(crate) text: Option<String>,
    /// The time of the first event about it.
    pub(crate) mentioned_at: Timestamp,
    /// `mentioned_at` is that of a delivery.
    pub(crate) time_approximate: bool,
    /// When it was taken back.
    pub(crate) deleted_at: Option<Timestamp>,
}

fn mention_of(statement: &Statement) -> Option<&Mention> {
    match &statement.fact {
        Fact::MentionCreated(mention) => Some(mention),
        _ => None,
    }
}

fn is_removed(mention: &Mention) -> bool {
    mention.verb.as_deref().is_some_and(is_removal)
}

/// The latest by (time, id) holds; a removal takes the text off the row.
pub(crate) fn mention_row(id: &str, facts: &[RowFact]) -> Option<MentionRow> {
    let all = by_moment(facts);
    let (first, statement) = *all.first()?;
    let mentions =
        || all.iter().rev().filter_map(|(fact, statement)| Some((fact, mention_of(statement)?)));
    let (last, mention) = mentions().next()?;
    let deleted_at = is_removed(mention).then_some(last.time);
    let text = mentions()
        .filter(|(_, mention)| !is_removed(mention))
        .find_map(|(_, mention)| mention.text.clone());
    Some(MentionRow {
        id: id.to_owned(),
        channel: statement.channel,
        account_id: statement.account_id.clone(),
        media_id: mention.media_id.clone(),
        comment_id: mention.comment_id.clone(),
        post_id: mention.post_id.clone(),
        item: mention.item.clone(),
        author_id: mention.author.id.clone(),
        author_username: mention.author.username.clone(),
        text: text.filter(|_| deleted_at.is_none()),
        mentioned_at: first.time,
        time_approximate: statement.time_approximate,
        deleted_at,
    })
}
