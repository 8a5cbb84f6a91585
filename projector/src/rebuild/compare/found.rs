//! ◆ Pure: how two models differ.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// A table on both sides.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Table {
    /// Its name.
    pub table: String,
    /// Rows that are.
    pub rows: i64,
    /// Rows that should be.
    pub rows_expected: i64,
    /// Digest of all rows that are, whatever their order.
    pub digest: String,
    /// Digest of all rows that should be.
    pub digest_expected: String,
    /// Rows that should be and are not.
    pub missing: i64,
    /// Rows that are and should not be.
    pub surplus: i64,
    /// Rows that say something else.
    pub changed: i64,
}

/// A row that differs.
#[derive(Clone, Debug, Serialize)]
pub struct Differing {
    /// The table.
    pub table: String,
    /// The row's key.
    pub id: String,
    /// The conversation it belongs to.
    pub conversation_id: Option<String>,
    /// `missing`, `surplus` or `changed`.
    pub how: String,
    /// Columns that differ.
    pub columns: Vec<String>,
    /// The events that made it.
    pub events: Vec<Maker>,
}

/// An event that made a row.
#[derive(Clone, Debug, Serialize)]
pub struct Maker {
    /// Its id.
    pub event_id: String,
    /// Its position in INBOX_EVENTS, where the worker published it.
    pub position: Option<i64>,
}

/// How two models differ.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Comparison {
    /// Every table.
    pub tables: Vec<Table>,
    /// How many rows differ.
    pub differing: i64,
    /// How many rows are and would not be: what going over to the other model would lose.
    pub lost: i64,
    /// Conversations with a row that differs, at most a few.
    pub conversations: Vec<String>,
    /// The rows, at most a few of each table.
    pub rows: Vec<Differing>,
    /// How many of them in each table.
    #[serde(skip)]
    pub(super) lost_in: BTreeMap<String, i64>,
}

impl Comparison {
    /// Sums up what was found in the tables.
    pub(super) fn sum_up(&mut self) {
        let differing = |table: &Table| table.missing + table.surplus + table.changed;
        self.differing = self.tables.iter().map(differing).sum();
        self.lost = self.lost_in.values().sum();
        let conversations: BTreeSet<&String> =
            self.rows.iter().filter_map(|row| row.conversation_id.as_ref()).collect();
        self.conversations = conversations.into_iter().cloned().collect();
    }

    /// What would be lost, for people.
    pub fn lost_by_table(&self) -> String {
        let parts = self.lost_in.iter().map(|(table, rows)| format!("{rows} {table}"));
        parts.collect::<Vec<_>>().join(", ")
    }
}
