//! Rules of docs/contract.md 8, one by one.

use schemas::facts::{By, PartState};
use schemas::{AccountId, Channel, Event, Fact, Timestamp, Via};

use super::fixture::*;
use super::kept::Kept;
use super::message::{Direction, MessageRow, message_row};

fn row_of(mid: &str, events: impl IntoIterator<Item = Event>) -> Option<MessageRow> {
    let mut kept = Kept::default();
    kept.take(events);
    let id = schemas::ids::message_row_id(Channel::Instagram, &AccountId::from(ACCOUNT), mid);
    message_row(&id, &kept.of(&id))
}

fn row(events: impl IntoIterator<Item = Event>) -> MessageRow {
    row_of("m", events).expect("a row")
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_795_000_000_000 + seconds * 1000)
}

#[test]
fn the_highest_edit_number_holds_whatever_its_time() {
    // Many texts: the hash of a text, which only breaks ties, must not decide.
    for n in 0..20 {
        let (low, high) = (format!("low {n}"), format!("high {n}"));
        let found = row([
            received("m", "one", 1),
            edited("m", &high, Some(2), 2),
            edited("m", &low, Some(1), 9),
        ]);
        assert_eq!(found.text, Some(high));
        assert_eq!((found.sent_at, found.edited_at), (at(1), Some(at(2))));
        assert!(found.counts_unread && found.opens_window);
    }
}

#[test]
fn edits_without_a_number_follow_their_time() {
    for n in 0..20 {
        let (early, late) = (format!("early {n}"), format!("late {n}"));
        let found = row([
            edited("m", &late, None, 3),
            received("m", "one", 1),
            edited("m", &early, None, 2),
        ]);
        assert_eq!((found.text, found.edited_at), (Some(late), Some(at(3))));
    }
}

#[test]
fn an_edit_alone_is_hidden_until_the_message_is_known() {
    let stub = row([edited("m", "two", Some(1), 2)]);
    assert!(stub.hidden && !stub.counts_unread && !stub.opens_window);
    let found = row([edited("m", "two", Some(1), 2), received("m", "one", 1)]);
    assert_eq!((found.hidden, found.text.as_deref()), (false, Some("two")));
}

#[test]
fn unsending_takes_the_words_away_for_good() {
    let events = [unsent("m", 5), received("m", "one", 1), edited("m", "two", Some(1), 6)];
    let found = row(events);
    assert_eq!((found.text, found.deleted_at, found.hidden), (None, Some(at(5)), false));
    assert!(!found.counts_unread && found.opens_window);
}

#[test]
fn a_withdrawn_unsending_does_not_bring_words_back() {
    let deletion = unsent("m", 5);
    for events in [
        [received("m", "one", 1), deletion.clone(), withdrawal(&deletion)],
        [withdrawal(&deletion), deletion.clone(), received("m", "one", 1)],
    ] {
        let mut kept = Kept::default();
        events.into_iter().for_each(|event| kept.take([event]));
        let id = schemas::ids::message_row_id(Channel::Instagram, &AccountId::from(ACCOUNT), "m");
        let found = message_row(&id, &kept.of(&id)).expect("a row");
        assert_eq!((found.text, found.deleted_at, found.content_missing), (None, None, true));
    }
}

#[test]
fn our_reply_and_its_echo_are_one_message() {
    let found = row([reply("rpl_1", &[("m", "hello"), ("n", "again")], 3), echo("m", "hello", 2)]);
    assert_eq!(
        (found.reply_id.as_deref(), found.direction, found.sent_at),
        (Some("rpl_1"), Direction::Outbound, at(2))
    );
    let second =
        row_of("n", [reply("rpl_1", &[("m", "hello"), ("n", "again")], 3)]).expect("a row");
    assert_eq!(second.text.as_deref(), Some("again"));
}

#[test]
fn only_parts_that_meta_took_are_messages() {
    let mut event = reply("rpl_1", &[("m", "hello")], 3);
    if let Fact::ReplySent(reply) = &mut event.data.fact {
        reply.parts[0].state = PartState::Unknown;
    }
    assert_eq!(row_of("m", [event]), None);
}

