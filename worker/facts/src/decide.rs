//! ◆ Pure: which drafts are published, and as which revision (`docs/contract.md` 5).

use std::collections::{HashMap, HashSet};

use schemas::facts::WithdrawReason;
use schemas::{Event, EventId, Fact, Kind, Timestamp};

use super::digest::{Digest, digest};
use super::draft::Draft;

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
}

impl Stored {
    /// What `worker.facts` keeps of a published event.
    pub fn of(event: &Event) -> Self {
        Self::with(event, digest(event))
    }

    /// The same, where its digest is known.
    fn with(event: &Event, digest: Digest) -> Self {
        Self {
            revision: event.revision(),
            digest,
            rank: event.data.origin.via.rank(),
            time: event.time,
            time_approximate: event.data.time_approximate,
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
}

/// A draft that is to be published.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// The draft, with its revision.
    pub draft: Draft,
    /// What it says.
    pub digest: Digest,
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
}

enum Verdict {
    Publish { revision: u32, time: Timestamp },
    Known,
    Refused,
}

/// Decides about drafts one after the other, each knowing what became of those before it: one call with many drafts gives the
/// same as many calls with one each.
pub fn decide(drafts: Vec<Draft>, mut known: Known) -> Decision {
    let mut decision = Decision::default();
    for mut draft in drafts {
        let digest = digest(&draft.event);
        if let Fact::FactWithdrawn(withdrawal) = &draft.event.data.fact
            && !known.withdrawn.insert(withdrawal.event_id.clone())
            && withdrawal.reason != WithdrawReason::Erased
        {
            // Withdrawn is withdrawn: by what it was superseded first is nothing to correct.
            decision.known.push(draft);
            continue;
        }
        match verdict(&draft.event, &digest, &known) {
            Verdict::Publish { revision, time } => {
                draft.event.data.origin.revision = revision;
                draft.event.time = time;
                known
                    .facts
                    .entry(draft.event.id.clone())
                    .or_default()
                    .push(Stored::with(&draft.event, digest));
                decision.publish.push(Planned { draft, digest });
            }
            Verdict::Known => decision.known.push(draft),
            Verdict::Refused => decision.refused.push(draft),
        }
    }
    decision
}

fn verdict(event: &Event, digest: &Digest, known: &Known) -> Verdict {
    if known.withdrawn.contains(&event.id) {
        return Verdict::Refused;
    }
    let stored = known.facts.get(&event.id).map_or(&[][..], Vec::as_slice);
    let Some(latest) = stored.iter().max_by_key(|stored| stored.revision) else {
        return Verdict::Publish { revision: 0, time: event.time };
    };
    let revision = latest.revision.saturating_add(1);
    let rank = event.data.origin.via.rank();
    let best_rank = stored.iter().map(|stored| stored.rank).max().unwrap_or(rank);
    let earliest =
        stored.iter().filter(|stored| stored.time_approximate).map(|stored| stored.time).min();
    let approximate = event.data.time_approximate;

    // A person is discovered once: which of their acts came first is nothing to correct.
    if event.kind() == Kind::ContactDiscovered || rank < best_rank {
        return Verdict::Known;
    }
    let time = match earliest {
        Some(earliest) if approximate => event.time.min(earliest),
        _ => event.time,
    };
    if stored.iter().any(|stored| stored.digest == *digest) {
        // A better source that says the same counts from now on: what was only read back has now really come, and no worse source may
        // replace it.
        if rank > best_rank {
            return Verdict::Publish { revision, time };
        }
        // Of several times of delivery the earliest wins.
        let earlier = approximate
            && latest.digest == *digest
            && earliest.is_some_and(|earliest| event.time < earliest);
        return if earlier {
            Verdict::Publish { revision, time: event.time }
        } else {
            Verdict::Known
        };
    }
    let exact_stored = stored.iter().any(|stored| !stored.time_approximate && stored.rank >= rank);
    if (approximate && exact_stored) || says_less(&event.data.fact) {
        return Verdict::Known;
    }
    Verdict::Publish { revision, time }
}

/// A message whose content could not be read adds nothing to a fact that is known.
const fn says_less(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::MessageReceived(message) | Fact::MessageSent(message) if matches!(message.content_missing, Some(true))
    )
}

#[cfg(test)]
mod tests {
    use schemas::event::Origin;
    use schemas::facts::{ContactDiscovered, Message};
    use schemas::{Channel, Via};

    use super::*;

    fn message(text: &str, time: i64, via: Via) -> Draft {
        let fact = Fact::MessageReceived(Message {
            message_id: "m1".into(),
            text: Some(text.to_owned()),
            ..Message::default()
        });
        Draft::of(Event::new(
            EventId::from("evt_1"),
            Timestamp::from_millis(time),
            Channel::Instagram,
            "1".into(),
            Some("5200000000000011".into()),
            Origin::of(via),
            fact,
        ))
    }

    fn approximate(mut draft: Draft) -> Draft {
        draft.event.data.time_approximate = true;
        draft
    }

    /// Revision and time of what is published for a sequence of drafts of one fact.
    fn published(drafts: Vec<Draft>) -> Vec<(u32, i64)> {
        decide(drafts, Known::default())
            .publish
            .iter()
            .map(|planned| (planned.draft.event.revision(), planned.draft.event.time.as_millis()))
            .collect()
    }

