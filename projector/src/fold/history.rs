//! Histories for property tests: events of all sorts about few rows, so that they meet.

use proptest::prelude::*;
use schemas::facts::{
    BlockMark, By, Comment, ContactDiscovered, ConversationAssigned, ConversationLabel,
    ConversationMark, ConversationNoted, ConversationRead, ConversationSnoozed, PostChanged,
    PostReacted, Profile, Receipt, SenderResolution, SenderUnresolved,
};
use schemas::{Event, Fact, Timestamp, Via};

use super::fixture::*;

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
        // Two sources of one rank may have the same words and differ in what else reaches the row.
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
    (0..12_u8, word(), seconds(), 0..20_u8).prop_map(move |(what, word, s, key)| {
        let fact = match what {
            0 => Fact::ConversationRead(ConversationRead {
                last_message_at: (key % 2 == 0)
                    .then(|| Timestamp::from_millis(1_795_000_000_000 + i64::from(key) * 500)),
                ..ConversationRead::default()
            }),
            1 => Fact::ConversationArchived(mark()),
            2 => Fact::ConversationUnarchived(mark()),
            3 => Fact::ConversationAssigned(ConversationAssigned {
                assigned_to: Some(word),
                by: None,
            }),
            4 => Fact::ContactBlocked(BlockMark { name: None, reason: Some(word), by: None }),
            5 => Fact::ContactUnblocked(BlockMark::default()),
            8 => Fact::ConversationLabelled(ConversationLabel { label: word, by: None }),
            9 => Fact::ConversationUnlabelled(ConversationLabel { label: word, by: None }),
            10 => Fact::ConversationNoted(ConversationNoted {
                note_id: format!("nte_{}", key % 3),
                text: word,
                by: None,
            }),
            11 => Fact::ConversationSnoozed(ConversationSnoozed {
                until: (key % 3 > 0).then(|| at(60 + s)),
                by: Some(word),
                last_message_at: (key % 2 == 0).then(|| at(i64::from(key))),
            }),
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

/// A history: facts, some read again under a higher revision, some withdrawn, some delivered twice.
pub(super) fn history() -> impl Strategy<Value = Vec<Event>> {
    let fact = prop_oneof![4 => of_messages(), 1 => of_conversations(), 1 => of_comments()];
    let delivered = (fact, 0..3_u32, prop::bool::weighted(0.15), prop::bool::weighted(0.3));
    prop::collection::vec(delivered, 1..40).prop_map(|delivered| {
        let mut events = Vec::new();
        for (fact, revision, gone, twice) in delivered {
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
