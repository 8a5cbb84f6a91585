//! The first pass: nothing is written.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

use schemas::subjects;

use super::diff::Gone;
use super::source::Source;
use super::tally::{Plan, Sample, Samples, Tally, Verdict, differing_fields};
use super::{BATCH_MAX, Bounds, Replay, rows};
use crate::effect;
use facts::{Draft, Known, Stored};

/// A plan, and what it found out for the second pass.
pub struct Planned {
    /// What is shown.
    pub plan: Plan,
    /// Facts to withdraw when everything else is done.
    pub(super) gone: Vec<Gone>,
}

impl Replay {
    /// Looks at the slice; `at` hears how many of its positions are done.
    ///
    /// # Errors
    /// When broker or database do not answer.
    pub async fn plan(
        &self,
        bounds: &Bounds,
        rate: Option<f64>,
        mut at: impl FnMut(u64),
    ) -> anyhow::Result<Planned> {
        let began = Instant::now();
        let directory = self.directory().await?;
        let source = Source::open(&self.broker).await?;
        let mut slice = source.slice(bounds.from, bounds.to);
        let (mut tally, mut samples, mut changed) =
            (Tally::default(), Samples::default(), HashMap::new());
        let (mut before, mut told) = (Known::default(), HashSet::new());
        let (mut accounts, mut conversations) = (HashSet::new(), HashSet::new());
        let (mut given, mut candidates) = (HashSet::new(), Vec::new());
        let mut waiting = HashSet::new();
        let mut span = None;
        while let Some(batch) = slice.next(BATCH_MAX).await? {
            let reading = self.read(&batch, bounds, &directory, &told).await?;
            add_counts(&mut tally, &reading);
            span = match (span, reading.received) {
                (None, received) => received,
                (Some((first, _)), Some((_, last))) => Some((first, last)),
                (span, None) => span,
            };
            given.extend(reading.given.iter().map(hash));
            candidates.extend(reading.gone);
            for hint in &reading.hints {
                let key = (super::key(hint), hint.num_edit);
                if waiting.insert(hash(&key)) {
                    tally.waiting += 1;
                }
            }
            let mut conn = self.facts.pool().acquire().await?;
            let decision = self.facts.plan_after(&mut conn, reading.drafts, &before).await?;
            drop(conn);
            for planned in &decision.publish {
                let event = &planned.draft.event;
                let verdict = if event.revision() == 0 { Verdict::Added } else { Verdict::Changed };
                tally.count(event.kind().as_str(), verdict);
                let raw_seq = event.data.origin.raw_stream_sequence;
                samples.add(verdict, event.kind(), event.id.as_str(), raw_seq);
                if verdict == Verdict::Changed && changed.len() < 200 {
                    changed.insert(event.id.to_string(), event.clone());
                }
                accounts.insert(hash(&(event.data.channel, &event.data.account_id)));
                conversations.extend(event.data.conversation_id.as_ref().map(hash));
                before.facts.entry(event.id.clone()).or_default().push(Stored::of(event));
                told.extend(effect::message_keys(&planned.draft));
            }
            count_rest(&mut tally, &decision.known, &decision.refused);
            at(batch.last().map_or(0, |raw| raw.sequence.saturating_sub(bounds.from) + 1));
        }
        let mut gone = Vec::new();
        for one in candidates {
            let fact = &one.fact;
            if given.contains(&hash(&fact.event_id)) {
                continue;
            }
            // Another raw webhook may tell it too, after this slice: a withdrawal is for ever, so this one waits for a slice to the head.
            if !bounds.to_head && !fact.is_of_bytes() {
                tally.not_withdrawn += 1;
                continue;
            }
            tally.count(&fact.kind, Verdict::Withdrawn);
            if let Ok(kind) = fact.kind.parse() {
                samples.add(Verdict::Withdrawn, kind, fact.event_id.as_str(), Some(fact.raw_seq));
            }
            accounts.insert(hash(&(fact.channel, &fact.account_id)));
            gone.push(one);
        }
        let mut samples = samples.into_list();
        self.name_fields(&mut samples, &changed).await?;
        let expected = expected_seconds(began.elapsed().as_secs_f64(), tally.raw_webhooks, rate);
        let plan = Plan {
            slice: (bounds.from <= bounds.to).then_some((bounds.from, bounds.to)),
            span,
            tally,
            accounts: accounts.len() as u64,
            conversations: conversations.len() as u64,
            expected_seconds: expected,
            samples,
        };
        Ok(Planned { plan, gone })
    }

    /// Which fields of the changed examples differ from what is published.
    async fn name_fields(
        &self,
        samples: &mut [Sample],
        changed: &HashMap<String, schemas::Event>,
    ) -> anyhow::Result<()> {
        let ids: Vec<&str> = samples
            .iter()
            .filter(|sample| sample.verdict == Verdict::Changed)
            .map(|sample| sample.event_id.as_str())
            .collect();
        if ids.is_empty() {
            return Ok(());
        }
        let places = rows::stored(self.facts.pool(), &ids).await?;
        let stream = self.broker.js().get_stream_no_info(subjects::INBOX_EVENTS).await?;
        for sample in samples.iter_mut().filter(|sample| sample.verdict == Verdict::Changed) {
            let (Some((seq, _)), Some(event)) =
                (places.get(&sample.event_id), changed.get(&sample.event_id))
            else {
                continue;
            };
            let Ok(stored) = stream.get_raw_message(*seq).await else { continue };
            let Ok(was) = serde_json::from_slice(&stored.payload) else { continue };
            sample.fields = differing_fields(&was, &serde_json::to_value(event)?);
        }
        Ok(())
    }
}

/// What does not depend on the facts.
pub(super) fn add_counts(tally: &mut Tally, reading: &super::Reading) {
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

/// Two ids may share a hash once in an age; then a fact stays that could have been withdrawn.
pub(super) fn hash(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Applying costs about twice what looking does, or what the rate allows.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // an estimate
fn expected_seconds(looked: f64, raws: u64, rate: Option<f64>) -> u64 {
    let limited = rate.filter(|rate| *rate > 0.0).map_or(0.0, |rate| raws as f64 / rate);
    (looked * 2.0).max(limited).ceil() as u64
}
