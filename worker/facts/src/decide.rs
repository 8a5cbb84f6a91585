//! ◆ Pure: which drafts are published, and as which revision (docs/contract.md 5).

use std::collections::{HashMap, HashSet};

use schemas::facts::WithdrawReason;
use schemas::{Event, EventId, Fact, Kind, Timestamp};

use super::digest::{Digest, digest};
use super::draft::Draft;
use super::erased::Erased;
use super::merge::{Report, Reports, Source, is_merged};

/// One published reading of a fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Which reading.
    pub revision: u32,
    /// What it says.
    pub digest: Digest,
    /// Of its source: [`schemas::Via::rank`].
    pub rank: i16,
    /// Its time.
    pub time: Timestamp,
    /// Whether that is only the time of a delivery.
    pub time_approximate: bool,
    /// The item it was read from; of a merged reading the one that completed it.
    pub source: Source,
    /// It is what several reports say together, and no report by itself.
    pub merged: bool,
    /// Its position in INBOX_EVENTS; 0 while it is not published.
    pub event_seq: u64,
}

impl Stored {
    /// What `worker.facts` keeps of a published event, as far as the event shows it.
    pub fn of(event: &Event) -> Self {
        Self::with(event, digest(event), false)
    }

    /// The same of one that is planned.
    pub fn of_planned(planned: &Planned) -> Self {
        Self::with(&planned.draft.event, planned.digest, planned.merged)
    }

    /// The same, where its digest is known.
    fn with(event: &Event, digest: Digest, merged: bool) -> Self {
        Self {
            revision: event.revision(),
            digest,
            rank: event.data.origin.via.rank(),
            time: event.time,
            time_approximate: event.data.time_approximate,
            source: Source::of(event),
            merged,
            event_seq: 0,
        }
    }
}

/// What is known about the drafts' facts.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Every published reading.
    pub facts: HashMap<EventId, Vec<Stored>>,
    /// Facts that no longer hold and must not return.
    pub withdrawn: HashSet<EventId>,
    /// What must not return after an erasure.
    pub erased: Erased,
    /// The reports of the best rank, of facts that a draft says something else of. One without an entry cannot be read any more.
    pub reports: HashMap<EventId, Reports>,
}

impl Known {
    /// Whether an event was withdrawn, or is of what was erased.
    pub(crate) fn refuses(&self, event: &Event) -> bool {
        self.withdrawn.contains(&event.id) || self.erased.has(event)
    }

    /// The reading of a fact that was published last.
    pub(crate) fn latest(&self, id: &EventId) -> Option<&Stored> {
        latest(self.facts.get(id)?)
    }

    /// Takes note of a reading that was published and is not recorded. It counts as one report: what it was merged from is not known here.
    pub(crate) fn learn(&mut self, event: &Event) {
        let stored = self.facts.entry(event.id.clone()).or_default();
        if stored.iter().any(|stored| stored.revision == event.revision()) {
            return;
        }
        let (new, first) = (Stored::of(event), stored.is_empty());
        let better = new.rank > best_rank(stored);
        stored.push(new);
        if !is_merged(event.kind()) {
            return;
        }
        let (source, report) = (Source::of(event), Report::of(event));
        match self.reports.get_mut(&event.id) {
            Some(reports) if !better => reports.add(source, report),
            None if !better && !first => {}
            _ => {
                self.reports.insert(event.id.clone(), Reports::one(source, report));
            }
        }
    }
}

/// A draft that is to be published.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// The draft, with its revision, as the reading that is published.
    pub draft: Draft,
    /// What it says.
    pub digest: Digest,
    /// It is what several reports say together.
    pub merged: bool,
}

/// What becomes of a call's drafts.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    /// To publish, in order.
    pub publish: Vec<Planned>,
    /// Known already: nothing to publish.
    pub known: Vec<Draft>,
    /// Withdrawn earlier: nothing to publish and nothing to keep.
    pub refused: Vec<Draft>,
    /// The reports of facts that have several, to be kept beside the readings.
    pub reports: HashMap<EventId, Reports>,
}

impl Decision {
    /// The facts about which a draft changes something: it is published, or its report is kept.
    pub fn changed(&self) -> HashSet<EventId> {
        let published = self.publish.iter().map(|planned| &planned.draft.event.id);
        published.chain(self.reports.keys()).cloned().collect()
    }
}

