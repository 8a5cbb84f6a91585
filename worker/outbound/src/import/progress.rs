//! ◆ Pure: how far an import has come.

use serde::{Deserialize, Serialize};

/// Reasons kept of conversations that could not be imported; the count goes on.
const REASONS_MAX: usize = 20;

/// How far an import has come; at its end, its result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Conversations imported.
    pub(super) synced: u64,
    /// Conversations that could not be.
    pub(super) failed: u64,
    /// Messages they held.
    pub(super) messages: u64,
    /// Why some could not be: Meta's id of the thread and a word.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) failures: Vec<(String, String)>,
    /// Where the next page begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cursor: Option<String>,
    /// Pages that failed in a row.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) tries: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Progress {
    /// Counts a conversation that was imported, with its messages.
    pub(super) fn count(&mut self, messages: u64) {
        self.synced += 1;
        self.messages += messages;
    }

    /// Counts a conversation that could not be, and keeps why.
    pub(super) fn count_failure(&mut self, thread: &str, reason: &str) {
        self.failed += 1;
        if self.failures.len() < REASONS_MAX {
            self.failures.push((thread.to_owned(), reason.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_survives_its_row() {
        let progress =
            Progress { synced: 3, cursor: Some("c".to_owned()), tries: 2, ..Progress::default() };
        let stored = serde_json::to_value(&progress).unwrap();
        assert_eq!(serde_json::from_value::<Progress>(stored).unwrap(), progress);
    }
}
