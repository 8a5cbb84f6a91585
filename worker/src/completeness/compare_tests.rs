use facts::accounts::directory::Login;
use graph::{FoundMessage, Party};
use schemas::Channel;

use super::*;

const PAGE: &str = "103000000000301";
const PERSON: &str = "7300000000000111";
const HOUR: Duration = Duration::from_secs(3_600);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_795_003_200_000 + seconds * 1_000)
}

fn account() -> Account {
    Account {
        channel: Channel::Messenger,
        id: PAGE.into(),
        login: Login::Facebook,
        app: None,
        page_id: None,
        handle: None,
        aliases: Vec::new(),
        name: None,
        auto_reply: None,
        stopped: false,
    }
}

fn party(id: &str) -> Party {
    Party { id: Some(id.to_owned()), username: None }
}

fn message(id: &str, from: Option<&str>, seconds: i64) -> FoundMessage {
    FoundMessage {
        id: id.into(),
        created_time: Some(at(seconds)),
        from: from.map(party),
        text: Some("hi".to_owned()),
        detailed: from.is_some(),
        ..FoundMessage::default()
    }
}

fn thread(updated: i64, messages: Vec<FoundMessage>) -> Conversation {
    Conversation {
        id: format!("t_{updated}"),
        updated_time: Some(at(updated)),
        participants: vec![party(PAGE), party(PERSON)],
        messages,
        more: false,
    }
}

fn span(look_from: i64, count_from: i64, to: i64) -> Span {
    Span { look_from: at(look_from), count_from: at(count_from), to: at(to) }
}

fn event(mid: &str) -> EventId {
    ids::message(Channel::Messenger, &PAGE.into(), mid)
}

#[test]
fn what_is_missing_is_healed_under_the_ids_of_webhooks_and_the_person_comes_first() {
    let messages = vec![
        message("new", Some(PERSON), 95),
        message("gap", Some(PERSON), 60),
        message("reported", Some(PAGE), 50),
        message("bare", None, 40),
        message("old", Some(PERSON), 5),
    ];
    let list = ConversationPage { conversations: vec![thread(95, messages)], next: None };
    let page = Page::read(&account(), list, span(10, 30, 90));
    let shown: Vec<&str> = page.shown().map(|shown| shown.message_id.as_str()).collect();
    assert_eq!(shown, ["reported", "gap", "bare"], "only what is in the span, oldest first");
    let known = Known::from([(event("reported"), By::Reply)]);
    let missing = page.missing(&known);
    let kinds: Vec<Kind> = missing.drafts.iter().map(|draft| draft.event.kind()).collect();
    assert_eq!(kinds, [Kind::ContactDiscovered, Kind::MessageReceived]);
    assert_eq!(missing.drafts[1].event.id, event("gap"));
    assert!(missing.drafts.iter().all(|draft| draft.event.data.origin.via == Via::Reconcile));
    assert_eq!(missing.readable[0].message_id.as_str(), "gap");
    assert_eq!(missing.unreadable[0].message_id.as_str(), "bare");
    // Nothing is missing: nobody is discovered either.
    let all = known.into_iter().chain([event("gap"), event("bare")].map(|id| (id, By::Webhook)));
    assert_eq!(page.missing(&all.collect()), Missing::default());
}

#[test]
fn only_what_a_person_wrote_says_whether_its_field_comes() {
    let messages = vec![message("in", Some(PERSON), 60), message("out", Some(PAGE), 50)];
    let list = ConversationPage { conversations: vec![thread(60, messages)], next: None };
    let page = Page::read(&account(), list, span(10, 30, 90));
    let fields: Vec<_> =
        page.shown().map(|shown| Compared::of(&account(), shown, &Known::new()).field).collect();
    assert_eq!(fields, [None, Some("messages")]);
}

#[test]
fn a_list_is_followed_until_it_reaches_back_before_the_span() {
    let read = |updated: &[i64]| {
        let threads = updated.iter().map(|at| thread(*at, vec![message("m", Some(PERSON), *at)]));
        let next = Some("B".to_owned());
        let list = ConversationPage { conversations: threads.collect(), next };
        Page::read(&account(), list, span(10, 10, 90))
    };
    let page = read(&[80, 20]);
    assert_eq!((page.next.as_deref(), page.shown().count()), (Some("B"), 2));
    let page = read(&[80, 5]);
    assert_eq!((page.next.as_deref(), page.shown().count()), (None, 1));
}

fn compared(all: &[(i64, Option<By>)]) -> HashMap<EventId, Compared> {
    all.iter()
        .enumerate()
        .map(|(n, (seconds, by))| {
            let one = Compared { time: at(*seconds), field: Some("messages"), by: *by };
            (event(&n.to_string()), one)
        })
        .collect()
}

#[test]
fn messages_are_counted_once_in_the_hour_they_were_made() {
    let seen = compared(&[(0, None), (10, Some(By::Webhook)), (3_700, None), (-50, None)]);
    let hours = by_hour(&seen, span(-100, 0, 4_000));
    assert_eq!(hours.into_iter().collect::<Vec<_>>(), [(at(0), 2), (at(3_600), 1)]);
    assert!(span(-100, 0, 4_000).is_late(at(-50)));
}

#[test]
fn a_field_is_lost_when_graph_shows_messages_that_it_did_not_bring() {
    let web = Some(By::Webhook);
    let check = |all: &[(i64, Option<By>)], now: i64, expected: Option<i64>| {
        let found = lost(&compared(all), at(0), None, HOUR, at(now));
        assert_eq!(found.map(|lost| lost.since), expected.map(at), "{all:?} at {now}");
    };
    // Some are withheld, and others come.
    check(&[(10, web), (20, None), (30, None), (40, None), (50, web)], 60, None);
    // The newest may be late.
    check(&[(10, web), (20, None), (30, None)], 60, None);
    check(&[(10, web), (20, None), (30, None), (40, Some(By::Graph))], 60, Some(20));
    // One alone, for long.
    check(&[(10, web), (20, None)], 20 + 3_600, Some(20));
    // Our own replies say nothing, nor what was before the account was connected.
    check(&[(20, Some(By::Reply)), (30, Some(By::Reply)), (40, Some(By::Reply))], 9_000, None);
    check(&[(-30, None), (-20, None), (-10, None)], 9_000, None);
    // Nothing ever came.
    check(&[(20, None), (30, None), (40, None)], 60, Some(20));
}

#[test]
fn a_field_stays_lost_until_it_brings_something() {
    let before = Some(Lost { field: "messages".to_owned(), since: at(20) });
    let check = |all: &[(i64, Option<By>)], expected: Option<i64>| {
        let found = lost(&compared(all), at(0), before.clone(), HOUR, at(9_000));
        assert_eq!(found.map(|lost| lost.since), expected.map(at), "{all:?}");
    };
    check(&[], Some(20));
    check(&[(10, Some(By::Webhook))], Some(20));
    check(&[(30, Some(By::Graph)), (40, None)], Some(20));
    check(&[(30, Some(By::Graph)), (50, Some(By::Webhook))], None);
    // It came back and went again.
    check(&[(50, Some(By::Webhook)), (60, None)], Some(60));
}