enum Verdict {
    /// As it is, under this revision and time.
    Publish {
        revision: u32,
        time: Timestamp,
    },
    /// As it is read together with the other reports.
    PublishReading {
        reading: Box<Event>,
        digest: Digest,
        merged: bool,
    },
    Known,
    Refused,
}

/// Decides about drafts one after the other, each knowing what became of those before it: one call with many drafts gives the
/// same as many calls with one each.
pub fn decide(drafts: Vec<Draft>, mut known: Known) -> Decision {
    decide_next(drafts, &mut known)
}

/// The same, where more is decided afterwards: `known` then holds what was decided now.
pub fn decide_next(drafts: Vec<Draft>, known: &mut Known) -> Decision {
    let mut decision = Decision::default();
    for mut draft in drafts {
        if let Some(id) = known.erased.new_id(&draft.event) {
            draft.event.id = id;
        }
        known.erased.redact(&mut draft.event);
        let digest = digest(&draft.event);
        if let Fact::FactWithdrawn(withdrawal) = &draft.event.data.fact {
            known.erased.learn(withdrawal);
        }
        if let Fact::FactWithdrawn(withdrawal) = &draft.event.data.fact
            && !known.withdrawn.insert(withdrawal.event_id.clone())
            && withdrawal.reason != WithdrawReason::Erased
        {
            // Withdrawn is withdrawn: by what it was superseded first is nothing to correct.
            decision.known.push(draft);
            continue;
        }
        let (digest, merged) = match verdict(&draft.event, digest, known, &mut decision.reports) {
            Verdict::Publish { revision, time } => {
                draft.event.data.origin.revision = revision;
                draft.event.time = time;
                (digest, false)
            }
            Verdict::PublishReading { reading, digest, merged } => {
                draft.set_reading(*reading);
                (digest, merged)
            }
            Verdict::Known => {
                decision.known.push(draft);
                continue;
            }
            Verdict::Refused => {
                decision.refused.push(draft);
                continue;
            }
        };
        let stored = Stored::with(&draft.event, digest, merged);
        known.facts.entry(draft.event.id.clone()).or_default().push(stored);
        decision.publish.push(Planned { draft, digest, merged });
    }
    decision
}

fn verdict(
    event: &Event,
    digest: Digest,
    known: &mut Known,
    keep: &mut HashMap<EventId, Reports>,
) -> Verdict {
    if known.refuses(event) {
        return Verdict::Refused;
    }
    let stored = known.facts.get(&event.id).map_or(&[][..], Vec::as_slice);
    let Some(latest) = latest(stored) else {
        remember(event, digest, &mut known.reports);
        return Verdict::Publish { revision: 0, time: event.time };
    };
    let revision = latest.revision.saturating_add(1);
    let rank = event.data.origin.via.rank();
    // A person is discovered once: which of their acts came first is nothing to correct.
    if event.kind() == Kind::ContactDiscovered || rank < best_rank(stored) {
        return Verdict::Known;
    }
    let earliest = earliest_delivery(stored);
    let time = match earliest {
        Some(earliest) if event.data.time_approximate => event.time.min(earliest),
        _ => event.time,
    };
    if rank > best_rank(stored) {
        // A better source that says the same counts from now on: what was only read back has now really come, and no worse source may
        // replace it.
        if says_less(&event.data.fact) && stored.iter().all(|stored| stored.digest != digest) {
            return Verdict::Known;
        }
        remember(event, digest, &mut known.reports);
        return Verdict::Publish { revision, time };
    }
    if says_nothing_new(event, &digest, stored) {
        return Verdict::Known;
    }
    if !is_merged(event.kind()) {
        return Verdict::Publish { revision, time };
    }
    let latest = latest.clone();
    merge(event, digest, &latest, earliest, known, keep)
}

