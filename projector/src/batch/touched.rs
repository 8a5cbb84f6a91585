//! ◆ Pure: the facts of the rows that a batch touches: those kept before, and those that the batch brings.

use std::collections::{BTreeMap, HashSet};

use schemas::EventId;

use crate::fold::{Changes, RowFact};

/// All facts of one row once the batch is absorbed: those kept before come first.
#[derive(Debug, Default)]
struct Facts {
    all: Vec<RowFact>,
    /// How many of them were kept before.
    kept: usize,
    /// Something was kept of the row, perhaps of events that the batch replaces: it may be there already.
    known: bool,
}

/// The rows that a batch touches, by id.
#[derive(Debug, Default)]
pub(crate) struct TouchedRows(BTreeMap<String, Facts>);

impl TouchedRows {
    /// `kept`: what was kept of the touched rows before. The facts of `changes` are moved here.
    pub(crate) fn new(kept: Vec<RowFact>, changes: &mut Changes) -> Self {
        let empty = |id: &String| (id.clone(), Facts::default());
        let mut rows: BTreeMap<String, Facts> = changes.touched.iter().map(empty).collect();
        let replaced: HashSet<&EventId> = changes.replaced.iter().collect();
        let blanked: HashSet<&EventId> = changes.blanked.iter().collect();
        for fact in kept {
            let Some(facts) = rows.get_mut(&fact.entity) else { continue };
            facts.known = true;
            if replaced.contains(&fact.event_id) {
                continue;
            }
            let blank = blanked.contains(&fact.event_id);
            facts.all.push(if blank { fact.withdrawn() } else { fact });
            facts.kept += 1;
        }
        for fact in std::mem::take(&mut changes.facts) {
            if let Some(facts) = rows.get_mut(&fact.entity) {
                facts.all.push(fact);
            }
        }
        Self(rows)
    }

    /// The rows, each with all its facts.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &[RowFact])> {
        self.0.iter().map(|(id, facts)| (id.as_str(), facts.all.as_slice()))
    }

    /// The facts that the batch brings.
    pub(crate) fn fresh(&self) -> impl Iterator<Item = &RowFact> {
        self.0.values().flat_map(|facts| &facts.all[facts.kept..])
    }

    /// Whether the row may be there already: something was kept of it before the batch.
    pub(crate) fn is_known(&self, id: &str) -> bool {
        self.0.get(id).is_some_and(|facts| facts.known)
    }

    /// Replaces facts by what is left of them once their content was erased. Returns those that are kept already and have to be rewritten.
    pub(crate) fn scrub(&mut self, scrubbed: Vec<RowFact>) -> Vec<RowFact> {
        let mut kept = Vec::new();
        for fact in scrubbed {
            let Some(facts) = self.0.get_mut(&fact.entity) else { continue };
            let fresh =
                facts.all[facts.kept..].iter_mut().find(|one| one.event_id == fact.event_id);
            match fresh {
                Some(fresh) => *fresh = fact,
                None => kept.push(fact),
            }
        }
        kept
    }
}
