//! Any order, duplication, replay or batching of the same set of events ends in the same rows.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use schemas::{AccountId, Channel, Event, Fact};

use super::conversation::{Identity, conversation_row};
use super::fixture::*;
use super::history::history;
use super::kept::Kept;
use super::message::message_row;
use super::{Class, RowFact, comment, insight, label, mention, note, post, reaction};

impl Kept {
    /// Every row, as text that can be compared and read.
    pub(super) fn rows(&self) -> BTreeMap<String, String> {
        let entities: BTreeSet<&str> = self.entities().collect();
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
            Class::Label => label::label_row(entity, facts).map(|row| format!("{row:?}")),
            Class::Note => note::note_row(entity, facts).map(|row| format!("{row:?}")),
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
    fn of_an_erased_fact_nothing_is_kept_in_whatever_order(
        (events, shuffled) in history().prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle())),
        at in any::<prop::sample::Index>(),
        size in 1..9_usize,
    ) {
        let gone = at.get(&events).clone();
        prop_assume!(!matches!(gone.data.fact, Fact::FactWithdrawn(_)));
        let mut erased = withdrawal(&gone);
        if let Fact::FactWithdrawn(body) = &mut erased.data.fact {
            body.reason = schemas::facts::WithdrawReason::Erased;
        }
        let mut kept = Kept::default();
        let all: Vec<Event> = [erased.clone()].into_iter().chain(shuffled).collect();
        for batch in all.chunks(size) {
            kept.take(batch.iter().cloned());
        }
        prop_assert!(!kept.has(&gone.id));
        let mut kept = Kept::default();
        for batch in events.iter().cloned().chain([erased]).collect::<Vec<_>>().chunks(size) {
            kept.take(batch.iter().cloned());
        }
        prop_assert!(!kept.has(&gone.id));
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
