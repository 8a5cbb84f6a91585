//! Any order, duplication, replay or batching of the same set of events ends in the same rows.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proptest::prelude::*;
use schemas::facts::{
    BlockMark, By, Comment, ContactDiscovered, ConversationAssigned, ConversationMark, PostChanged,
    PostReacted, Profile, Receipt, SenderResolution, SenderUnresolved,
};
use schemas::{AccountId, Channel, Event, EventId, Fact, Timestamp, Via};

use super::conversation::{Identity, conversation_row};
use super::fixture::*;
use super::message::{self, message_row};
use super::{Arrival, Class, Held, Known, Piece, absorb, comment, feed, split};

/// What is kept, by event: the tables `facts` and `withdrawn` as a value. Decides nothing.
#[derive(Clone, Default)]
pub(super) struct Kept {
    by_event: BTreeMap<EventId, Vec<Piece>>,
    withdrawn: BTreeSet<EventId>,
}

impl Kept {
    pub(super) fn take(&mut self, batch: impl IntoIterator<Item = Event>) {
        let arrivals: Vec<Arrival> = batch.into_iter().map(split).collect();
        let mut known = Known { held: HashMap::new(), withdrawn: self.withdrawn.clone() };
        for id in arrivals.iter().map(Arrival::event_id) {
            if let Some(pieces) = self.by_event.get(id).filter(|pieces| !pieces.is_empty()) {
                let held = Held {
                    version: pieces[0].version.clone(),
                    entities: pieces.iter().map(|piece| piece.entity.clone()).collect(),
                };
                known.held.insert(id.clone(), held);
            }
        }
        let changes = absorb(&known, arrivals);
        for id in &changes.replaced {
            self.by_event.remove(id);
        }
        for id in &changes.blanked {
            for piece in self.by_event.get_mut(id).into_iter().flatten() {
                piece.said = None;
            }
        }
        self.withdrawn.extend(changes.withdrawn.into_keys());
        for piece in changes.pieces {
            self.by_event.entry(piece.event_id.clone()).or_default().push(piece);
        }
        for entity in changes.touched {
            let pieces = self.of(&entity);
            for scrubbed in message::scrubbed(&pieces).into_iter().chain(comment::scrubbed(&pieces))
            {
                let kept = self.by_event.get_mut(&scrubbed.event_id).unwrap();
                let place = kept.iter_mut().find(|piece| piece.entity == scrubbed.entity).unwrap();
                *place = scrubbed;
            }
        }
    }

    /// Pieces in the order the database may give them: none in particular.
    pub(super) fn of(&self, entity: &str) -> Vec<Piece> {
        self.by_event.values().flatten().filter(|piece| piece.entity == entity).cloned().collect()
    }

    /// Every row, as text that can be compared and read.
    pub(super) fn rows(&self) -> BTreeMap<String, String> {
        let entities: BTreeSet<&str> =
            self.by_event.values().flatten().map(|piece| piece.entity.as_str()).collect();
        entities
            .into_iter()
            .filter_map(|entity| Some((entity.to_owned(), self.row(entity)?)))
            .collect()
    }

    fn row(&self, entity: &str) -> Option<String> {
        let mut pieces = self.of(entity);
        let row = |pieces: &[Piece]| match Class::of(entity)? {
            Class::Message => message_row(entity, pieces).map(|row| format!("{row:?}")),
            Class::Comment => comment::comment_row(entity, pieces).map(|row| format!("{row:?}")),
            Class::Reaction => feed::reaction_row(entity, pieces).map(|row| format!("{row:?}")),
            Class::Post => feed::post_row(entity, pieces).map(|row| format!("{row:?}")),
            Class::Mention => feed::mention_row(entity, pieces).map(|row| format!("{row:?}")),
            Class::Insight => feed::insight_row(entity, pieces).map(|row| format!("{row:?}")),
            Class::Receipt => {
                pieces.iter().find(|piece| piece.said.is_some()).map(|piece| format!("{piece:?}"))
            }
            Class::Conversation => {
                let identity = Identity {
                    channel: Channel::Instagram,
                    account_id: AccountId::from(ACCOUNT),
                    contact_id: ANN.into(),
                };
                Some(format!("{:?}", conversation_row(entity, identity, pieces)))
            }
            Class::Nothing => None,
        };
        let found = row(&pieces);
        pieces.reverse();
        assert_eq!(found, row(&pieces), "the order of the pieces of {entity} shows in its row");
        found
    }
}

