use proptest::prelude::*;
use schemas::event::Origin;
use schemas::facts::{Attachment, Author, Comment, CommentAd, Message, Postback, Referral};
use schemas::{Channel, EventId};

use super::*;
use crate::decide::{Decision, Known, decide_next};
use crate::draft::Draft;

fn event(time: Option<i64>, raw_seq: u64, fact: Fact) -> Event {
    let origin = Origin {
        source_era: None,
        via: Via::Webhook,
        raw_stream_sequence: Some(raw_seq),
        index: Some(0),
        revision: 0,
    };
    let mut event = Event::new(
        EventId::from("evt_1"),
        Timestamp::from_millis(time.unwrap_or(900)),
        Channel::Instagram,
        "17841488000000101".into(),
        None,
        origin,
        fact,
    );
    event.data.time_approximate = time.is_none();
    event
}

fn merged(events: &[Event]) -> Event {
    let mut reports = Reports::default();
    for event in events {
        reports.add(Source::of(event), Report::of(event));
    }
    reports.merged().unwrap()
}

fn comment(raw_seq: u64, media: &str, product: &str, ad: Option<&str>) -> Event {
    let ad = ad.map(|ad| CommentAd { ad_id: Some(ad.to_owned()), ..CommentAd::default() });
    let fact = Fact::CommentCreated(Comment {
        comment_id: "c".to_owned(),
        media_id: Some(media.to_owned()),
        media_product_type: Some(product.to_owned()),
        ad,
        ..Comment::default()
    });
    event(None, raw_seq, fact)
}

#[test]
fn a_boosted_comment_belongs_to_the_post_and_keeps_its_ad() {
    for (ad, post) in [(1, 2), (2, 1)] {
        let all = [comment(ad, "ad's", "AD", Some("120")), comment(post, "post's", "FEED", None)];
        let Fact::CommentCreated(body) = merged(&all).data.fact else { panic!() };
        assert_eq!(
            (body.media_id.as_deref(), body.media_product_type.as_deref()),
            (Some("post's"), Some("FEED"))
        );
        assert_eq!(body.ad.unwrap().ad_id.as_deref(), Some("120"));
    }
}

fn message(time: Option<i64>, raw_seq: u64, change: impl FnOnce(&mut Message)) -> Event {
    let mut body = Message { message_id: "m".into(), ..Message::default() };
    change(&mut body);
    event(time, raw_seq, Fact::MessageReceived(body))
}

fn text(event: &Event) -> Option<&str> {
    match &event.data.fact {
        Fact::MessageReceived(body) | Fact::MessageSent(body) => body.text.as_deref(),
        _ => None,
    }
}

#[test]
fn the_later_wins_by_metas_time_then_by_position() {
    let says = |time, raw_seq, text: &str| {
        message(time, raw_seq, |body| body.text = Some(text.to_owned()))
    };
    assert_eq!(text(&merged(&[says(Some(10), 1, "a"), says(Some(10), 2, "b")])), Some("b"));
    assert_eq!(text(&merged(&[says(Some(11), 1, "a"), says(Some(10), 2, "b")])), Some("a"));
    // A time of delivery is not Meta's.
    let exact = merged(&[says(Some(10), 1, "a"), says(None, 2, "b")]);
    assert_eq!((text(&exact), exact.time.as_millis()), (Some("a"), 10));
    assert!(!exact.data.time_approximate);
    // Delivered again it says nothing later than it did first.
    assert_eq!(
        text(&merged(&[says(Some(10), 1, "a"), says(Some(10), 2, "b"), says(Some(10), 3, "a")])),
        Some("b")
    );
}

#[test]
fn standby_and_missing_content_hold_only_if_every_report_says_so() {
    let mut aside = message(Some(10), 2, |body| body.content_missing = Some(true));
    aside.data.standby = true;
    let full = message(Some(10), 1, |body| body.text = Some("hi".to_owned()));
    let both = merged(&[full, aside.clone()]);
    let Fact::MessageReceived(body) = &both.data.fact else { panic!() };
    assert_eq!((body.text.as_deref(), body.content_missing), (Some("hi"), None));
    assert!(!both.data.standby);
    let mut other = aside.clone();
    other.data.origin.raw_stream_sequence = Some(3);
    other.time = Timestamp::from_millis(11);
    let both = merged(&[aside, other]);
    let Fact::MessageReceived(body) = &both.data.fact else { panic!() };
    assert!(both.data.standby && body.content_missing == Some(true));
}

