//! ◆ Pure: what a replay would do or has done, in numbers; no content.

use std::collections::BTreeMap;

use schemas::{Kind, Timestamp};
use serde::{Deserialize, Serialize};

/// Examples of each verdict and kind.
const SAMPLES_MAX: usize = 3;

/// What becomes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was never published.
    Added,
    /// It is read differently: a revision.
    Changed,
    /// It is known as it is.
    Unchanged,
    /// It was withdrawn earlier and does not return.
    Refused,
    /// Its raw webhook does not give it any more.
    Withdrawn,
}

/// Events of one kind by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// See [`Verdict::Added`].
    pub added: u64,
    /// See [`Verdict::Changed`].
    pub changed: u64,
    /// See [`Verdict::Unchanged`].
    pub unchanged: u64,
    /// See [`Verdict::Refused`].
    pub refused: u64,
    /// See [`Verdict::Withdrawn`].
    pub withdrawn: u64,
}

/// The numbers of a replay, planned or done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Raw webhooks read.
    pub raw_webhooks: u64,
    /// Events by kind and verdict.
    pub kinds: BTreeMap<String, Counts>,
    /// Sender-less items that come into the waiting room.
    pub waiting: u64,
    /// Events that stay behind parked work: redrive first, then replay again.
    pub held: u64,
    /// Items of accounts that are not connected any more: their facts stay as they are.
    pub kept: u64,
    /// Raw webhooks that the live normaliser has not come to yet: they are its work.
    pub left_to_live: u64,
    /// Facts that this slice does not give any more, but that a raw webhook after it may: they stay.
    pub not_withdrawn: u64,
    /// Raw webhooks that cannot be read.
    pub unreadable: u64,
    /// Raw webhooks of which something cannot be carried out.
    pub failed: u64,
    /// Events that went out again as they are stored.
    pub again: u64,
}

impl Tally {
    /// Counts one event.
    pub fn count(&mut self, kind: &str, verdict: Verdict) {
        let counts = self.kinds.entry(kind.to_owned()).or_default();
        let number = match verdict {
            Verdict::Added => &mut counts.added,
            Verdict::Changed => &mut counts.changed,
            Verdict::Unchanged => &mut counts.unchanged,
            Verdict::Refused => &mut counts.refused,
            Verdict::Withdrawn => &mut counts.withdrawn,
        };
        *number += 1;
    }

    /// Over all kinds.
    pub fn total(&self) -> Counts {
        self.kinds.values().fold(Counts::default(), |all, one| Counts {
            added: all.added + one.added,
            changed: all.changed + one.changed,
            unchanged: all.unchanged + one.unchanged,
            refused: all.refused + one.refused,
            withdrawn: all.withdrawn + one.withdrawn,
        })
    }

    /// Whether something is left for a person to look at.
    pub const fn is_incomplete(&self) -> bool {
        self.held + self.unreadable + self.failed > 0
    }
}

/// One affected event, by ids and names of fields only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// What becomes of it.
    pub verdict: Verdict,
    /// Its kind.
    pub kind: String,
    /// Its id.
    pub event_id: String,
    /// The raw webhook that gives it.
    pub raw_seq: Option<u64>,
    /// Of a changed one: the names of the fields that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
}

/// A few examples of each verdict and kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Samples(BTreeMap<(Verdict, &'static str), Vec<Sample>>);

impl Samples {
    /// Keeps it where there are not enough yet.
    pub(super) fn add(
        &mut self,
        verdict: Verdict,
        kind: Kind,
        event_id: &str,
        raw_seq: Option<u64>,
    ) {
        let list = self.0.entry((verdict, kind.as_str())).or_default();
        if list.len() < SAMPLES_MAX {
            list.push(Sample {
                verdict,
                kind: kind.as_str().to_owned(),
                event_id: event_id.to_owned(),
                raw_seq,
                fields: Vec::new(),
            });
        }
    }

    /// All of them.
    pub(super) fn into_list(self) -> Vec<Sample> {
        self.0.into_values().flatten().collect()
    }
}

/// What a replay would do.
#[derive(Clone, Debug, Serialize)]
pub struct ReplayPlan {
    /// First and last raw webhook of the slice; nothing where it is empty.
    pub slice: Option<(u64, u64)>,
    /// When the first and the last raw webhook came.
    pub span: Option<(Timestamp, Timestamp)>,
    /// The numbers.
    #[serde(flatten)]
    pub tally: Tally,
    /// Accounts that something changes for.
    pub accounts: u64,
    /// Conversations that something changes for.
    pub conversations: u64,
    /// How long applying it is expected to take.
    pub expected_seconds: u64,
    /// Examples without content.
    pub samples: Vec<Sample>,
}

/// Names of the fields in which two readings of an event differ; never what they say.
pub(super) fn differing_fields(one: &serde_json::Value, other: &serde_json::Value) -> Vec<String> {
    let empty = serde_json::Map::new();
    let data = |event: &serde_json::Value| event["data"].as_object().unwrap_or(&empty).clone();
    let (was, is) = (data(one), data(other));
    let mut names: Vec<String> = was
        .keys()
        .chain(is.keys().filter(|key| !was.contains_key(*key)))
        .filter(|key| {
            *key != "origin" && *key != "sender_resolution" && was.get(*key) != is.get(*key)
        })
        .cloned()
        .collect();
    names.extend(
        ["type", "time"].into_iter().filter(|key| one[key] != other[key]).map(str::to_owned),
    );
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_that_differ_are_named_and_never_quoted() {
        let one = json!({"type": "a", "time": "t", "data": {"text": "secret", "same": 1, "origin": {"revision": 0}}});
        let other = json!({"type": "b", "time": "t", "data": {"text": "other", "same": 1, "new": 2, "origin": {"revision": 1}}});
        assert_eq!(differing_fields(&one, &other), ["new", "text", "type"]);
        assert!(differing_fields(&one, &one).is_empty());
    }

    #[test]
    fn counts_add_up_over_kinds() {
        let mut tally = Tally::default();
        tally.count("message.received", Verdict::Added);
        tally.count("message.read", Verdict::Added);
        tally.count("message.read", Verdict::Withdrawn);
        let total = tally.total();
        assert_eq!((total.added, total.withdrawn, total.unchanged), (2, 1, 0));
        assert!(!tally.is_incomplete());
        let back: Tally = serde_json::from_value(serde_json::to_value(&tally).unwrap()).unwrap();
        assert_eq!(back, tally);
    }
}