#[test]
fn receipts_count_for_outbound_only_and_the_earliest_holds() {
    let found = row([seen("m", 9), seen("m", 7), echo("m", "hello", 2)]);
    assert_eq!((found.read_by_id, found.delivered_by_id), (Some(at(7)), None));
    let found = row([seen("m", 7), received("m", "hello", 2)]);
    assert_eq!(found.read_by_id, None);
    assert!(row([seen("m", 7)]).hidden);
}

#[test]
fn the_last_reaction_of_each_side_holds() {
    let found = row([
        received("m", "one", 1),
        reacted("m", By::Contact, "😮", 4),
        reacted("m", By::Contact, "❤", 3),
        reacted("m", By::Account, "👍", 2),
        unreacted("m", By::Account, 5),
    ]);
    let emojis: Vec<_> =
        found.reactions.iter().map(|reaction| (reaction.by, reaction.emoji.as_deref())).collect();
    assert_eq!(emojis, [(By::Contact, Some("😮"))]);
}

#[test]
fn of_reactions_at_the_same_time_the_greater_id_holds() {
    for n in 0..20 {
        let two = [
            reacted("m", By::Contact, &format!("a{n}"), 2),
            reacted("m", By::Contact, &format!("b{n}"), 2),
        ];
        let [one, other] = &two;
        let later = if one.id > other.id { format!("a{n}") } else { format!("b{n}") };
        assert_eq!(row(two).reactions[0].emoji, Some(later));
    }
}

#[test]
fn an_unresolved_message_shows_where_its_thread_is_known() {
    let body = |mid: &str| schemas::facts::SenderUnresolved {
        message_id: mid.into(),
        tried: Vec::new(),
        edit_number: None,
    };
    let placed = event("m", 1, Via::Webhook, Fact::SenderUnresolved(body("m")));
    let found = row([placed.clone()]);
    assert_eq!(
        (found.direction, found.hidden, found.counts_unread),
        (Direction::Unknown, false, false)
    );
    assert_eq!(found.sender_resolution.as_deref(), Some("unresolved"));
    let mut nowhere = placed.clone();
    nowhere.data.contact_id = None;
    assert_eq!(row_of("m", [nowhere]), None);
    assert_eq!(row_of("m", [placed.clone(), withdrawal(&placed)]), None);
    let resolved = row([withdrawal(&placed), received("m", "hello", 1), placed]);
    assert_eq!((resolved.direction, resolved.text.as_deref()), (Direction::Inbound, Some("hello")));
}

#[test]
fn a_higher_revision_replaces_and_a_lower_one_does_not() {
    let found = row([revised(received("m", "better", 1), 1), received("m", "first", 1)]);
    assert_eq!(found.text.as_deref(), Some("better"));
}

#[test]
fn an_import_is_not_unread_but_opens_the_window() {
    let mut imported = received("m", "old", 1);
    imported.data.origin.via = Via::Backfill;
    let found = row([imported.clone()]);
    assert!(!found.counts_unread && found.backfilled && found.opens_window);
    // The webhook reports it too: now it counts.
    assert!(row([received("m", "old", 1), imported]).counts_unread);
}

#[test]
fn a_postback_is_a_message_by_its_event_whatever_mid_it_names() {
    for mid in [None, Some("m")] {
        let event = postback(mid, "Get started", 1);
        let template = echo("m", "", 0);
        let found = row_of(event.id.as_str(), [event.clone(), template.clone()]).expect("a row");
        assert_eq!(found.message_id, event.id.as_str());
        assert_eq!((found.text.as_deref(), found.opens_window), (Some("Get started"), true));
        assert_eq!(row([event, template.clone()]), row([template]));
    }
}

#[test]
fn missing_content_is_filled_by_whoever_knows_it() {
    let mut echoed = echo("m", "", 2);
    if let Fact::MessageSent(message) = &mut echoed.data.fact {
        message.text = None;
        message.content_missing = Some(true);
    }
    assert!(row([echoed.clone()]).content_missing);
    let found = row([echoed, reply("rpl_1", &[("m", "hello")], 3)]);
    assert_eq!((found.text.as_deref(), found.content_missing), (Some("hello"), false));
}