#[test]
fn parts_of_fields_are_merged_where_they_are_about_the_same() {
    let with = |raw_seq, url: Option<&str>, ad: Option<&str>, reference: Option<&str>| {
        message(Some(10), raw_seq, |body| {
            body.attachments = vec![Attachment {
                kind: "image".to_owned(),
                url: url.map(str::to_owned),
                ..Attachment::default()
            }];
            body.referral = Some(Referral {
                ad_id: ad.map(str::to_owned),
                reference: reference.map(str::to_owned),
                ..Referral::default()
            });
        })
    };
    let both = merged(&[with(1, Some("u"), Some("7"), None), with(2, None, None, Some("r"))]);
    let Fact::MessageReceived(body) = &both.data.fact else { panic!() };
    assert_eq!(body.attachments[0].url.as_deref(), Some("u"));
    let referral = body.referral.as_ref().unwrap();
    assert_eq!((referral.ad_id.as_deref(), referral.reference.as_deref()), (Some("7"), Some("r")));
}

/// One kind of fact with fields of all sorts, few values, so that reports meet.
fn any_fact() -> impl Strategy<Value = Fact> {
    let word =
        || prop::option::of(prop::sample::select(vec!["", "a", "b", "c"]).prop_map(str::to_owned));
    let flag = || prop::option::of(Just(true));
    let of_message = (word(), word(), word(), word(), flag(), flag(), word(), 0..3_usize).prop_map(
        |(text, app_id, metadata, user_ref, unsupported, content_missing, ad_id, files)| Message {
            message_id: "m".into(),
            text,
            app_id,
            metadata,
            user_ref: user_ref.clone(),
            unsupported,
            content_missing,
            referral: ad_id.map(|ad_id| Referral {
                ad_id: Some(ad_id),
                source: user_ref.clone(),
                ..Referral::default()
            }),
            attachments: vec![
                Attachment {
                    kind: "image".to_owned(),
                    url: user_ref,
                    ..Attachment::default()
                };
                files
            ],
            ..Message::default()
        },
    );
    prop_oneof![
        3 => (of_message, any::<bool>()).prop_map(|(body, sent)| if sent { Fact::MessageSent(body) } else { Fact::MessageReceived(body) }),
        2 => (word(), word(), word(), word(), flag(), word(), word()).prop_map(|(media_id, product, text, ad_id, live, id, username)| {
            Fact::CommentCreated(Comment {
                comment_id: "c".to_owned(),
                media_id,
                media_product_type: product,
                text,
                ad: ad_id.map(|ad_id| CommentAd { ad_id: Some(ad_id), ..CommentAd::default() }),
                live,
                author: Author { id, username, is_self: None },
                ..Comment::default()
            })
        }),
        1 => (word(), word(), word()).prop_map(|(title, payload, user_ref)| {
            Fact::PostbackReceived(Postback { title: title.unwrap_or_default(), payload, user_ref, ..Postback::default() })
        }),
    ]
}

/// Reports of one fact: all of one kind of body.
fn any_reports() -> impl Strategy<Value = Vec<Event>> {
    let one = (any_fact(), prop::option::of(0..3_i64), any::<bool>(), any::<bool>(), 0..3_u8);
    prop::collection::vec(one, 1..6).prop_map(|all| {
        let body = |fact: &Fact| match fact {
            Fact::MessageReceived(_) | Fact::MessageSent(_) => 0,
            Fact::CommentCreated(_) => 1,
            _ => 2,
        };
        let first = body(&all[0].0);
        let mut events = Vec::new();
        for (fact, time, standby, is_self, contact) in all {
            if body(&fact) != first {
                continue;
            }
            let mut event = event(time, 10 + events.len() as u64, fact);
            event.data.standby = standby;
            event.data.is_self = is_self;
            event.data.contact_id =
                (contact > 0).then(|| format!("520000000000000{contact}").into());
            event.data.conversation_id = event.data.contact_id.as_ref().map(|contact| {
                ConversationId::of(event.data.channel, &event.data.account_id, contact)
            });
            events.push(event);
        }
        events
    })
}