fn mid() -> impl Strategy<Value = String> {
    (0..3_u8).prop_map(|n| format!("mid.{n}"))
}

fn seconds() -> impl Strategy<Value = i64> {
    0..6_i64 // few, so that times are often equal
}

fn by() -> impl Strategy<Value = By> {
    prop_oneof![Just(By::Contact), Just(By::Account)]
}

fn word() -> impl Strategy<Value = String> {
    (0..4_u8).prop_map(|n| format!("word {n}"))
}

fn of_messages() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (mid(), word(), seconds()).prop_map(|(mid, text, s)| received(&mid, &text, s)),
        3 => (mid(), word(), seconds()).prop_map(|(mid, text, s)| echo(&mid, &text, s)),
        // Two sources of one rank may tell the same words and differ in what else reaches the row.
        3 => (mid(), word(), seconds(), any::<bool>(), any::<bool>(), 0..3_u8).prop_map(|(mid, text, s, out, import, how)| {
            let mut event = if out { echo(&mid, &text, s) } else { received(&mid, &text, s) };
            event.data.origin.via = if import { Via::Backfill } else { Via::Reconcile };
            if let Fact::MessageReceived(message) | Fact::MessageSent(message) = &mut event.data.fact {
                let method = ["twin", "graph_message"].get(usize::from(how)).map(ToString::to_string);
                message.sender_resolution = method.map(|method| SenderResolution { method, evidence: None });
            }
            event
        }),
        1 => (mid(), seconds()).prop_map(|(mid, s)| {
            let mut event = received(&mid, "", s);
            if let Fact::MessageReceived(message) = &mut event.data.fact {
                message.text = None;
                message.content_missing = Some(true);
            }
            event.data.time_approximate = true;
            event
        }),
        3 => (mid(), word(), prop::option::of(1..4_i64), seconds()).prop_map(|(mid, text, n, s)| edited(&mid, &text, n, s)),
        2 => (mid(), seconds()).prop_map(|(mid, s)| unsent(&mid, s)),
        2 => (mid(), by(), word(), seconds()).prop_map(|(mid, by, emoji, s)| reacted(&mid, by, &emoji, s)),
        1 => (mid(), by(), seconds()).prop_map(|(mid, by, s)| unreacted(&mid, by, s)),
        2 => (mid(), seconds()).prop_map(|(mid, s)| seen(&mid, s)),
        1 => (prop::option::of(mid()), word(), seconds()).prop_map(|(mid, title, s)| postback(mid.as_deref(), &title, s)),
        3 => (mid(), mid(), word(), seconds()).prop_map(|(one, two, text, s)| {
            reply(&text.replace("word ", "rpl_"), &[(&one, &text), (&two, "second part")], s)
        }),
        1 => (mid(), any::<bool>(), seconds()).prop_map(|(mid, placed, s)| {
            let body = SenderUnresolved { message_id: mid.as_str().into(), tried: Vec::new(), edit_number: None };
            let mut event = event(&mid, s, Via::Webhook, Fact::SenderUnresolved(body));
            if !placed {
                event.data.contact_id = None;
                event.data.conversation_id = None;
            }
            event
        }),
        1 => (seconds(), seconds()).prop_map(|(watermark, s)| {
            let watermark = Some(Timestamp::from_millis(1_795_000_000_000 + watermark * 1000));
            let body = Receipt { message_id: None, watermark };
            event(&format!("{watermark:?}"), s, Via::Webhook, Fact::MessageDelivered(body))
        }),
    ]
}

