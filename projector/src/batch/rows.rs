//! ◆ Pure: from kept facts to the rows that follow from them. A fold that panics harms its own row only.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::fold::comment::{self, CommentRow, comment_row};
use crate::fold::conversation::Identity;
use crate::fold::insight::{InsightRow, insight_row};
use crate::fold::label::{LabelRow, label_row};
use crate::fold::mention::{MentionRow, mention_row};
use crate::fold::message::{self, MessageRow, message_row};
use crate::fold::note::{NoteRow, note_row};
use crate::fold::post::{PostRow, post_row};
use crate::fold::reaction::{ReactionRow, reaction_row};
use crate::fold::receipt::{ReceiptRow, receipt_row};
use crate::fold::{Class, RowFact};

use super::summary::Weight;
use super::touched::TouchedRows;

/// The rows of one table that a batch changes.
#[derive(Debug)]
pub(crate) struct Changed<R> {
    /// Rows to write, by id.
    pub(crate) put: Vec<R>,
    /// Ids of rows that follow from nothing any more.
    pub(crate) drop: Vec<String>,
}

impl<R> Default for Changed<R> {
    fn default() -> Self {
        Self { put: Vec::new(), drop: Vec::new() }
    }
}

impl<R> Changed<R> {
    /// The ids of all of them; `id` finds that of a row.
    pub(crate) fn ids<'a>(&'a self, id: impl Fn(&'a R) -> &'a str) -> Vec<&'a str> {
        self.put.iter().map(id).chain(self.drop.iter().map(String::as_str)).collect()
    }

    fn add(&mut self, entity: &str, row: Option<R>) {
        match row {
            Some(row) => self.put.push(row),
            None => self.drop.push(entity.to_owned()),
        }
    }
}

/// The rows that follow from the facts of the touched entities, without conversations.
#[derive(Debug, Default)]
pub(crate) struct FoldedRows {
    pub(crate) messages: Changed<MessageRow>,
    pub(crate) receipts: Changed<ReceiptRow>,
    pub(crate) comments: Changed<CommentRow>,
    pub(crate) reactions: Changed<ReactionRow>,
    pub(crate) posts: Changed<PostRow>,
    pub(crate) mentions: Changed<MentionRow>,
    pub(crate) insights: Changed<InsightRow>,
    pub(crate) labels: Changed<LabelRow>,
    pub(crate) notes: Changed<NoteRow>,
    /// Facts that lose their content.
    pub(crate) scrubbed: Vec<RowFact>,
    /// Entities whose fold failed; their rows stay as they are.
    pub(crate) failed: BTreeSet<String>,
}

impl FoldedRows {
    /// Whose the conversations with visible messages are.
    pub(crate) fn identities(&self) -> BTreeMap<String, Identity> {
        let shown = self.messages.put.iter().filter(|row| !row.hidden);
        shown
            .filter_map(|row| {
                let identity = Identity {
                    channel: row.channel,
                    account_id: row.account_id.clone(),
                    contact_id: row.contact_id.clone()?,
                };
                Some((row.conversation_id.as_ref()?.to_string(), identity))
            })
            .collect()
    }
}

impl From<&MessageRow> for Weight {
    fn from(row: &MessageRow) -> Self {
        Self {
            id: row.id.clone(),
            conversation_id: row.conversation_id.as_ref().map(ToString::to_string),
            sent_at: row.sent_at,
            hidden: row.hidden,
            counts_unread: row.counts_unread,
            opens_window: row.opens_window,
        }
    }
}

/// A row of any table, or its absence.
enum Folded {
    Message(Option<MessageRow>, Vec<RowFact>),
    Comment(Option<CommentRow>, Vec<RowFact>),
    Receipt(Option<ReceiptRow>),
    Reaction(Option<ReactionRow>),
    Post(Option<PostRow>),
    Mention(Option<MentionRow>),
    Insight(Option<InsightRow>),
    Label(Option<LabelRow>),
    Note(Option<NoteRow>),
    /// Folded elsewhere, or no row at all.
    Nothing,
}

/// Folds every touched row from all its facts.
pub(crate) fn fold_rows(touched: &TouchedRows) -> FoldedRows {
    let mut rows = FoldedRows::default();
    for (entity, facts) in touched.iter() {
        match catch_unwind(AssertUnwindSafe(|| fold_one(entity, facts))) {
            Ok(folded) => rows.add(entity, folded),
            Err(_) => {
                rows.failed.insert(entity.to_owned());
            }
        }
    }
    rows
}

fn fold_one(entity: &str, facts: &[RowFact]) -> Folded {
    match Class::of(entity) {
        Some(Class::Message) => {
            Folded::Message(message_row(entity, facts), message::scrubbed(facts))
        }
        Some(Class::Comment) => {
            Folded::Comment(comment_row(entity, facts), comment::scrubbed(facts))
        }
        Some(Class::Receipt) => Folded::Receipt(receipt_row(entity, facts)),
        Some(Class::Reaction) => Folded::Reaction(reaction_row(entity, facts)),
        Some(Class::Post) => Folded::Post(post_row(entity, facts)),
        Some(Class::Mention) => Folded::Mention(mention_row(entity, facts)),
        Some(Class::Insight) => Folded::Insight(insight_row(entity, facts)),
        Some(Class::Label) => Folded::Label(label_row(entity, facts)),
        Some(Class::Note) => Folded::Note(note_row(entity, facts)),
        Some(Class::Conversation | Class::Nothing) | None => Folded::Nothing,
    }
}

impl FoldedRows {
    fn add(&mut self, entity: &str, folded: Folded) {
        match folded {
            Folded::Message(row, scrubbed) => {
                self.messages.add(entity, row);
                self.scrubbed.extend(scrubbed);
            }
            Folded::Comment(row, scrubbed) => {
                self.comments.add(entity, row);
                self.scrubbed.extend(scrubbed);
            }
            Folded::Receipt(row) => self.receipts.add(entity, row),
            Folded::Reaction(row) => self.reactions.add(entity, row),
            Folded::Post(row) => self.posts.add(entity, row),
            Folded::Mention(row) => self.mentions.add(entity, row),
            Folded::Insight(row) => self.insights.add(entity, row),
            Folded::Label(row) => self.labels.add(entity, row),
            Folded::Note(row) => self.notes.add(entity, row),
            Folded::Nothing => {}
        }
    }
}
