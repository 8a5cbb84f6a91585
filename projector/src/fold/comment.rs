//! ◆ Pure: one row per comment (docs/contract.md 8).

use schemas::facts::{Attachment, Comment};
use schemas::{AccountId, Channel, Fact, Kind, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::row_fact::{RowFact, Statement, by_precedence};

/// A row of `comments`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct CommentRow {
    /// The entity.
    pub(crate) id: String,
    /// The channel.
    pub(crate) channel: Channel,
    /// The account.
    pub(crate) account_id: AccountId,
    /// Meta's id.
    pub(crate) comment_id: String,
    /// The comment it answers.
    pub(crate) parent_id: Option<String>,
    /// Instagram: the media.
    pub(crate) media_id: Option<String>,
    /// Facebook: the post.
    pub(crate) post_id: Option<String>,
    /// Who wrote it.
    pub(crate) author_id: Option<String>,
    /// Their handle or name.
    pub(crate) author_username: Option<String>,
    /// The account itself.
    pub(crate) author_self: bool,
    /// The text as it is now.
    pub(crate) text: Option<String>,
    /// The picture.
    pub(crate) photo: Option<String>,
    /// The picture, sticker or film, with its link.
    pub(crate) attachment: Option<Value>,
    /// Written during a live video.
    pub(crate) live: bool,
    /// The ad it stands under.
    pub(crate) ad: Option<Value>,
    /// FEED, REELS, …
    pub(crate) media_product_type: Option<String>,
    /// When it was written.
    pub(crate) created_at: Timestamp,
    /// `created_at` is that of a delivery.
    pub(crate) time_approximate: bool,
    /// When the shown text was written, where it was changed.
    pub(crate) edited_at: Option<Timestamp>,
    /// When it was removed.
    pub(crate) deleted_at: Option<Timestamp>,
    /// Hidden now.
    pub(crate) hidden: bool,
    /// Since when.
    pub(crate) hidden_at: Option<Timestamp>,
    /// Neither its creation nor an edit is known.
    pub(crate) stub: bool,
}

/// Whether the content is erased; as for messages, a withdrawn removal erases too.
fn is_erased(facts: &[RowFact]) -> bool {
    facts.iter().any(|fact| fact.kind == Kind::CommentDeleted)
}

