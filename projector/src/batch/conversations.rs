//! ◆ Pure: which conversations a batch touches, which of their rows are made anew, and what they show of their messages then.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use schemas::Timestamp;

use super::summary::{Moves, ReadUntil, Summary, Weight};
use crate::fold::RowFact;
use crate::fold::conversation::{ConversationRow, Identity, conversation_row};

/// The row of a conversation before the batch.
#[derive(Clone, Debug)]
pub(crate) struct ConversationBefore {
    /// Whose it is.
    pub(crate) identity: Identity,
    /// The mark of reading.
    pub(crate) read_until: Option<Timestamp>,
    /// When it was last used, as far as no message says so.
    pub(crate) interaction_at: Option<Timestamp>,
    /// Known beyond its messages.
    pub(crate) known: bool,
    /// What it shows of its messages.
    pub(crate) summary: Summary,
}

/// What is there of the touched conversations before the batch.
#[derive(Debug, Default)]
pub(crate) struct Existing {
    /// Those that have a row.
    pub(crate) rows: BTreeMap<String, ConversationBefore>,
    /// Those that have visible messages but no row, since computing it failed.
    pub(crate) without_row: BTreeSet<String>,
}

/// The conversations that a batch touches.
pub(crate) struct TouchedConversations {
    /// Those that a fact of their own arrived for.
    acted: BTreeSet<String>,
    /// All of them, with what changes in their messages.
    all: BTreeMap<String, Moves>,
    existing: Existing,
}

/// What an existing row is to show of its messages.
#[derive(Debug)]
pub(crate) struct Summed {
    pub(crate) id: String,
    pub(crate) summary: Summary,
    /// When the conversation was last used.
    pub(crate) last_at: Option<Timestamp>,
}

/// What is written to table `conversations`.
#[derive(Debug, Default)]
pub(crate) struct ConversationRows {
    /// Rows made anew.
    pub(crate) put: Vec<(ConversationRow, Summary)>,
    /// Rows of which only what they show of their messages changes.
    pub(crate) summed: Vec<Summed>,
    /// Rows for which all messages have to be looked at, once these are written.
    pub(crate) recount: Vec<String>,
    /// Rows without a visible message that are not known otherwise.
    pub(crate) drop: Vec<String>,
    /// Those whose fold failed.
    pub(crate) failed: Vec<String>,
}

impl TouchedConversations {
    /// `before`, `now`: the messages that the batch changes.
    pub(crate) fn new(acted: BTreeSet<String>, before: Vec<Weight>, now: Vec<Weight>) -> Self {
        let none = |id: &String| (id.clone(), Moves::default());
        let mut all: BTreeMap<String, Moves> = acted.iter().map(none).collect();
        for message in before {
            if let Some(id) = &message.conversation_id {
                all.entry(id.clone()).or_default().before.push(message);
            }
        }
        for message in now {
            if let Some(id) = &message.conversation_id {
                all.entry(id.clone()).or_default().now.push(message);
            }
        }
        Self { acted, all, existing: Existing::default() }
    }

    /// All of them, in order.
    pub(crate) fn ids(&self) -> Vec<&str> {
        self.all.keys().map(String::as_str).collect()
    }

    /// Says what is there of them.
    pub(crate) fn exist(&mut self, existing: Existing) {
        self.existing = existing;
    }

    /// Those whose row is made anew. A conversation whose own facts did not change and that has a row keeps it.
    pub(crate) fn anew(&self) -> Vec<&str> {
        let rows = &self.existing.rows;
        let anew = |id: &&String| self.acted.contains(*id) || !rows.contains_key(*id);
        self.all.keys().filter(anew).map(String::as_str).collect()
    }

    /// What is to be written.
    ///
    /// `latest`: the latest facts of each slot of those made anew. `arrived`: the facts of the batch. `by_messages`: whose the
    /// conversations with visible messages are. A conversation that none of them names the person of gets no row.
    /// `count_all`: all messages are looked at in any case.
    pub(crate) fn rows<'a>(
        &self,
        latest: &'a [RowFact],
        arrived: impl Iterator<Item = &'a RowFact>,
        by_messages: &BTreeMap<String, Identity>,
        count_all: bool,
    ) -> ConversationRows {
        let mut identities = BTreeMap::new();
        for fact in latest.iter().chain(arrived).filter(|fact| self.acted.contains(&fact.entity)) {
            if let Some(identity) = fact.statement.as_ref().and_then(Identity::of) {
                identities.insert(fact.entity.clone(), identity);
            }
        }
        let mut facts: BTreeMap<&str, Vec<RowFact>> = BTreeMap::new();
        for fact in latest {
            facts.entry(&fact.entity).or_default().push(fact.clone());
        }
        let (mut rows, mut made) = (ConversationRows::default(), BTreeMap::new());
        for id in self.anew() {
            let before = self.existing.rows.get(id).map(|before| &before.identity);
            let identity = identities.get(id).or_else(|| by_messages.get(id)).or(before);
            let Some(identity) = identity else { continue };
            let facts = facts.get(id).map_or(&[][..], Vec::as_slice);
            let fold = AssertUnwindSafe(|| conversation_row(id, identity.clone(), facts));
            match catch_unwind(fold) {
                Ok(row) => {
                    made.insert(id, row);
                }
                Err(_) => rows.failed.push(id.to_owned()),
            }
        }
        for (id, moves) in &self.all {
            self.sum_up(id, moves, made.remove(id.as_str()), count_all, &mut rows);
        }
        rows
    }

    fn sum_up(
        &self,
        id: &str,
        moves: &Moves,
        row: Option<ConversationRow>,
        count_all: bool,
        rows: &mut ConversationRows,
    ) {
        let before = self.existing.rows.get(id);
        let (read, known, interaction_at) = match (&row, before) {
            (Some(row), _) => (row.read_until, row.known, row.interaction_at),
            (None, Some(before)) => (before.read_until, before.known, before.interaction_at),
            (None, None) => return,
        };
        let nothing = Summary::default();
        let shown = before.map_or(&nothing, |before| &before.summary);
        let marks =
            ReadUntil { before: before.map_or(read, |before| before.read_until), now: read };
        let count = count_all || self.existing.without_row.contains(id);
        let summary = if count { None } else { shown.moved(marks, moves) };
        let Some(summary) = summary else {
            rows.recount.push(id.to_owned());
            rows.put.extend(row.map(|row| (row, shown.clone())));
            return;
        };
        if summary.last.is_none() && !known {
            rows.drop.extend(before.map(|_| id.to_owned()));
        } else if let Some(row) = row {
            rows.put.push((row, summary));
        } else if summary != *shown {
            let last_at = summary.last_at(interaction_at);
            rows.summed.push(Summed { id: id.to_owned(), summary, last_at });
        }
    }
}
