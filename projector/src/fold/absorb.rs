//! ◆ Pure: of each event the highest version is kept, and a withdrawal beats them all, whichever comes first.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use schemas::EventId;

use super::row_fact::RowFact;
use super::version::Version;

/// One event, ready to be absorbed.
#[derive(Clone, Debug)]
pub(crate) enum Arrival {
    /// An event, split into its facts (possibly none).
    Fact {
        /// The event.
        event_id: EventId,
        /// Its version.
        version: Version,
        /// One per row it is about.
        facts: Vec<RowFact>,
    },
    /// `fact.withdrawn`
    Withdrawal {
        /// The event that no longer holds.
        event_id: EventId,
        /// Why.
        reason: &'static str,
    },
}

impl Arrival {
    /// The event that arrived, or that was withdrawn.
    pub(crate) const fn event_id(&self) -> &EventId {
        match self {
            Self::Fact { event_id, .. } | Self::Withdrawal { event_id, .. } => event_id,
        }
    }
}

/// What is kept of an event.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    /// The kept version.
    pub(crate) version: Version,
    /// The rows it is about.
    pub(crate) entities: Vec<String>,
}

/// What is kept of the events of a batch, before the batch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Kept events.
    pub(crate) held: HashMap<EventId, Held>,
    /// Withdrawn events, kept or not.
    pub(crate) withdrawn: BTreeSet<EventId>,
    /// Of these, those that were erased: nothing is kept of them.
    pub(crate) erased: BTreeSet<EventId>,
}

/// The reason of a withdrawal that leaves nothing.
pub(crate) const ERASED: &str = "erased";

/// What a batch changes in what is kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    /// Events whose facts go, because `facts` has better ones.
    pub(crate) replaced: Vec<EventId>,
    /// RowFacts to keep; those of withdrawn events without content.
    pub(crate) facts: Vec<RowFact>,
    /// Events that are withdrawn from now on, with the reason.
    pub(crate) withdrawn: BTreeMap<EventId, &'static str>,
    /// Kept events whose content goes, because they were withdrawn.
    pub(crate) blanked: Vec<EventId>,
    /// Rows to compute again.
    pub(crate) touched: BTreeSet<String>,
}

/// Absorbs a batch. The result depends on the set of arrivals (and what is known), not on their order.
pub(crate) fn absorb(known: &Known, batch: impl IntoIterator<Item = Arrival>) -> Changes {
    let mut changes = Changes::default();
    let mut best: BTreeMap<EventId, (Version, Vec<RowFact>)> = BTreeMap::new();
    for arrival in batch {
        match arrival {
            Arrival::Withdrawal { event_id, reason } => {
                let known_of = match reason {
                    ERASED => &known.erased,
                    _ => &known.withdrawn,
                };
                if !known_of.contains(&event_id) {
                    // Of several reasons erasure is kept, else the greatest, which is shown and never decided by.
                    let kept = changes.withdrawn.entry(event_id).or_insert(reason);
                    if (*kept == ERASED, *kept) < (reason == ERASED, reason) {
                        *kept = reason;
                    }
                }
            }
            Arrival::Fact { event_id, version, facts } => {
                if known.held.get(&event_id).is_some_and(|held| held.version >= version) {
                    continue;
                }
                match best.entry(event_id) {
                    std::collections::btree_map::Entry::Vacant(entry) => {
                        entry.insert((version, facts));
                    }
                    std::collections::btree_map::Entry::Occupied(mut entry) => {
                        if entry.get().0 < version {
                            entry.insert((version, facts));
                        }
                    }
                }
            }
        }
    }
    for (event_id, reason) in &changes.withdrawn {
        if let Some(held) = known.held.get(event_id)
            && !best.contains_key(event_id)
        {
            match *reason {
                ERASED => changes.replaced.push(event_id.clone()),
                _ => changes.blanked.push(event_id.clone()),
            }
            changes.touched.extend(held.entities.iter().cloned());
        }
    }
    for (event_id, (_, facts)) in best {
        if let Some(held) = known.held.get(&event_id) {
            changes.touched.extend(held.entities.iter().cloned());
            changes.replaced.push(event_id.clone());
        }
        let reason = changes.withdrawn.get(&event_id);
        if known.erased.contains(&event_id) || reason.is_some_and(|reason| *reason == ERASED) {
            continue;
        }
        let gone = known.withdrawn.contains(&event_id) || changes.withdrawn.contains_key(&event_id);
        for fact in facts {
            changes.touched.insert(fact.entity.clone());
            changes.facts.push(if gone { fact.withdrawn() } else { fact });
        }
    }
    changes
}
