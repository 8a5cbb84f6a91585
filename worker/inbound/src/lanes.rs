//! ◆ Pure: lanes: what must stay in order together, and what is held back because something before it failed (docs/contract.md 9).

use std::collections::{BTreeMap, BTreeSet, HashSet};

use schemas::{Event, EventId};

use super::output::Output;
use facts::Draft;
use facts::follow_up::senderless::Senderless;

/// The lane of a raw webhook that cannot be read at all: nothing waits behind it. `era`: the number of its META_RAW.
pub(super) fn lane_of_raw(sequence: u64, era: i16) -> String {
    match era {
        0 => format!("raw/{sequence}"),
        era => format!("raw/{era}.{sequence}"),
    }
}

/// Outputs of some raw webhooks, sorted by what may happen to them now.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    /// Events to publish, in order.
    pub drafts: Vec<Draft>,
    /// Sender-less items for the waiting room: no lane holds them and they hold no lane.
    pub hints: Vec<Senderless>,
    /// What waits behind a failure, by raw webhook and lane.
    pub behind: BTreeMap<(u64, String), Behind>,
}

/// What one raw webhook says in one lane.
#[derive(Clone, Debug)]
pub(super) struct Behind {
    /// The first event.
    pub first: Event,
    /// All of them.
    pub ids: BTreeSet<EventId>,
}

impl Behind {
    /// Some drafts of one lane; `None` where there are none.
    pub(super) fn of(drafts: &[Draft]) -> Option<Self> {
        let first = drafts.first()?.event.clone();
        Some(Self { first, ids: drafts.iter().map(|draft| draft.event.id.clone()).collect() })
    }

    /// The ids of all of them.
    pub(super) fn ids(&self) -> Vec<&str> {
        self.ids.iter().map(EventId::as_str).collect()
    }

    /// Equal for raw webhooks that say the same: the same events are parked once, however often they are delivered.
    pub(super) fn fingerprint(&self) -> String {
        schemas::ids::sha256_hex(self.ids().join(" ").as_bytes())
    }
}

/// The lanes of some outputs.
pub(super) fn of_outputs(outputs: &[(u64, Output)]) -> BTreeSet<String> {
    let lanes = outputs.iter().filter_map(|(_, output)| match output {
        Output::Fact(draft) => Some(draft.event.lane()),
        Output::Senderless(_) => None,
    });
    lanes.collect()
}

/// Sorts outputs, each with the position of its raw webhook.
pub(super) fn sort(outputs: Vec<(u64, Output)>, held: &HashSet<String>) -> Sorted {
    let mut sorted = Sorted::default();
    for (sequence, output) in outputs {
        match output {
            Output::Senderless(hint) => sorted.hints.push(hint),
            Output::Fact(draft) => {
                let lane = if held.is_empty() { None } else { Some(draft.event.lane()) };
                match lane.filter(|lane| held.contains(lane)) {
                    None => sorted.drafts.push(draft),
                    Some(lane) => {
                        let id = draft.event.id.clone();
                        let behind = sorted
                            .behind
                            .entry((sequence, lane))
                            .or_insert_with(|| Behind { first: draft.event, ids: BTreeSet::new() });
                        behind.ids.insert(id);
                    }
                }
            }
        }
    }
    sorted
}

/// The drafts of one raw webhook by lane, lanes in the order of their first draft.
pub(super) fn by_lane(drafts: Vec<Draft>) -> Vec<(String, Vec<Draft>)> {
    let mut lanes: Vec<(String, Vec<Draft>)> = Vec::new();
    for draft in drafts {
        let lane = draft.event.lane();
        match lanes.iter_mut().find(|(name, _)| *name == lane) {
            Some((_, drafts)) => drafts.push(draft),
            None => lanes.push((lane, vec![draft])),
        }
    }
    lanes
}

#[cfg(test)]
mod tests {
    use schemas::event::Origin;
    use schemas::facts::Message;
    use schemas::{Channel, Fact, Timestamp, Via};

    use super::*;

    fn draft(contact: &str, mid: &str) -> Draft {
        let fact = Fact::MessageReceived(Message { message_id: mid.into(), ..Message::default() });
        Draft::of(Event::new(
            EventId::from(mid),
            Timestamp::EPOCH,
            Channel::Instagram,
            "1".into(),
            Some(contact.into()),
            Origin::of(Via::Webhook),
            fact,
        ))
    }

    #[test]
    fn a_held_lane_holds_itself_and_nobody_else() {
        let outputs = [(5, "a", "m1"), (5, "b", "m2"), (6, "a", "m3"), (6, "a", "m4")]
            .map(|(sequence, contact, mid)| (sequence, Output::Fact(draft(contact, mid))))
            .to_vec();
        let free = sort(outputs.clone(), &HashSet::new());
        assert_eq!((free.drafts.len(), free.behind.len()), (4, 0));
        let held = HashSet::from(["instagram/1/a".to_owned()]);
        let sorted = sort(outputs, &held);
        assert_eq!(sorted.drafts, [draft("b", "m2")]);
        let behind: Vec<_> = sorted
            .behind
            .iter()
            .map(|((sequence, _), behind)| (*sequence, behind.first.id.as_str()))
            .collect();
        assert_eq!(behind, [(5, "m1"), (6, "m3")]);
    }

    #[test]
    fn the_same_events_in_any_order_have_one_fingerprint() {
        let fingerprint = |mids: &[&str]| {
            let drafts: Vec<_> = mids.iter().map(|mid| draft("a", mid)).collect();
            Behind::of(&drafts).unwrap().fingerprint()
        };
        assert_eq!(fingerprint(&["m1", "m2"]), fingerprint(&["m2", "m1", "m1"]));
        assert_ne!(fingerprint(&["m1", "m2"]), fingerprint(&["m1"]));
    }

    #[test]
    fn lanes_keep_the_order_of_their_drafts() {
        let lanes = by_lane(vec![draft("b", "m1"), draft("a", "m2"), draft("b", "m3")]);
        let seen: Vec<_> =
            lanes.iter().map(|(lane, drafts)| (lane.as_str(), drafts.len())).collect();
        assert_eq!(seen, [("instagram/1/b", 2), ("instagram/1/a", 1)]);
    }
}