/// Merges a report into those that are known, and compares what they then say with what was published last.
fn merge(
    event: &Event,
    digest: Digest,
    latest: &Stored,
    earliest: Option<Timestamp>,
    known: &mut Known,
    keep: &mut HashMap<EventId, Reports>,
) -> Verdict {
    let by_webhook = event.data.origin.via.rank() == WEBHOOK;
    let source = if by_webhook { Source::of(event) } else { Source::NEWEST };
    let mut reports = match known.reports.get(&event.id) {
        Some(reports) => reports.clone(),
        // The item was read anew by a better normaliser: what it said before is replaced.
        None if by_webhook && !latest.merged && latest.source == source => Reports::default(),
        // Merged without what was said before, facts would lose it.
        None => return Verdict::Known,
    };
    let changed = reports.hear(source, Report { event: event.clone(), digest });
    let Some(mut reading) = reports.merged().filter(|_| changed) else { return Verdict::Known };
    if reading.data.time_approximate {
        reading.time = earliest.map_or(reading.time, |earliest| earliest.min(reading.time));
    }
    if reports.len() > 1 {
        // Its trace and its place are those of the report that completes it.
        reading.traceparent = event.traceparent.clone();
        reading.data.origin = event.data.origin.clone();
    }
    let merged = by_webhook && reports.len() > 1;
    if merged {
        keep.insert(event.id.clone(), reports.clone());
    }
    let digest = super::digest::digest(&reading);
    // Of what Graph returned only the whole counts from here on: the next read is later than all of it.
    let reports = if by_webhook {
        reports
    } else {
        Reports::one(Source::default(), Report { event: reading.clone(), digest })
    };
    known.reports.insert(event.id.clone(), reports);
    let earlier = reading.data.time_approximate && reading.time < latest.time;
    if digest == latest.digest && !earlier {
        return Verdict::Known;
    }
    reading.data.origin.revision = latest.revision.saturating_add(1);
    Verdict::PublishReading { reading: Box::new(reading), digest, merged }
}

/// The rank of webhooks: only they are reports with a place of their own.
const WEBHOOK: i16 = schemas::Via::Webhook.rank();

/// From here on the fact has this report alone.
fn remember(event: &Event, digest: Digest, reports: &mut HashMap<EventId, Reports>) {
    if is_merged(event.kind()) {
        let report = Report { event: event.clone(), digest };
        reports.insert(event.id.clone(), Reports::one(Source::of(event), report));
    }
}

/// The reading that was published last.
fn latest(stored: &[Stored]) -> Option<&Stored> {
    stored.iter().max_by_key(|stored| stored.revision)
}

/// The earliest of the readings' times of delivery.
fn earliest_delivery(stored: &[Stored]) -> Option<Timestamp> {
    stored.iter().filter(|stored| stored.time_approximate).map(|stored| stored.time).min()
}

fn best_rank(stored: &[Stored]) -> i16 {
    stored.iter().map(|stored| stored.rank).max().unwrap_or(i16::MIN)
}

/// Whether a draft of the best rank repeats what is known. A report that was published by itself is known by its digest; of Graph, which is
/// asked again and again, only what it said last.
fn says_nothing_new(event: &Event, digest: &Digest, stored: &[Stored]) -> bool {
    let rank = event.data.origin.via.rank();
    let mut same = stored.iter().filter(|stored| stored.digest == *digest);
    let is_latest = latest(stored).is_some_and(|latest| latest.digest == *digest);
    let approximate = event.data.time_approximate;
    let earlier = approximate
        && is_latest
        && earliest_delivery(stored).is_some_and(|earliest| event.time < earliest);
    let known = if !is_merged(event.kind()) {
        let exact = stored.iter().any(|stored| !stored.time_approximate && stored.rank >= rank);
        same.next().is_some() || approximate && exact
    } else if rank == WEBHOOK {
        same.any(|stored| {
            stored.rank == rank && !stored.merged && stored.source <= Source::of(event)
        })
    } else {
        is_latest
    };
    known && !earlier
}

/// Facts of these drafts whose reports are needed to decide: they are known, and something else is said of them.
pub(crate) fn contended(drafts: &[Draft], known: &Known) -> Vec<EventId> {
    let mut ids: Vec<EventId> = drafts
        .iter()
        .filter(|draft| {
            let event = &draft.event;
            let Some(stored) = known.facts.get(&event.id) else { return false };
            is_merged(event.kind())
                && !known.refuses(event)
                && event.data.origin.via.rank() == best_rank(stored)
                && !says_nothing_new(event, &digest(event), stored)
        })
        .map(|draft| draft.event.id.clone())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// A message whose content could not be read adds nothing to a fact that is known.
const fn says_less(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::MessageReceived(message) | Fact::MessageSent(message) if matches!(message.content_missing, Some(true))
    )
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
