//! ◆ Pure: which events of a batch are set aside.

use std::collections::{BTreeMap, BTreeSet};

use schemas::EventId;

use crate::fold::{Arrival, Changes, Known, RowFact, Statement};
use crate::read::{Incoming, Parked};

/// The cause of events whose rows could not be computed.
pub(crate) const FOLD_FAILED: &str = "fold_failed";

/// A batch, sorted into what can be absorbed and what is set aside.
#[derive(Debug, Default)]
pub(crate) struct Sorted {
    /// Events to absorb.
    pub(crate) arrivals: Vec<Arrival>,
    /// Events that could not be read.
    pub(crate) unreadable: Vec<Parked>,
    /// The events of `arrivals` as they would be set aside.
    origins: BTreeMap<EventId, Parked>,
}

/// Sorts a batch.
pub(crate) fn sort(batch: Vec<Incoming>) -> Sorted {
    let mut sorted = Sorted::default();
    for Incoming { seq, channel, account_id, outcome } in batch {
        match outcome {
            Ok((arrival, kind)) => {
                let event_id = arrival.event_id().clone();
                let detail = "computing the row failed; the row keeps what it showed before";
                let parked = Parked {
                    seq,
                    event_id: Some(event_id.to_string()),
                    kind: Some(kind.to_string()),
                    channel,
                    account_id,
                    cause: FOLD_FAILED,
                    detail: detail.to_owned(),
                };
                sorted.origins.insert(event_id, parked);
                sorted.arrivals.push(arrival);
            }
            Err(parked) => sorted.unreadable.push(parked),
        }
    }
    sorted
}

impl Sorted {
    /// All events to set aside, once it is known which folds failed.
    pub(crate) fn set_aside(mut self, failed: &Failed) -> Vec<Parked> {
        let folds = failed.events.iter().filter_map(|event| self.origins.remove(event));
        self.unreadable.extend(folds);
        self.unreadable
    }
}

/// Rows that could not be computed; they keep what they showed before.
#[derive(Debug, Default)]
pub(crate) struct Failed {
    /// The events of the batch that concern them.
    pub(crate) events: BTreeSet<EventId>,
    /// The rows.
    pub(crate) entities: BTreeSet<String>,
}

impl Failed {
    /// Finds the events that concern `entities`: by what they state in `facts`, or, as a withdrawal or another reading does, by what they stated
    /// before.
    pub(crate) fn find<'a>(
        entities: BTreeSet<String>,
        known: &Known,
        changes: &Changes,
        facts: impl Iterator<Item = &'a RowFact>,
    ) -> Self {
        if entities.is_empty() {
            return Self::default();
        }
        let now = facts.filter(|fact| {
            let conversation = fact.statement.as_ref().and_then(Statement::conversation_id);
            entities.contains(&fact.entity)
                || conversation.is_some_and(|id| entities.contains(id.as_str()))
        });
        let before = changes.blanked.iter().chain(&changes.replaced).filter(|event| {
            known
                .held
                .get(*event)
                .is_some_and(|held| held.entities.iter().any(|entity| entities.contains(entity)))
        });
        let events = now.map(|fact| fact.event_id.clone()).chain(before.cloned()).collect();
        Self { events, entities }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold::{Held, Version};

    #[test]
    fn a_withdrawal_or_another_reading_concerns_the_rows_its_event_was_about_before() {
        let (blanked, replaced, other) =
            (EventId::new("evt_1"), EventId::new("evt_2"), EventId::new("evt_3"));
        let version = Version { revision: 0, rank: 0, digest: String::new() };
        let held =
            |entity: &str| Held { version: version.clone(), entities: vec![entity.to_owned()] };
        let known = Known {
            held: [
                (blanked.clone(), held("msg_1")),
                (replaced.clone(), held("msg_2")),
                (other.clone(), held("msg_3")),
            ]
            .into(),
            ..Known::default()
        };
        let changes = Changes {
            blanked: vec![blanked.clone(), other],
            replaced: vec![replaced.clone()],
            ..Changes::default()
        };
        let failed = ["msg_1", "msg_2"].map(ToOwned::to_owned).into();
        assert_eq!(
            Failed::find(failed, &known, &changes, [].iter()).events,
            [blanked, replaced].into()
        );
    }
}
