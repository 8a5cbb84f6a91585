//! ◆ Pure: what a first pass has found so far, and its counts.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use schemas::{Event, EventId, Timestamp};

use super::diff::Gone;
use super::reader::{Reading, key};
use super::tally::{Sample, Samples, Tally, Verdict};
use crate::effect::message_keys;
use facts::follow_up::waiting::MessageKey;
use facts::merge::{Report, Reports, Source, is_merged};
use facts::{Decision, Draft, Known, Stored};

/// Changed events whose fields may be shown as examples.
const CHANGED_MAX: usize = 200;

/// Planned events whose content is kept, to merge what else is said of them: reports of one fact stand close together. What is said of one that
/// is not kept any more counts as unchanged in the plan; carrying it out decides with what is stored.
const REPORTS_MAX: usize = 20_000;

/// Everything found in the batches of a slice. Sets hold hashes: a slice may be large.
#[derive(Default)]
pub(super) struct Survey {
    tally: Tally,
    samples: Samples,
    changed: HashMap<String, Event>,
    planned: Known,
    expected: HashSet<MessageKey>,
    accounts: HashSet<u64>,
    conversations: HashSet<u64>,
    given: HashSet<u64>,
    candidates: Vec<Gone>,
    waiting: HashSet<u64>,
    span: Option<(Timestamp, Timestamp)>,
}

/// What a survey found.
pub(super) struct Found {
    pub(super) tally: Tally,
    pub(super) samples: Vec<Sample>,
    /// The changed events among the samples, and others, by id.
    pub(super) changed: HashMap<String, Event>,
    pub(super) accounts: u64,
    pub(super) conversations: u64,
    /// When the first and the last raw webhook were received.
    pub(super) span: Option<(Timestamp, Timestamp)>,
}

impl Survey {
    /// Messages that the planned events make known.
    pub(super) const fn expected(&self) -> &HashSet<MessageKey> {
        &self.expected
    }

    /// Events planned so far.
    pub(super) const fn planned(&self) -> &Known {
        &self.planned
    }

    /// Adds what a batch says, and returns its drafts to be decided about.
    pub(super) fn add_reading(&mut self, reading: &mut Reading) -> Vec<Draft> {
        add_counts(&mut self.tally, reading);
        self.span = match (self.span, reading.received) {
            (None, received) => received,
            (Some((first, _)), Some((_, last))) => Some((first, last)),
            (span, None) => span,
        };
        self.given.extend(reading.given.iter().map(hash));
        self.candidates.append(&mut reading.gone);
        for hint in &reading.hints {
            if self.waiting.insert(hash(&(key(hint), hint.num_edit))) {
                self.tally.waiting += 1;
            }
        }
        std::mem::take(&mut reading.drafts)
    }

    /// Adds what was decided about the drafts of a batch.
    pub(super) fn add_decision(&mut self, decision: &Decision) {
        for planned in &decision.publish {
            let event = &planned.draft.event;
            let verdict = if event.revision() == 0 { Verdict::Added } else { Verdict::Changed };
            self.tally.count(event.kind().as_str(), verdict);
            let raw_seq = event.data.origin.raw_stream_sequence;
            self.samples.add(verdict, event.kind(), event.id.as_str(), raw_seq);
            if verdict == Verdict::Changed && self.changed.len() < CHANGED_MAX {
                self.changed.insert(event.id.to_string(), event.clone());
            }
            self.accounts.insert(hash(&(event.data.channel, &event.data.account_id)));
            self.conversations.extend(event.data.conversation_id.as_ref().map(hash));
            let stored = Stored::of_planned(planned);
            self.planned.facts.entry(event.id.clone()).or_default().push(stored);
            if is_merged(event.kind()) && !planned.merged {
                let report = Report { event: event.clone(), digest: planned.digest };
                self.keep_reports(&event.id, Reports::one(Source::of(event), report));
            }
            self.expected.extend(message_keys(&planned.draft));
        }
        for (id, reports) in &decision.reports {
            self.keep_reports(id, reports.clone());
        }
        count_rest(&mut self.tally, &decision.known, &decision.refused);
    }

    fn keep_reports(&mut self, id: &EventId, reports: Reports) {
        if self.planned.reports.len() >= REPORTS_MAX {
            self.planned.reports.clear();
        }
        self.planned.reports.insert(id.clone(), reports);
    }

    /// The facts to withdraw, once the whole slice is read; they are counted.
    pub(super) fn take_gone(&mut self, to_head: bool) -> Vec<Gone> {
        let mut gone = Vec::new();
        for one in std::mem::take(&mut self.candidates) {
            let fact = &one.fact;
            if self.given.contains(&hash(&fact.event_id)) {
                continue;
            }
            // Another raw webhook after this slice may give it too: a withdrawal cannot be undone, so this one waits for a slice up to the head.
            if !to_head && !fact.is_of_bytes() {
                self.tally.not_withdrawn += 1;
                continue;
            }
            self.tally.count(&fact.kind, Verdict::Withdrawn);
            if let Ok(kind) = fact.kind.parse() {
                let (id, raw_seq) = (fact.event_id.as_str(), Some(fact.raw_seq));
                self.samples.add(Verdict::Withdrawn, kind, id, raw_seq);
            }
            self.accounts.insert(hash(&(fact.channel, &fact.account_id)));
            gone.push(one);
        }
        gone
    }

    pub(super) fn into_found(self) -> Found {
        Found {
            tally: self.tally,
            samples: self.samples.into_list(),
            changed: self.changed,
            accounts: self.accounts.len() as u64,
            conversations: self.conversations.len() as u64,
            span: self.span,
        }
    }
}

/// What does not depend on the facts.
pub(super) fn add_counts(tally: &mut Tally, reading: &Reading) {
    tally.raw_webhooks += reading.raws;
    tally.held += reading.held;
    tally.kept += reading.kept;
    tally.unreadable += reading.unreadable;
    tally.left_to_live += reading.left_to_live;
}

pub(super) fn count_rest(tally: &mut Tally, known: &[Draft], refused: &[Draft]) {
    for draft in known {
        tally.count(draft.event.kind().as_str(), Verdict::Unchanged);
    }
    for draft in refused {
        tally.count(draft.event.kind().as_str(), Verdict::Refused);
    }
}

/// A collision of hashes only keeps a fact that could have been withdrawn.
pub(super) fn hash(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
