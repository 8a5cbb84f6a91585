//! ◆ Pure: from kept facts to the rows that follow from them. A fold that panics harms its own row only.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::fold::comment::{self, CommentRow, comment_row};
use crate::fold::conversation::Identity;
use crate::fold::insight::{InsightRow, insight_row};
use crate::fold::mention::{MentionRow, mention_row};
use crate::fold::message::{self, MessageRow, message_row};
use crate::fold::post::{PostRow, post_row};
use crate::fold::reaction::{ReactionRow, reaction_row};
use crate::fold::receipt::{ReceiptRow, receipt_row};
use crate::fold::{Class, RowFact};

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
    /// Facts that lose their content.
    pub(crate) scrubbed: Vec<RowFact>,
    /// Entities whose fold failed; their rows stay as they are.
    pub(crate) failed: BTreeSet<String>,
}

impl FoldedRows {
    /// The conversations of all message rows, visible or not.
    pub(crate) fn conversations(&self) -> BTreeSet<String> {
        let ids = self.messages.put.iter().filter_map(|row| row.conversation_id.as_ref());
        ids.map(ToString::to_string).collect()
    }

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

/// A row of any table, or its absence.
enum Folded {
    Message(Option<MessageRow>, Vec<RowFact>),
    Comment(Option<CommentRow>, Vec<RowFact>),
    Receipt(Option<ReceiptRow>),
    Reaction(Option<ReactionRow>),
    Post(Option<PostRow>),
    Mention(Option<MentionRow>),
    Insight(Option<InsightRow>),
    /// Folded elsewhere, or no row at all.
    Nothing,
}

/// Folds every touched entity from `facts`: all that are kept of them.
pub(crate) fn fold_rows(touched: &BTreeSet<String>, facts: Vec<RowFact>) -> FoldedRows {
    let mut by_entity: BTreeMap<&str, Vec<RowFact>> =
        touched.iter().map(|entity| (entity.as_str(), Vec::new())).collect();
    for fact in facts {
        if let Some(list) = by_entity.get_mut(fact.entity.as_str()) {
            list.push(fact);
        }
    }
    let mut rows = FoldedRows::default();
    for (entity, facts) in by_entity {
        match catch_unwind(AssertUnwindSafe(|| fold_one(entity, &facts))) {
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
            Folded::Nothing => {}
        }
    }
}