/// The row of one comment; `None` when nothing holds any more.
pub(crate) fn comment_row(id: &str, facts: &[RowFact]) -> Option<CommentRow> {
    let erased = is_erased(facts);
    let all: Vec<(&RowFact, &Statement, &Comment)> = by_precedence(facts)
        .into_iter()
        .filter_map(|(fact, statement)| Some((fact, statement, body(&statement.fact)?)))
        .collect();
    let created = all.iter().find(|(fact, ..)| fact.kind == Kind::CommentCreated);
    let edits = || all.iter().filter(|(fact, ..)| fact.kind == Kind::CommentEdited);
    let edited = edits().max_by_key(|(fact, ..)| fact.moment());
    let first = all.iter().min_by_key(|(fact, ..)| fact.moment())?;
    // The creation goes first, then the latest edit, then the others.
    let ranked: Vec<&(&RowFact, &Statement, &Comment)> =
        created.into_iter().chain(edited).chain(all.iter()).collect();
    let find = |field: fn(&Comment) -> Option<String>| {
        ranked.iter().find_map(|(.., comment)| field(comment))
    };
    let (created_at, time_approximate) = match created {
        Some((fact, statement, _)) => (fact.time, statement.time_approximate),
        None => ranked
            .iter()
            .find_map(|(.., comment)| comment.created_at)
            .map_or((first.0.time, true), |time| (time, false)),
    };
    // The latest edit that has a text; before any, the creation.
    let text = edits()
        .filter(|(.., comment)| comment.text.is_some())
        .max_by_key(|(fact, ..)| fact.moment())
        .or(created)
        .and_then(|(.., comment)| comment.text.clone());
    // The latest edit that has a file; before any, the creation. Links expire.
    let mut by_age: Vec<&(&RowFact, &Statement, &Comment)> = edits().collect();
    by_age.sort_by_key(|(fact, ..)| std::cmp::Reverse(fact.moment()));
    by_age.extend(&ranked);
    let hiding = all
        .iter()
        .filter(|(fact, ..)| matches!(fact.kind, Kind::CommentHidden | Kind::CommentUnhidden))
        .max_by_key(|(fact, ..)| fact.moment());
    let hidden = hiding.is_some_and(|(fact, ..)| fact.kind == Kind::CommentHidden);
    let statement = created.map_or(first.1, |(_, statement, _)| *statement);
    Some(CommentRow {
        id: id.to_owned(),
        channel: statement.channel,
        account_id: statement.account_id.clone(),
        comment_id: first.2.comment_id.clone(),
        parent_id: find(|comment| comment.parent_id.clone()),
        media_id: find(|comment| comment.media_id.clone()),
        post_id: find(|comment| comment.post_id.clone()),
        author_id: find(|comment| comment.author.id.clone()),
        author_username: find(|comment| comment.author.username.clone()),
        author_self: ranked.iter().any(|(.., comment)| comment.author.is_self == Some(true)),
        text: if erased { None } else { text },
        photo: if erased { None } else { first_of(&by_age, |comment| comment.photo.clone()) },
        attachment: if erased { None } else { first_of(&by_age, attachment) }
            .and_then(|file| serde_json::to_value(file).ok()),
        live: ranked.iter().any(|(.., comment)| comment.live == Some(true)),
        ad: ranked
            .iter()
            .find_map(|(.., comment)| comment.ad.as_ref())
            .and_then(|ad| serde_json::to_value(ad).ok()),
        media_product_type: find(|comment| comment.media_product_type.clone()),
        created_at,
        time_approximate,
        edited_at: edited.map(|(fact, ..)| fact.time),
        deleted_at: all
            .iter()
            .filter(|(fact, ..)| fact.kind == Kind::CommentDeleted)
            .map(|(fact, ..)| fact.time)
            .min(),
        hidden,
        hidden_at: hiding.filter(|_| hidden).map(|(fact, ..)| fact.time),
        stub: created.is_none() && edited.is_none(),
    })
}

/// What the first of some facts has that has it.
fn first_of<T>(
    facts: &[&(&RowFact, &Statement, &Comment)],
    find: impl Fn(&Comment) -> Option<T>,
) -> Option<T> {
    facts.iter().find_map(|(.., comment)| find(comment))
}

/// Events of earlier releases name a picture only by its link.
fn attachment(comment: &Comment) -> Option<Attachment> {
    comment.attachment.clone().or_else(|| {
        let url = comment.photo.clone()?;
        Some(Attachment { kind: "image".to_owned(), url: Some(url), ..Attachment::default() })
    })
}

/// The facts of a removed comment that still have content, without it.
pub(crate) fn scrubbed(facts: &[RowFact]) -> Vec<RowFact> {
    if !is_erased(facts) {
        return Vec::new();
    }
    facts
        .iter()
        .filter_map(|fact| {
            let mut statement = fact.statement.clone()?;
            let comment = body_mut(&mut statement.fact)?;
            if comment.text.is_none() && comment.photo.is_none() && comment.attachment.is_none() {
                return None;
            }
            comment.text = None;
            comment.photo = None;
            comment.attachment = None;
            Some(RowFact { statement: Some(statement), ..fact.clone() })
        })
        .collect()
}

const fn body(fact: &Fact) -> Option<&Comment> {
    match fact {
        Fact::CommentCreated(comment)
        | Fact::CommentEdited(comment)
        | Fact::CommentDeleted(comment)
        | Fact::CommentHidden(comment)
        | Fact::CommentUnhidden(comment) => Some(comment),
        _ => None,
    }
}

const fn body_mut(fact: &mut Fact) -> Option<&mut Comment> {
    match fact {
        Fact::CommentCreated(comment)
        | Fact::CommentEdited(comment)
        | Fact::CommentDeleted(comment)
        | Fact::CommentHidden(comment)
        | Fact::CommentUnhidden(comment) => Some(comment),
        _ => None,
    }
}
