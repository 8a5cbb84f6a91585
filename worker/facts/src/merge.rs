//! ◆ Pure: reports of one fact, merged into one reading (docs/contract.md 5).
//!
//! The reading is a function of the *set* of reports, so the order in which they come does not matter and a repetition changes nothing.
//! See docs/decisions/29-reports-of-one-fact-are-merged.md.

use std::collections::{BTreeMap, HashSet};

use schemas::{ConversationId, Event, Fact, Kind, Timestamp, Via};
use serde_json::{Map, Value};

use super::digest::{Digest, digest};

/// Fields that are taken whole: parts of two reports together would describe neither.
const WHOLE: [&str; 1] = ["sender_resolution"];

/// The item of a raw webhook that a report was read from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source {
    /// Of which era of META_RAW the position is: 0 of the present one, −1 of the one before it.
    pub era: i16,
    /// Position of the raw webhook in META_RAW.
    pub raw_seq: u64,
    /// Which item of it.
    pub index: u32,
}

impl Source {
    /// Of what comes after everything that is stored.
    pub(crate) const NEWEST: Self = Self { era: 0, raw_seq: u64::MAX, index: u32::MAX };

    /// The source of an event. What comes from Graph has none: a later read stands above the earlier ones.
    pub fn of(event: &Event) -> Self {
        let origin = &event.data.origin;
        match origin.via {
            Via::Webhook => Self {
                era: 0,
                raw_seq: origin.raw_stream_sequence.unwrap_or(0),
                index: origin.index.unwrap_or(0),
            },
            _ => Self::default(),
        }
    }
}

/// What one source says of a fact.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// As an event; its revision says nothing.
    pub event: Event,
    /// What it says.
    pub digest: Digest,
}

impl Report {
    /// An event that is one report.
    pub fn of(event: &Event) -> Self {
        Self { event: event.clone(), digest: digest(event) }
    }

    /// The order of "the later wins": Meta's time, then the raw position. A time of delivery is not Meta's.
    fn stamp(&self, source: Source) -> (Option<Timestamp>, Source) {
        ((!self.event.data.time_approximate).then_some(self.event.time), source)
    }
}

/// All reports of one fact that have the best rank, by source: an item that is read anew replaces what was read in it before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reports(BTreeMap<Source, Report>);

impl Reports {
    /// One report alone.
    pub fn one(source: Source, report: Report) -> Self {
        Self(BTreeMap::from([(source, report)]))
    }

    /// Adds a report, in place of an earlier one from the same source.
    pub fn add(&mut self, source: Source, report: Report) {
        self.0.insert(source, report);
    }

