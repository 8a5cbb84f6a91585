//! ◆ Pure: one row per comment.

use schemas::facts::Comment;
use schemas::{AccountId, Channel, Fact, Kind, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::piece::{Piece, Said};

/// A row of `comments`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CommentRow {
    /// The entity.
    pub id: String,
    /// The channel.
    pub channel: Channel,
    /// The account.
    pub account_id: AccountId,
    /// Meta's id.
    pub comment_id: String,
    /// The comment it answers.
    pub parent_id: Option<String>,
    /// Instagram: the media.
    pub media_id: Option<String>,
    /// Facebook: the post.
    pub post_id: Option<String>,
    /// Who wrote it.
    pub author_id: Option<String>,
    /// Their handle or name.
    pub author_username: Option<String>,
    /// The account itself.
    pub author_self: bool,
    /// The text as it is now.
    pub text: Option<String>,
    /// The picture.
    pub photo: Option<String>,
    /// Written during a live video.
    pub live: bool,
    /// The ad it stands under.
    pub ad: Option<Value>,
    /// FEED, REELS, …
    pub media_product_type: Option<String>,
    /// When it was written.
    pub created_at: Timestamp,
    /// `created_at` is that of a delivery.
    pub time_approximate: bool,
    /// When the shown text was written, where it was changed.
    pub edited_at: Option<Timestamp>,
    /// When it was removed.
    pub deleted_at: Option<Timestamp>,
    /// Hidden now.
    pub hidden: bool,
    /// Since when.
    pub hidden_at: Option<Timestamp>,
    /// Neither its creation nor an edit is known.
    pub stub: bool,
}

/// Whether the content was erased by its removal; as for messages, a withdrawn removal erases too.
pub fn is_erased(pieces: &[Piece]) -> bool {
    pieces.iter().any(|piece| piece.kind == Kind::CommentDeleted)
}

/// The row of one comment; `None` when nothing holds any more.
pub fn comment_row(id: &str, pieces: &[Piece]) -> Option<CommentRow> {
    let erased = is_erased(pieces);
    let mut all: Vec<(&Piece, &Said, &Comment)> = pieces
        .iter()
        .filter_map(|piece| {
            let said = piece.said.as_ref()?;
            Some((piece, said, body(&said.fact)?))
        })
        .collect();
    all.sort_by(|a, b| b.0.precedence().cmp(&a.0.precedence()));
    let created = all.iter().find(|(piece, ..)| piece.kind == Kind::CommentCreated);
    let edits = || all.iter().filter(|(piece, ..)| piece.kind == Kind::CommentEdited);
    let edited = edits().max_by_key(|(piece, ..)| piece.moment());
    let first = all.iter().min_by_key(|(piece, ..)| piece.moment())?;
    // What the creation tells goes first, then the latest edit, then whatever else was said.
    let told: Vec<&(&Piece, &Said, &Comment)> =
        created.into_iter().chain(edited).chain(all.iter()).collect();
    let find = |field: fn(&Comment) -> Option<String>| {
        told.iter().find_map(|(.., comment)| field(comment))
    };
    let (created_at, time_approximate) = match created {
        Some((piece, said, _)) => (piece.time, said.time_approximate),
        None => told
            .iter()
            .find_map(|(.., comment)| comment.created_at)
            .map_or((first.0.time, true), |time| (time, false)),
    };
    // The latest edit that tells a text; before any, the creation.
    let text = edits()
        .filter(|(.., comment)| comment.text.is_some())
        .max_by_key(|(piece, ..)| piece.moment())
        .or(created)
        .and_then(|(.., comment)| comment.text.clone());
    let hiding = all
        .iter()
        .filter(|(piece, ..)| matches!(piece.kind, Kind::CommentHidden | Kind::CommentUnhidden))
        .max_by_key(|(piece, ..)| piece.moment());
    let hidden = hiding.is_some_and(|(piece, ..)| piece.kind == Kind::CommentHidden);
    let said = created.map_or(first.1, |(_, said, _)| *said);
    Some(CommentRow {
        id: id.to_owned(),
        channel: said.channel,
        account_id: said.account_id.clone(),
        comment_id: first.2.comment_id.clone(),
        parent_id: find(|comment| comment.parent_id.clone()),
        media_id: find(|comment| comment.media_id.clone()),
        post_id: find(|comment| comment.post_id.clone()),
        author_id: find(|comment| comment.author.id.clone()),
        author_username: find(|comment| comment.author.username.clone()),
        author_self: told.iter().any(|(.., comment)| comment.author.is_self == Some(true)),
        text: if erased { None } else { text },
        photo: if erased { None } else { find(|comment| comment.photo.clone()) },
        live: told.iter().any(|(.., comment)| comment.live == Some(true)),
        ad: told
            .iter()
            .find_map(|(.., comment)| comment.ad.as_ref())
            .and_then(|ad| serde_json::to_value(ad).ok()),
        media_product_type: find(|comment| comment.media_product_type.clone()),
        created_at,
        time_approximate,
        edited_at: edited.map(|(piece, ..)| piece.time),
        deleted_at: all
            .iter()
            .filter(|(piece, ..)| piece.kind == Kind::CommentDeleted)
            .map(|(piece, ..)| piece.time)
            .min(),
        hidden,
        hidden_at: hiding.filter(|_| hidden).map(|(piece, ..)| piece.time),
        stub: created.is_none() && edited.is_none(),
    })
}

/// The pieces of a removed comment that still have content, without it.
pub fn scrubbed(pieces: &[Piece]) -> Vec<Piece> {
    if !is_erased(pieces) {
        return Vec::new();
    }
    pieces
        .iter()
        .filter_map(|piece| {
            let mut said = piece.said.clone()?;
            let comment = body_mut(&mut said.fact)?;
            if comment.text.is_none() && comment.photo.is_none() {
                return None;
            }
            comment.text = None;
            comment.photo = None;
            Some(Piece { said: Some(said), ..piece.clone() })
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
