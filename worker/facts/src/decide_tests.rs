use schemas::event::Origin;
use schemas::facts::{ContactDiscovered, Message};
use schemas::{Channel, Via};

use super::*;
use crate::draft::{Direction, MessageFact};

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

/// The same drafts from raw webhooks of their own.
fn numbered(drafts: Vec<Draft>) -> Vec<Draft> {
    let number = |(mut draft, n): (Draft, u64)| {
        draft.event.data.origin.raw_stream_sequence = Some(n);
        draft
    };
    drafts.into_iter().zip(1..).map(number).collect()
}

/// Revision and time of what is published for a sequence of drafts of one fact.
fn published(drafts: Vec<Draft>) -> Vec<(u32, i64)> {
    decide(numbered(drafts), Known::default())
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
        decide(vec![draft], Known { facts, withdrawn, ..Known::default() }).publish.len()
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
    for draft in numbered(drafts.clone()) {
        for planned in decide_next(vec![draft], &mut known).publish {
            let event = &planned.draft.event;
            single.push((event.revision(), event.time.as_millis()));
        }
    }
    assert_eq!(published(drafts), single);
}

/// What is published with a second webhook, where the reports of the first are these.
fn second(draft: Draft, reports: Option<Reports>) -> Decision {
    let first = numbered(vec![message("a", 10, Via::Webhook)]).remove(0);
    let mut known = Known::default();
    decide_next(vec![first], &mut known);
    known.reports = reports.map(|reports| (draft.event.id.clone(), reports)).into_iter().collect();
    decide(vec![draft], known)
}

#[test]
fn what_cannot_be_read_any_more_is_not_merged_and_not_lost() {
    let mut other = message("b", 10, Via::Webhook);
    other.event.data.origin.raw_stream_sequence = Some(7);
    let decision = second(other.clone(), None);
    assert_eq!((decision.publish.len(), decision.known.len()), (0, 1));
    // The same item, read by another normaliser, replaces what it said.
    other.event.data.origin.raw_stream_sequence = Some(1);
    let decision = second(other, None);
    assert_eq!((decision.publish.len(), decision.publish[0].merged), (1, false));
    assert!(decision.reports.is_empty());
}

#[test]
fn a_report_that_changes_no_reading_is_kept_beside_the_others() {
    let first = numbered(vec![message("a", 10, Via::Webhook)]).remove(0);
    let reports = Reports::one(Source::of(&first.event), Report::of(&first.event));
    let mut less = message("a", 10, Via::Webhook);
    less.event.data.origin.raw_stream_sequence = Some(7);
    less.event.data.contact_id = None;
    let decision = second(less.clone(), Some(reports));
    assert_eq!((decision.publish.len(), decision.known.len()), (0, 1));
    let kept = &decision.reports[&less.event.id];
    assert_eq!(kept.len(), 2);
    assert_eq!(decision.changed().len(), 1);
}

#[test]
fn the_person_of_a_merged_reading_has_its_message_in_the_right_direction() {
    let mut drafts = numbered(vec![message("a", 20, Via::Webhook), message("b", 10, Via::Webhook)]);
    let Fact::MessageReceived(body) = drafts[1].event.data.fact.clone() else { panic!() };
    drafts[1].event.data.fact = Fact::MessageSent(Message { app_id: Some("7".to_owned()), ..body });
    drafts[1].messages = vec![MessageFact::of("m1".into(), Direction::Outbound)];
    let decision = decide(drafts, Known::default());
    let last = &decision.publish[1].draft;
    assert_eq!(last.event.kind(), Kind::MessageReceived, "the later says what it is");
    assert_eq!(last.messages[0].direction, Direction::Inbound);
}

#[test]
fn what_is_decided_twice_keeps_what_each_item_says_by_itself() {
    let at = |mut draft: Draft, seq: u64| {
        draft.event.data.origin.raw_stream_sequence = Some(seq);
        draft
    };
    let rich = |text: &str| {
        let mut draft = message(text, 20, Via::Webhook);
        if let Fact::MessageReceived(message) = &mut draft.event.data.fact {
            message.unsupported = Some(true);
        }
        draft
    };
    let mut known = Known::default();
    decide_next(vec![at(message("a", 10, Via::Webhook), 1), at(rich("b"), 2)], &mut known);
    // A better normaliser reads both anew; what it no longer finds in the second is gone.
    let drafts =
        vec![at(message("a2", 10, Via::Webhook), 1), at(message("b", 20, Via::Webhook), 2)];
    let changed = decide(drafts.clone(), known.clone()).changed();
    let again: Vec<Draft> =
        drafts.iter().filter(|draft| changed.contains(&draft.event.id)).cloned().collect();
    let decision = decide(again, known);
    let kept = &decision.reports[&drafts[0].event.id];
    let own: Vec<_> = drafts.iter().map(|draft| digest(&draft.event)).collect();
    let digests: Vec<_> = kept.iter().map(|(_, report)| report.digest).collect();
    assert_eq!(digests, own);
    let Fact::MessageReceived(last) = &decision.publish.last().unwrap().draft.event.data.fact
    else {
        panic!()
    };
    assert_eq!(last.unsupported, None);
}

#[test]
fn what_a_person_did_before_their_erasure_is_refused_from_every_source_and_in_the_same_call() {
    let at = |draft: Draft, id: &str| {
        let event = Event { id: EventId::from(id), ..draft.event };
        Draft { event, ..draft }
    };
    let (channel, account) = (Channel::Instagram, "1".into());
    let until = Timestamp::from_millis(20);
    let rule =
        crate::erased::person_withdrawal(channel, &account, &"5200000000000011".into(), until);
    let sources = [Via::Webhook, Via::Backfill, Via::Reconcile, Via::Reply];
    let before = sources.map(|via| at(message("a", 20, via), &format!("evt_{}", via.as_str())));
    let after = at(message("b", 21, Via::Webhook), "evt_new");
    let drafts: Vec<Draft> =
        [rule.clone()].into_iter().chain(before).chain([after, rule]).collect();
    let decision = decide(drafts, Known::default());
    let published: Vec<&str> =
        decision.publish.iter().map(|planned| planned.draft.event.kind().as_str()).collect();
    assert_eq!(published, ["fact.withdrawn", "message.received"]);
    assert_eq!((decision.refused.len(), decision.known.len()), (4, 1));
}