    /// The reports with their sources.
    pub fn iter(&self) -> impl Iterator<Item = (Source, &Report)> {
        self.0.iter().map(|(source, report)| (*source, report))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes note of what a source says. `false`: it adds nothing, as a report that is delivered again.
    pub(crate) fn hear(&mut self, source: Source, report: Report) -> bool {
        match self.said_by(&report.digest) {
            // Of several times of delivery the earliest wins.
            Some(first) if first <= source => self.lower_time(first, report.event.time),
            _ => {
                self.add(source, report);
                true
            }
        }
    }

    /// The first source that says exactly this.
    fn said_by(&self, digest: &Digest) -> Option<Source> {
        self.0.iter().find(|(_, report)| report.digest == *digest).map(|(source, _)| *source)
    }

    /// Notes an earlier time of delivery of the same report. `false`: it is none.
    fn lower_time(&mut self, source: Source, time: Timestamp) -> bool {
        let Some(Report { event, .. }) = self.0.get_mut(&source) else { return false };
        let lower = event.data.time_approximate && time < event.time;
        if lower {
            event.time = time;
        }
        lower
    }

    /// The reading: what all reports say together. `None` where there is none.
    pub fn merged(&self) -> Option<Event> {
        let (first, more) = (self.0.values().next()?, self.0.len() > 1);
        if !more {
            return Some(first.event.clone());
        }
        // A report that is delivered again says nothing later than it did first.
        let mut said = HashSet::new();
        let mut reports: Vec<(Source, &Report)> =
            self.iter().filter(|(_, report)| said.insert(report.digest)).collect();
        reports.sort_by_key(|(source, report)| report.stamp(*source));
        let events: Vec<&Event> = reports.iter().map(|(_, report)| &report.event).collect();
        let latest = *events.last()?;
        let mut merged = latest.clone();
        let data = &mut merged.data;
        data.contact_id = events.iter().rev().find_map(|event| event.data.contact_id.clone());
        data.conversation_id = data
            .contact_id
            .as_ref()
            .map(|contact| ConversationId::of(data.channel, &data.account_id, contact));
        data.standby = events.iter().all(|event| event.data.standby);
        data.is_self = events.iter().any(|event| event.data.is_self);
        data.time_approximate = events.iter().all(|event| event.data.time_approximate);
        // The latest has Meta's own time where any report has it. Of times of delivery the earliest is nearest to what happened.
        if data.time_approximate {
            let all = self.0.values().map(|report| report.event.time);
            merged.time = all.min().unwrap_or(merged.time);
        }
        data.fact = fact(&events, latest);
        Some(merged)
    }
}

/// Whether several reports of a fact of this kind are merged. The others are statements of ours, or have one source: a later one replaces
/// the earlier.
pub const fn is_merged(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::ContactDiscovered
            | Kind::ContactEnriched
            | Kind::ContactBlocked
            | Kind::ContactUnblocked
            | Kind::ConversationRead
            | Kind::ConversationArchived
            | Kind::ConversationUnarchived
            | Kind::ConversationAssigned
            | Kind::ConversationLabelled
            | Kind::ConversationUnlabelled
            | Kind::ConversationNoted
            | Kind::ConversationSnoozed
            | Kind::InsightsCaptured
            | Kind::SenderUnresolved
            | Kind::ReplySent
            | Kind::ReplyFailed
            | Kind::ReplyUnknown
            | Kind::CommandDone
            | Kind::CommandFailed
            | Kind::CommandUnknown
            | Kind::FactWithdrawn
            | Kind::WebhookTest
            | Kind::WebhookUnrecognized
    )
}

/// The fields of all reports, the later over the earlier, as the latest one's kind.
fn fact(events: &[&Event], latest: &Event) -> Fact {
    // Serialising our own structs and reading them again cannot fail; were it to, the latest report stands alone.
    let read = |event: &Event| event.data.fact.to_fields().unwrap_or_default();
    let reports: Vec<Map<String, Value>> = events.iter().map(|event| read(event)).collect();
    let mut fields = Map::new();
    for report in &reports {
        overlay(&mut fields, report);
    }
    if !reports.iter().all(|report| report.contains_key("content_missing")) {
        fields.remove("content_missing");
    }
    of_original_media(&mut fields, &reports);
    Fact::from_fields(latest.kind(), fields).unwrap_or_else(|_| latest.data.fact.clone())
}

/// A comment on a boosted post comes under the ad's media and under the post's: it belongs to the post.
fn of_original_media(fields: &mut Map<String, Value>, reports: &[Map<String, Value>]) {
    for name in ["media_id", "media_product_type"] {
        let plain = reports.iter().rev().filter(|report| !report.contains_key("ad"));
        if let Some(value) = plain.filter_map(|report| report.get(name)).find(|value| says(value)) {
            fields.insert(name.to_owned(), value.clone());
        }
    }
}

/// Whether a value says anything.
fn says(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

/// Puts what the later report says over what the earlier ones said; what it does not say stays.
fn overlay(fields: &mut Map<String, Value>, later: &Map<String, Value>) {
    for (name, value) in later {
        if WHOLE.contains(&name.as_str()) {
            fields.insert(name.clone(), value.clone());
            continue;
        }
        match fields.get_mut(name) {
            Some(earlier) => put_over(earlier, value),
            None => {
                fields.insert(name.clone(), value.clone());
            }
        }
    }
}

fn put_over(earlier: &mut Value, later: &Value) {
    match (earlier, later) {
        (_, later) if !says(later) => {}
        (Value::Object(fields), Value::Object(later)) => overlay(fields, later),
        (Value::Array(items), Value::Array(later)) if are_the_same(items, later) => {
            for (item, later) in items.iter_mut().zip(later) {
                put_over(item, later);
            }
        }
        (earlier, later) => *earlier = later.clone(),
    }
}

/// Whether two lists describe the same things one by one, such as the attachments of a message.
fn are_the_same(one: &[Value], other: &[Value]) -> bool {
    let kind = |value: &Value| value.get("type").cloned();
    one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| {
            one.is_object() && other.is_object() && kind(one).is_some() && kind(one) == kind(other)
        })
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
