//! ◆ Pure: which conversations a batch touches, which of their rows are made anew, and how far their unread counts move.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::fold::RowFact;
use crate::fold::conversation::{ConversationRow, Identity, conversation_row};

/// By how much the number of unread messages of conversations moves, by conversation.
pub(crate) type UnreadMoves = BTreeMap<String, i64>;

/// The conversations that a batch touches.
pub(crate) struct TouchedConversations {
    /// Those that a fact of their own arrived for.
    acted: BTreeSet<String>,
    /// All of them: those acted on, and those with message rows that changed.
    all: BTreeSet<String>,
    /// Those that have a row, and whose they are.
    existing: BTreeMap<String, Identity>,
}

impl TouchedConversations {
    /// `with_messages`: the conversations that message rows of the batch belong to or belonged to before.
    pub(crate) fn new(acted: BTreeSet<String>, with_messages: BTreeSet<String>) -> Self {
        let all = acted.union(&with_messages).cloned().collect();
        Self { acted, all, existing: BTreeMap::new() }
    }

    /// All of them, in order.
    pub(crate) fn ids(&self) -> Vec<&str> {
        self.all.iter().map(String::as_str).collect()
    }

    /// Says which of them have a row.
    pub(crate) fn exist(&mut self, existing: BTreeMap<String, Identity>) {
        self.existing = existing;
    }

    /// Those whose row is made anew. A conversation whose own facts did not change and that has a row keeps it.
    pub(crate) fn anew(&self) -> Vec<&str> {
        let anew = |id: &&String| self.acted.contains(*id) || !self.existing.contains_key(*id);
        self.all.iter().filter(anew).map(String::as_str).collect()
    }

    /// The rows made anew, and the ids of those whose fold failed.
    ///
    /// `latest`: the latest facts of each slot. `arrived`: the facts of the batch. `by_messages`: whose the conversations with visible
    /// messages are. A conversation that none of them names the person of gets no row.
    pub(crate) fn rows(
        &self,
        latest: &[RowFact],
        arrived: &[RowFact],
        by_messages: &BTreeMap<String, Identity>,
    ) -> (Vec<ConversationRow>, Vec<String>) {
        let mut identities = by_messages.clone();
        for fact in latest.iter().chain(arrived).filter(|fact| self.acted.contains(&fact.entity)) {
            if let Some(identity) = fact.statement.as_ref().and_then(Identity::of) {
                identities.insert(fact.entity.clone(), identity);
            }
        }
        let mut facts: BTreeMap<&str, Vec<RowFact>> = BTreeMap::new();
        for fact in latest {
            facts.entry(&fact.entity).or_default().push(fact.clone());
        }
        let (mut rows, mut failed) = (Vec::new(), Vec::new());
        for id in self.anew() {
            let Some(identity) = identities.get(id).or_else(|| self.existing.get(id)) else {
                continue;
            };
            let facts = facts.get(id).map_or(&[][..], Vec::as_slice);
            let fold = AssertUnwindSafe(|| conversation_row(id, identity.clone(), facts));
            match catch_unwind(fold) {
                Ok(row) => rows.push(row),
                Err(_) => failed.push(id.to_owned()),
            }
        }
        (rows, failed)
    }

    /// By how much the unread count of each of [`ids`](Self::ids) moves; `None`: all its messages are to be counted, because the mark of
    /// reading may have moved or nothing was counted yet. Without `unread` all are counted.
    pub(crate) fn moves(&self, unread: Option<&UnreadMoves>) -> Vec<Option<i64>> {
        let counted = |id: &String| self.existing.contains_key(id) && !self.acted.contains(id);
        let moved = |id: &String| {
            unread.filter(|_| counted(id)).map(|unread| unread.get(id).copied().unwrap_or(0))
        };
        self.all.iter().map(moved).collect()
    }
}
