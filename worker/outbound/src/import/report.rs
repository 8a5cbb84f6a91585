//! ◆ Pure: what an import reports.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Conversations named of those that were not imported; the counts go on.
pub(super) const NAMED_MAX: usize = 20;

/// What became of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Imported.
    Synced,
    /// Not imported, and why.
    Left(Reason),
}

/// Why a conversation is not imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nobody but the account takes part: there is nothing to import.
    OnlyAccount,
    /// The participants have no id that can be a person's.
    NoPerson,
    /// Several people take part.
    SeveralPeople,
    /// Graph returned no time.
    NoTime,
}

impl Reason {
    const ALL: [Self; 4] = [Self::OnlyAccount, Self::NoPerson, Self::SeveralPeople, Self::NoTime];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OnlyAccount => "only_account",
            Self::NoPerson => "no_person",
            Self::SeveralPeople => "several_people",
            Self::NoTime => "no_time",
        }
    }

    /// Nothing is missing: it is no failure.
    const fn is_skipped(self) -> bool {
        matches!(self, Self::OnlyAccount)
    }
}

impl Outcome {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Synced => "synced",
            Self::Left(reason) => reason.as_str(),
        }
    }
}

/// Conversations with one outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    /// As [`Outcome::as_str`].
    pub(super) outcome: String,
    pub(super) threads: u64,
    /// The messages they held.
    pub(super) messages: u64,
}

/// How far an import has come; at its end, its result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Report {
    /// Conversations imported.
    synced: u64,
    /// Conversations that could not be.
    failed: u64,
    /// Conversations in which there is nobody.
    skipped: u64,
    /// Messages that were readable in those imported.
    messages: u64,
    /// How many were not imported for which reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    reasons: BTreeMap<String, u64>,
    /// Some that were not: Meta's id of the thread and the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failures: Vec<(String, String)>,
}

impl Report {
    /// From conversations counted by outcome, and some of those that were left out.
    pub(super) fn of(counted: &[Counted], failures: Vec<(String, String)>) -> Self {
        let mut report = Self { failures, ..Self::default() };
        for one in counted {
            report.add(&one.outcome, one.threads, one.messages);
        }
        report
    }

    /// Counts one conversation.
    pub(super) fn count(&mut self, thread: &str, outcome: Outcome, messages: u64) {
        self.add(outcome.as_str(), 1, messages);
        if outcome != Outcome::Synced && self.failures.len() < NAMED_MAX {
            self.failures.push((thread.to_owned(), outcome.as_str().to_owned()));
        }
    }

    fn add(&mut self, outcome: &str, threads: u64, messages: u64) {
        if outcome == Outcome::Synced.as_str() {
            self.synced += threads;
            self.messages += messages;
            return;
        }
        let mut all = Reason::ALL.into_iter();
        match all.find(|reason| reason.as_str() == outcome).is_some_and(Reason::is_skipped) {
            true => self.skipped += threads,
            false => self.failed += threads,
        }
        *self.reasons.entry(outcome.to_owned()).or_default() += threads;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_counts_by_reason_and_names_some() {
        let counted = |outcome: &str, threads, messages| {
            let outcome = outcome.to_owned();
            Counted { outcome, threads, messages }
        };
        let rows = [
            counted("synced", 300, 900),
            counted("only_account", 2, 0),
            counted("several_people", 1, 0),
        ];
        let named = vec![("t_1".to_owned(), "only_account".to_owned())];
        let report = Report::of(&rows, named);
        assert_eq!(
            serde_json::to_value(&report).unwrap(),
            json!({"synced": 300, "failed": 1, "skipped": 2, "messages": 900,
                   "reasons": {"only_account": 2, "several_people": 1}, "failures": [["t_1", "only_account"]]})
        );
        let mut one = Report::default();
        one.count("t_1", Outcome::Synced, 3);
        assert_eq!(
            serde_json::to_value(&one).unwrap(),
            json!({"synced": 1, "failed": 0, "skipped": 0, "messages": 3})
        );
        one.count("t_2", Outcome::Left(Reason::NoTime), 0);
        assert_eq!((one.failed, one.failures.len()), (1, 1));
    }
}
