//! ◆ Pure: what is kept of events, in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use schemas::{Event, EventId};

use super::absorb::{Arrival, ERASED, Held, Known, absorb};
use super::row_fact::RowFact;
use super::split::split;
use super::{comment, message};

/// What is kept, by event: the tables `facts` and `withdrawn` as a value. Decides nothing.
#[derive(Clone, Default)]
pub(crate) struct Kept {
    by_event: BTreeMap<EventId, Vec<RowFact>>,
    withdrawn: BTreeSet<EventId>,
    erased: BTreeSet<EventId>,
}

impl Kept {
    pub(crate) fn take(&mut self, batch: impl IntoIterator<Item = Event>) {
        let arrivals: Vec<Arrival> = batch.into_iter().map(split).collect();
        let (withdrawn, erased) = (self.withdrawn.clone(), self.erased.clone());
        let mut known = Known { held: HashMap::new(), withdrawn, erased };
        for id in arrivals.iter().map(Arrival::event_id) {
            if let Some(facts) = self.by_event.get(id).filter(|facts| !facts.is_empty()) {
                let held = Held {
                    version: facts[0].version.clone(),
                    entities: facts.iter().map(|fact| fact.entity.clone()).collect(),
                };
                known.held.insert(id.clone(), held);
            }
        }
        let changes = absorb(&known, arrivals);
        for id in &changes.replaced {
            self.by_event.remove(id);
        }
        for id in &changes.blanked {
            for fact in self.by_event.get_mut(id).into_iter().flatten() {
                fact.statement = None;
            }
        }
        let erased = changes.withdrawn.iter().filter(|(_, reason)| **reason == ERASED);
        self.erased.extend(erased.map(|(id, _)| id.clone()));
        self.withdrawn.extend(changes.withdrawn.into_keys());
        for fact in changes.facts {
            self.by_event.entry(fact.event_id.clone()).or_default().push(fact);
        }
        for entity in changes.touched {
            let facts = self.of(&entity);
            for scrubbed in message::scrubbed(&facts).into_iter().chain(comment::scrubbed(&facts)) {
                let kept = self.by_event.get_mut(&scrubbed.event_id).into_iter().flatten();
                kept.filter(|fact| fact.entity == scrubbed.entity)
                    .for_each(|place| *place = scrubbed.clone());
            }
        }
    }

    /// Whether something is kept of an event.
    #[cfg(test)]
    pub(crate) fn has(&self, id: &EventId) -> bool {
        self.by_event.get(id).is_some_and(|facts| !facts.is_empty())
    }

    /// Facts in the order the database may give them: none in particular.
    pub(crate) fn of(&self, entity: &str) -> Vec<RowFact> {
        self.by_event.values().flatten().filter(|fact| fact.entity == entity).cloned().collect()
    }

    /// The rows that something is kept of.
    pub(crate) fn entities(&self) -> impl Iterator<Item = &str> {
        self.by_event.values().flatten().map(|fact| fact.entity.as_str())
    }
}
