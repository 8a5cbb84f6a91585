//! ◆ Pure: what a ledger learns from the part of the log that it does not know.

use std::collections::{BTreeMap, HashMap, HashSet};

use schemas::Timestamp;

use super::entry::Batch;
use crate::decide::{self, LoggedAttempt};
use crate::state::PartState;

/// A part: the identity of its command, and its number.
pub(crate) type PartKey = (String, i32);

/// A message of the log and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) shard: u32,
    pub(crate) batch: Batch,
}

/// A part as the ledger has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) state: PartState,
    pub(crate) attempt: u32,
    /// When the ledger accepted the command.
    pub(crate) accepted_at: Timestamp,
}

/// What is learnt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Learnt {
    /// Parts that may have been sent; of commands that are not here yet, too.
    pub(crate) recalled: BTreeMap<PartKey, LoggedAttempt>,
    /// Parts that have ended otherwise; a later proof that they were sent counts.
    pub(crate) doubted: BTreeMap<PartKey, LoggedAttempt>,
    /// The ledger was put back: more is missing than one claim that died before its commit can leave behind.
    pub(crate) put_back: bool,
}

/// The attempts of a gap by part. `given_up`: batches of which this process knows that nothing was asked.
pub(crate) fn merge(
    gap: &[Placed],
    given_up: &HashSet<String>,
) -> BTreeMap<PartKey, LoggedAttempt> {
    let mut merged: BTreeMap<PartKey, LoggedAttempt> = BTreeMap::new();
    let made = gap.iter().filter(|placed| !given_up.contains(&placed.batch.batch));
    for entry in made.flat_map(|placed| &placed.batch.attempts) {
        let one = LoggedAttempt {
            attempt: entry.attempt,
            first_at: entry.started_at,
            started_at: entry.started_at,
            deadline: entry.deadline,
        };
        merged
            .entry((entry.identity.clone(), entry.n))
            .and_modify(|all| {
                all.first_at = all.first_at.min(one.first_at);
                all.deadline = all.deadline.max(one.deadline);
                all.started_at = all.started_at.max(one.started_at);
                all.attempt = all.attempt.max(one.attempt);
            })
            .or_insert(one);
    }
    merged
}

/// Compares a gap with the ledger.
pub(crate) fn learn(
    gap: &[Placed],
    given_up: &HashSet<String>,
    ledger: &HashMap<PartKey, Known>,
) -> Learnt {
    let mut learnt = Learnt { put_back: several_claims(gap, given_up), ..Learnt::default() };
    for (key, logged) in merge(gap, given_up) {
        let Some(known) = ledger.get(&key) else {
            learnt.put_back = true;
            learnt.recalled.insert(key, logged);
            continue;
        };
        learnt.put_back |= logged.first_at < known.accepted_at;
        if decide::is_recalled(known.state, known.attempt, logged.attempt) {
            learnt.recalled.insert(key, logged);
        } else if known.attempt < logged.attempt && known.state != PartState::Sent {
            learnt.doubted.insert(key, logged);
        }
    }
    learnt
}

/// A claim that dies before its commit leaves one message in a shard, for the next claim is refused until it is learnt.
fn several_claims(gap: &[Placed], given_up: &HashSet<String>) -> bool {
    let mut seen = HashSet::new();
    gap.iter()
        .filter(|placed| !given_up.contains(&placed.batch.batch))
        .any(|placed| !seen.insert(placed.shard))
}

#[cfg(test)]
mod tests {
    use super::super::entry::Entry;
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_795_000_000_000 + seconds * 1000)
    }

    fn placed(shard: u32, batch: &str, attempts: &[(&str, u32, i64)]) -> Placed {
        let attempts = attempts
            .iter()
            .map(|(identity, attempt, second)| Entry {
                identity: (*identity).to_owned(),
                n: 0,
                attempt: *attempt,
                started_at: at(*second),
                deadline: at(*second + 20),
            })
            .collect();
        Placed { shard, batch: Batch::new("w", batch, attempts) }
    }

    fn known(state: PartState, attempt: u32, accepted: i64) -> Known {
        Known { state, attempt, accepted_at: at(accepted) }
    }

    fn learnt(gap: &[Placed], ledger: &[(&str, Known)]) -> Learnt {
        let ledger =
            ledger.iter().map(|(identity, known)| (((*identity).to_owned(), 0), *known)).collect();
        learn(gap, &HashSet::new(), &ledger)
    }

    #[test]
    fn attempts_the_ledger_does_not_know_may_have_been_made() {
        let gap = [placed(1, "w-1", &[("a", 1, 10), ("b", 2, 10), ("c", 1, 10), ("d", 1, 10)])];
        let ledger = [
            ("a", known(PartState::Planned, 0, 5)),
            ("b", known(PartState::Sending, 1, 5)),
            ("c", known(PartState::Sending, 1, 5)),
            ("d", known(PartState::Sent, 0, 5)),
        ];
        let learnt = learnt(&gap, &ledger);
        let recalled: Vec<&str> = learnt.recalled.keys().map(|(id, _)| id.as_str()).collect();
        assert_eq!(recalled, ["a", "b"]);
        assert!(learnt.doubted.is_empty() && !learnt.put_back);
    }

    #[test]
    fn one_claim_that_died_is_no_ledger_put_back_and_more_is() {
        let one = placed(1, "w-1", &[("a", 1, 10)]);
        let two = placed(1, "w-2", &[("a", 2, 40)]);
        let ledger = [("a", known(PartState::Planned, 0, 5))];
        assert!(!learnt(std::slice::from_ref(&one), &ledger).put_back);
        assert!(!learnt(&[one.clone(), placed(2, "w-1", &[("a", 1, 10)])], &ledger).put_back);
        let several = learnt(&[one.clone(), two], &ledger);
        assert!(several.put_back);
        let logged = &several.recalled[&("a".to_owned(), 0)];
        assert_eq!((logged.attempt, logged.first_at, logged.deadline), (2, at(10), at(60)));
        assert!(learnt(std::slice::from_ref(&one), &[]).put_back, "the command is not here");
        let younger = [("a", known(PartState::Planned, 0, 11))];
        assert!(learnt(&[one], &younger).put_back, "attempted before it was accepted");
    }

    #[test]
    fn what_was_given_up_was_not_made_and_what_has_ended_is_doubted() {
        let gap = [placed(1, "w-1", &[("a", 1, 10)]), placed(1, "w-2", &[("b", 1, 11)])];
        let ledger: HashMap<PartKey, Known> = [
            (("a".to_owned(), 0), known(PartState::Planned, 0, 5)),
            (("b".to_owned(), 0), known(PartState::Failed, 0, 5)),
        ]
        .into();
        let learnt = learn(&gap, &["w-1".to_owned()].into(), &ledger);
        assert!(learnt.recalled.is_empty() && !learnt.put_back);
        assert_eq!(learnt.doubted.len(), 1);
    }
}