/// All texts, numbers and flags of a value with their paths; items of lists by their place.
fn leaves(value: &Value, path: &str, into: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| leaves(value, &format!("{path}/{name}"), into))
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(n, value)| leaves(value, &format!("{path}/{n}"), into)),
        leaf if says(leaf) => into.push((path.to_owned(), leaf.to_string())),
        _ => {}
    }
}

fn leaves_of(event: &Event) -> Vec<(String, String)> {
    let mut all = Vec::new();
    leaves(&Value::Object(event.data.fact.to_fields().unwrap()), "", &mut all);
    all
}

/// What is published of reports that come in this order, one call each: the last reading and how many there were. The facts' tables as a value.
fn published(events: &[Event]) -> (Event, usize) {
    let mut known = Known::default();
    let (mut last, mut revisions) = (None, 0);
    for event in events {
        let Decision { publish, .. } = decide_next(vec![Draft::of(event.clone())], &mut known);
        for planned in publish {
            revisions += 1;
            assert_eq!(planned.draft.event.revision() + 1, revisions);
            last = Some(planned.draft.event);
        }
    }
    (last.unwrap(), revisions as usize)
}

/// Without what only says how it came.
fn plain(mut event: Event) -> Event {
    event.data.origin = Origin::of(Via::Webhook);
    event
}

fn check(events: &[Event], shuffled: &[Event]) -> Result<(), TestCaseError> {
    let whole = merged(events);
    // Commutative and idempotent: also one after the other, through what is stored, and each twice.
    prop_assert_eq!(plain(merged(shuffled)), plain(whole.clone()));
    let (reading, revisions) = published(events);
    prop_assert_eq!(plain(reading), plain(whole.clone()));
    prop_assert!(revisions <= events.len());
    let (reading, _) = published(shuffled);
    prop_assert_eq!(digest(&reading), digest(&whole));
    // Delivered again, in other raw webhooks.
    let again = events.iter().cloned().map(|mut event| {
        let seq = event.data.origin.raw_stream_sequence.unwrap();
        event.data.origin.raw_stream_sequence = Some(seq + 100);
        event
    });
    let twice: Vec<Event> = shuffled.iter().cloned().chain(again).collect();
    let (reading, doubled) = published(&twice);
    prop_assert_eq!(plain(reading), plain(whole.clone()));
    prop_assert_eq!(doubled, published(shuffled).1, "a report that adds nothing makes no revision");
    // Nothing that one had is lost, nothing comes from nowhere.
    let all: Vec<Vec<(String, String)>> = events.iter().map(leaves_of).collect();
    let found = leaves_of(&whole);
    for (path, value) in &found {
        let said = all.iter().flatten().any(|leaf| leaf == &(path.clone(), value.clone()));
        prop_assert!(said, "{path} = {value} is of no report");
    }
    for (path, _) in all.iter().flatten() {
        let kept = found.iter().any(|(other, _)| other == path);
        // Of two lists of different length the later stands; missing content is no field to keep.
        prop_assert!(
            kept || path.starts_with("/attachments/") || path == "/content_missing",
            "{path} is lost"
        );
    }
    prop_assert_eq!(whole.data.standby, events.iter().all(|event| event.data.standby));
    Ok(())
}

/// Associative: what comes in parts, each merged in its own order, ends the same.
fn in_parts(events: &[Event], cut: usize) -> Result<(), TestCaseError> {
    let (first, second) = events.split_at(cut.min(events.len()));
    let mut one = Reports::default();
    let mut other = Reports::default();
    for event in first {
        one.add(Source::of(event), Report::of(event));
    }
    for event in second {
        other.add(Source::of(event), Report::of(event));
    }
    for (source, report) in one.iter() {
        other.add(source, report.clone());
    }
    prop_assert_eq!(other.merged().unwrap(), merged(events));
    Ok(())
}

fn orders() -> impl Strategy<Value = (Vec<Event>, Vec<Event>)> {
    any_reports().prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reports_in_any_order_and_doubled_end_in_one_reading((events, shuffled) in orders(), cut in 0..6_usize) {
        check(&events, &shuffled)?;
        in_parts(&events, cut)?;
    }
}

/// `cargo test -p facts --release -- --ignored a_million_merges`
#[test]
#[ignore = "takes minutes; `make soak` runs it"]
fn a_million_merges() {
    let config =
        ProptestConfig { cases: 1_000_000, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |((events, shuffled) in orders(), cut in 0..6_usize)| {
        check(&events, &shuffled)?;
        in_parts(&events, cut)?;
    });
}
