//! Any order, duplication, replay or batching of the same set of events ends in the same rows.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proptest::prelude::*;
use schemas::{AccountId, Channel, Event, EventId, Fact};

use super::conversation::{Identity, conversation_row};
use super::fixture::*;
use super::history::history;
use super::message::{self, message_row};
use super::{
    Arrival, Class, Held, Known, RowFact, absorb, comment, insight, mention, post, reaction, split,
};

/// What is kept, by event: the tables `facts` and `withdrawn` as a value. Decides nothing.
#[derive(Clone, Default)]
pub(super) struct Kept {
    by_event: BTreeMap<EventId, Vec<RowFact>>,
    withdrawn: BTreeSet<EventId>,
}

impl Kept {
    pub(super) fn take(&mut self, batch: impl IntoIterator<Item = Event>) {
        let arrivals: Vec<Arrival> = batch.into_iter().map(split).collect();
        let mut known = Known { held: HashMap::new(), withdrawn: self.withdrawn.clone() };
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
        self.withdrawn.extend(changes.withdrawn.into_keys());
        for fact in changes.facts {
            self.by_event.entry(fact.event_id.clone()).or_default().push(fact);
        }
        for entity in changes.touched {
            let facts = self.of(&entity);
            for scrubbed in message::scrubbed(&facts).into_iter().chain(comment::scrubbed(&facts)) {
                let kept = self.by_event.get_mut(&scrubbed.event_id).unwrap();
                let place = kept.iter_mut().find(|fact| fact.entity == scrubbed.entity).unwrap();
                *place = scrubbed;
            }
        }
    }

    /// Facts in the order the database may give them: none in particular.
    pub(super) fn of(&self, entity: &str) -> Vec<RowFact> {
        self.by_event.values().flatten().filter(|fact| fact.entity == entity).cloned().collect()
    }

    /// Every row, as text that can be compared and read.
    pub(super) fn rows(&self) -> BTreeMap<String, String> {
        let entities: BTreeSet<&str> =
            self.by_event.values().flatten().map(|fact| fact.entity.as_str()).collect();
        entities
            .into_iter()
            .filter_map(|entity| Some((entity.to_owned(), self.row(entity)?)))
            .collect()
    }

    fn row(&self, entity: &str) -> Option<String> {
        let mut facts = self.of(entity);
        let row = |facts: &[RowFact]| match Class::of(entity)? {
            Class::Message => message_row(entity, facts).map(|row| format!("{row:?}")),
            Class::Comment => comment::comment_row(entity, facts).map(|row| format!("{row:?}")),
            Class::Reaction => reaction::reaction_row(entity, facts).map(|row| format!("{row:?}")),
            Class::Post => post::post_row(entity, facts).map(|row| format!("{row:?}")),
            Class::Mention => mention::mention_row(entity, facts).map(|row| format!("{row:?}")),
            Class::Insight => insight::insight_row(entity, facts).map(|row| format!("{row:?}")),
            Class::Receipt => {
                facts.iter().find(|fact| fact.statement.is_some()).map(|fact| format!("{fact:?}"))
            }
            Class::Conversation => {
                let identity = Identity {
                    channel: Channel::Instagram,
                    account_id: AccountId::from(ACCOUNT),
                    contact_id: ANN.into(),
                };
                Some(format!("{:?}", conversation_row(entity, identity, facts)))
            }
            Class::Nothing => None,
        };
        let found = row(&facts);
        facts.reverse();
        assert_eq!(found, row(&facts), "the order of the facts of {entity} shows in its row");
        found
    }
}

fn in_batches(events: &[Event], size: usize) -> BTreeMap<String, String> {
    let mut kept = Kept::default();
    for batch in events.chunks(size) {
        kept.take(batch.iter().cloned());
    }
    kept.rows()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_order_ends_in_the_same_rows(
        (events, shuffled) in history().prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle())),
        first in 1..9_usize,
        second in 1..9_usize,
    ) {
        let expected = in_batches(&events, first);
        prop_assert_eq!(&in_batches(&shuffled, second), &expected);
        // And once more from the start, as a replay delivers it.
        let again: Vec<Event> = shuffled.iter().chain(&events).cloned().collect();
        prop_assert_eq!(&in_batches(&again, second), &expected);
    }

    #[test]
    fn a_withdrawn_fact_leaves_nothing(events in history(), at in any::<prop::sample::Index>()) {
        let gone = at.get(&events).clone();
        prop_assume!(!matches!(gone.data.fact, Fact::FactWithdrawn(_) | Fact::MessageDeleted(_) | Fact::CommentDeleted(_)));
        let without: Vec<Event> = events.iter().filter(|event| event.id != gone.id).cloned().collect();
        let with: Vec<Event> = events.iter().cloned().chain([withdrawal(&gone)]).collect();
        let rows = |events: &[Event]| {
            let mut rows = in_batches(events, 3);
            rows.retain(|entity, _| !entity.starts_with("cnv_")); // a conversation with nothing known of it has a bare row
            rows
        };
        prop_assert_eq!(rows(&with), rows(&without));
    }

    #[test]
    fn an_unsent_message_keeps_no_words(events in history(), seconds in 0..6_i64) {
        let mut kept = Kept::default();
        kept.take(events.iter().cloned().chain([unsent("mid.0", seconds)]));
        kept.take(events);
        let id = schemas::ids::message_row_id(Channel::Instagram, &AccountId::from(ACCOUNT), "mid.0");
        for fact in kept.of(&id) {
            let body = fact.statement.map(|statement| statement.to_body().unwrap().to_string()).unwrap_or_default();
            let reaction = fact.kind == schemas::Kind::MessageReacted;
            prop_assert!(reaction || !(body.contains("word") || body.contains("second part")), "{body}");
        }
    }
}