    #[test]
    fn the_same_reading_is_published_once() {
        let drafts = vec![message("a", 10, Via::Webhook), message("a", 10, Via::Webhook)];
        assert_eq!(published(drafts), [(0, 10)]);
    }

    #[test]
    fn another_reading_is_a_revision_and_never_comes_back() {
        let drafts = ["a", "b", "a", "b"].map(|text| message(text, 10, Via::Webhook)).to_vec();
        assert_eq!(published(drafts), [(0, 10), (1, 10)]);
    }

    #[test]
    fn a_better_source_replaces_a_worse_one_but_not_the_other_way_round() {
        let drafts = vec![
            message("a", 10, Via::Reconcile),
            message("a", 11, Via::Webhook),
            message("a", 12, Via::Backfill),
        ];
        assert_eq!(published(drafts), [(0, 10), (1, 11)]);
    }

    #[test]
    fn a_better_source_that_says_the_same_keeps_worse_ones_away() {
        let drafts = vec![
            message("a", 10, Via::Backfill),
            message("a", 10, Via::Webhook),
            message("a", 10, Via::Webhook),
            message("b", 10, Via::Reconcile),
        ];
        assert_eq!(published(drafts), [(0, 10), (1, 10)]);
    }

    #[test]
    fn of_two_times_of_delivery_the_earlier_wins() {
        let late = approximate(message("a", 20, Via::Webhook));
        let early = approximate(message("a", 10, Via::Webhook));
        assert_eq!(published(vec![late.clone(), early.clone(), late.clone()]), [(0, 20), (1, 10)]);
        assert_eq!(published(vec![early, late]), [(0, 10)]);
    }

    #[test]
    fn an_exact_time_replaces_a_time_of_delivery_for_good() {
        let delivery = approximate(message("a", 20, Via::Webhook));
        let exact = message("a", 15, Via::Webhook);
        assert_eq!(
            published(vec![delivery.clone(), exact.clone(), delivery.clone()]),
            [(0, 20), (1, 15)]
        );
        assert_eq!(published(vec![exact, delivery]), [(0, 15)]);
    }

    #[test]
    fn a_message_without_content_never_replaces_one_with() {
        let mut missing = message("a", 10, Via::Webhook);
        if let Fact::MessageReceived(message) = &mut missing.event.data.fact {
            message.text = None;
            message.content_missing = Some(true);
        }
        let full = message("a", 10, Via::Webhook);
        assert_eq!(published(vec![full.clone(), missing.clone()]), [(0, 10)]);
        assert_eq!(published(vec![missing, full]), [(0, 10), (1, 10)]);
    }

    #[test]
    fn what_was_withdrawn_does_not_return() {
        let fact = message("a", 10, Via::Webhook);
        let withdrawal = Draft::withdrawal(
            Channel::Instagram,
            "1".into(),
            None,
            fact.event.id.clone(),
            WithdrawReason::Superseded,
            None,
            None,
            Timestamp::from_millis(30),
            Via::Reconcile,
        );
        let decision = decide(vec![withdrawal.clone(), fact, withdrawal], Known::default());
        assert_eq!(decision.publish.len(), 1);
        assert_eq!((decision.refused.len(), decision.known.len()), (1, 1));
        // Another reason for the same withdrawal says nothing new, unless it is the erasure.
        let stored: Vec<Stored> =
            decision.publish.iter().map(|planned| Stored::of(&planned.draft.event)).collect();
        let again = |reason: WithdrawReason| {
            let mut draft = decision.publish[0].draft.clone();
            let Fact::FactWithdrawn(body) = &mut draft.event.data.fact else { panic!("{draft:?}") };
            (body.reason, body.superseded_by) = (reason, Some(EventId::from("evt_2")));
            let withdrawn = HashSet::from([body.event_id.clone()]);
            let facts = HashMap::from([(draft.event.id.clone(), stored.clone())]);
            decide(vec![draft], Known { facts, withdrawn }).publish.len()
        };
        assert_eq!((again(WithdrawReason::Superseded), again(WithdrawReason::Erased)), (0, 1));
    }

    #[test]
    fn a_contact_is_discovered_once() {
        let discovered = |time| {
            let fact = Fact::ContactDiscovered(ContactDiscovered {
                placeholder: "IG User 0011".to_owned(),
                username: None,
                last_interaction_at: None,
            });
            let mut draft = message("", time, Via::Webhook);
            draft.event.data.fact = fact;
            approximate(draft)
        };
        assert_eq!(published(vec![discovered(20), discovered(10)]), [(0, 20)]);
    }

    #[test]
    fn one_call_gives_what_many_give() {
        let drafts = vec![
            message("a", 10, Via::Reconcile),
            message("b", 10, Via::Webhook),
            approximate(message("c", 5, Via::Webhook)),
            message("c", 10, Via::Webhook),
        ];
        let mut known = Known::default();
        let mut single = Vec::new();
        for draft in drafts.clone() {
            for planned in decide(vec![draft], known.clone()).publish {
                let event = &planned.draft.event;
                known.facts.entry(event.id.clone()).or_default().push(Stored::of(event));
                single.push((event.revision(), event.time.as_millis()));
            }
        }
        assert_eq!(published(drafts), single);
    }
}
