use schemas::Kind;

use super::super::evidence::Method;
use super::super::testing::{PERSON, at, item};
use super::*;
use graph::FoundMessage;

fn settled_by(direction: Direction, text: Option<&str>) -> Settled {
    let content = text.map(|text| FoundMessage {
        id: "aWdfmid".into(),
        text: Some(text.to_owned()),
        created_time: Some(at(-2_000)),
        ..FoundMessage::default()
    });
    Settled {
        author: Author { contact: PERSON.into(), direction },
        method: Method::GraphMessage,
        content,
    }
}

fn facts(item: &Item, settlement: &Settled) -> Vec<Draft> {
    settled(item, settlement, &resolution(settlement, &[], None))
}

fn kinds(drafts: &[Draft]) -> Vec<Kind> {
    drafts.iter().map(|draft| draft.event.kind()).collect()
}

#[test]
fn a_found_message_is_the_fact_its_webhook_would_have_been() {
    let drafts = facts(&item(), &settled_by(Direction::Inbound, Some("Are you open?")));
    assert_eq!(kinds(&drafts), [Kind::ContactDiscovered, Kind::MessageReceived]);
    let event = &drafts[1].event;
    assert_eq!(event.id, ids::message(event.data.channel, &event.data.account_id, "aWdfmid"));
    assert_eq!(
        (event.data.origin.via, event.data.origin.raw_stream_sequence),
        (Via::Reconcile, Some(7))
    );
    assert_eq!((event.time, event.data.time_approximate), (at(-2_000), false));
    let Fact::MessageReceived(body) = &event.data.fact else { panic!("{event:?}") };
    assert_eq!((body.text.as_deref(), body.content_missing), (Some("Are you open?"), None));
    assert_eq!(body.sender_resolution.as_ref().unwrap().method, "graph_message");
    assert_eq!(drafts[1].messages.len(), 1);
}

#[test]
fn a_message_of_the_account_is_sent_and_one_without_content_says_so() {
    let drafts = facts(&item(), &settled_by(Direction::Outbound, None));
    assert_eq!(kinds(&drafts), [Kind::ContactDiscovered, Kind::MessageSent]);
    let Fact::MessageSent(body) = &drafts[1].event.data.fact else { panic!() };
    assert_eq!((body.text.as_deref(), body.content_missing), (None, Some(true)));
    // The hint came some time after the message.
    assert!(drafts[1].event.data.time_approximate);
    assert!(content_missing(&item(), &settled_by(Direction::Outbound, None), true));
}

#[test]
fn the_mids_milliseconds_are_used_where_graph_agrees() {
    let mut waiting = item();
    waiting.created_time = Some(at(-1_877));
    assert_eq!(message_time(&waiting, Some(at(-2_000))), (at(-1_877), false));
    assert_eq!(message_time(&waiting, Some(at(-90_000))), (at(-90_000), false));
    assert_eq!(message_time(&waiting, None), (at(-1_877), false));
}

#[test]
fn an_edit_of_a_known_message_adds_the_edit_alone() {
    let mut edit = item();
    edit.num_edit = 2;
    edit.text = Some("better words".to_owned());
    let drafts = facts(&edit, &settled_by(Direction::Inbound, None));
    assert_eq!(kinds(&drafts), [Kind::MessageEdited]);
    assert_eq!(drafts[0].event.time, edit.time);
    let drafts = facts(&edit, &settled_by(Direction::Inbound, Some("better words")));
    assert_eq!(
        kinds(&drafts),
        [Kind::ContactDiscovered, Kind::MessageReceived, Kind::MessageEdited]
    );
}

#[test]
fn an_edit_that_named_its_author_is_told_once_and_as_its_webhook_told_it() {
    let mut edit = item();
    (edit.num_edit, edit.text) = (2, Some("better words".to_owned()));
    edit.payload_contact = Some(PERSON.into());
    let without = settled_by(Direction::Inbound, None);
    let drafts = facts(&edit, &without);
    assert_eq!(kinds(&drafts), [Kind::MessageEdited]);
    let event = &drafts[0].event;
    let Fact::MessageEdited(body) = &event.data.fact else { panic!("{event:?}") };
    assert_eq!((event.data.origin.via, &body.sender_resolution), (Via::Webhook, &None));
    assert!(content_missing(&edit, &without, false) && !content_missing(&edit, &without, true));
    // Later its message is found; the words of the edit are gone from the waiting room by then.
    (edit.state, edit.text) = (State::Content, None);
    let drafts = facts(&edit, &settled_by(Direction::Inbound, Some("better words")));
    assert_eq!(kinds(&drafts), [Kind::ContactDiscovered, Kind::MessageReceived]);
}

#[test]
fn what_was_unresolved_is_withdrawn_for_the_message() {
    let mut waiting = item();
    assert_eq!(withdrawal(&waiting, &settled_by(Direction::Inbound, None).author, at(0)), None);
    let unresolved = unresolved(&waiting, Vec::new(), Some(PERSON.into()));
    assert_eq!(unresolved.event.data.contact_id, Some(PERSON.into()));
    waiting.unresolved = true;
    waiting.unresolved_contact = Some(PERSON.into());
    let drafts = facts(&waiting, &settled_by(Direction::Inbound, Some("x")));
    let Fact::FactWithdrawn(body) = &drafts[2].event.data.fact else { panic!("{drafts:?}") };
    assert_eq!(body.event_id, unresolved.event.id);
    assert_eq!(body.superseded_by.as_ref(), Some(&drafts[1].event.id));
    // Both travel on the subject of the conversation, so they keep their order.
    assert_eq!(
        drafts[2].event.nats_subject().split('.').nth(3),
        unresolved.event.nats_subject().split('.').nth(3)
    );
}