fn of_conversations() -> impl Strategy<Value = Event> {
    let mark = || ConversationMark { by: None };
    (0..8_u8, word(), seconds(), 0..20_u8).prop_map(move |(what, word, s, key)| {
        let fact = match what {
            0 => Fact::ConversationRead(mark()),
            1 => Fact::ConversationArchived(mark()),
            2 => Fact::ConversationUnarchived(mark()),
            3 => Fact::ConversationAssigned(ConversationAssigned {
                assigned_to: Some(word),
                by: None,
            }),
            4 => Fact::ContactBlocked(BlockMark { name: None, reason: Some(word), by: None }),
            5 => Fact::ContactUnblocked(BlockMark::default()),
            6 => Fact::ContactEnriched(Profile { name: Some(word), ..Profile::default() }),
            _ => Fact::ContactDiscovered(ContactDiscovered {
                placeholder: word,
                username: None,
                last_interaction_at: None,
            }),
        };
        event(&key.to_string(), s, Via::Api, fact)
    })
}

fn of_comments() -> impl Strategy<Value = Event> {
    (0..9_u8, 0..2_u8, word(), seconds(), 0..9_u8).prop_map(|(what, id, word, s, key)| {
        let body = Comment {
            comment_id: format!("c{id}"),
            text: Some(word.clone()),
            ..Comment::default()
        };
        let author = schemas::facts::Author { username: Some(word.clone()), ..Default::default() };
        let bare = Comment { text: None, author, ..body.clone() };
        let post = |verb: &str| PostChanged {
            post_id: Some(format!("p{id}")),
            item: "post".to_owned(),
            verb: verb.to_owned(),
            text: Some(word.clone()),
            ..PostChanged::default()
        };
        let (key, fact) = match what {
            0 => (format!("c{id}"), Fact::CommentCreated(body)),
            1 => (format!("{id}/{key}"), Fact::CommentEdited(body)),
            2 => (format!("{id}/{key}"), Fact::CommentHidden(bare)),
            3 => (format!("{id}/{key}"), Fact::CommentUnhidden(bare)),
            4 => (format!("c{id}"), Fact::CommentDeleted(bare)),
            5 => (format!("{id}/{key}"), Fact::PostChanged(post("add"))),
            6 => (format!("{id}/{key}"), Fact::PostChanged(post("edited"))),
            7 => (format!("{id}/{key}"), Fact::PostChanged(post("remove"))),
            _ => {
                let verb = if key % 2 == 0 { "add" } else { "remove" };
                let body = PostReacted {
                    post_id: format!("p{id}"),
                    verb: verb.to_owned(),
                    reaction: Some(word),
                    author: schemas::facts::Author {
                        id: Some("7".to_owned()),
                        ..Default::default()
                    },
                };
                (format!("{id}/{key}"), Fact::PostReacted(body))
            }
        };
        event(&key, s, Via::Webhook, fact)
    })
}

/// A history: facts, some read again under a higher revision, some withdrawn, some told twice.
fn history() -> impl Strategy<Value = Vec<Event>> {
    let fact = prop_oneof![4 => of_messages(), 1 => of_conversations(), 1 => of_comments()];
    let told = (fact, 0..3_u32, prop::bool::weighted(0.15), prop::bool::weighted(0.3));
    prop::collection::vec(told, 1..40).prop_map(|told| {
        let mut events = Vec::new();
        for (fact, revision, gone, twice) in told {
            let fact = revised(fact, revision);
            if gone {
                events.push(withdrawal(&fact));
            }
            if twice {
                events.push(fact.clone());
            }
            events.push(fact);
        }
        events
    })
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
        // And once more from the start, as a replay tells it.
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
        for piece in kept.of(&id) {
            let body = piece.said.map(|said| said.to_body().unwrap().to_string()).unwrap_or_default();
            let reaction = piece.kind == schemas::Kind::MessageReacted;
            prop_assert!(reaction || !(body.contains("word") || body.contains("second part")), "{body}");
        }
    }
}
