use proptest::prelude::*;

use super::super::testing::{OTHER, PERSON, at, item};
use super::*;
use facts::Direction;
use graph::{Failure, GraphError, Scope, Use};

fn author() -> Author {
    Author { contact: PERSON.into(), direction: Direction::Inbound }
}

fn found() -> Look {
    Look::Found(
        author(),
        FoundMessage {
            id: "aWdfmid".into(),
            text: Some("hi".to_owned()),
            ..FoundMessage::default()
        },
    )
}

fn failed(status: u16, code: i64) -> Look {
    let body = format!(r#"{{"error":{{"code":{code}}}}}"#);
    Look::Failed(GraphError::of_answer(status, body.as_bytes(), Use::Read).unwrap())
}

fn asked() -> Evidence {
    Evidence { graph: true, ..Evidence::default() }
}

/// Goes over the ladder with these answers, and returns the methods asked and how it ended.
fn climb(
    item: &Item,
    mut evidence: Evidence,
    message: Look,
    other: Look,
    scan: Look,
) -> (Vec<&'static str>, Step) {
    let mut asked = Vec::new();
    loop {
        match next(item, &evidence, at(20_000)) {
            Step::AskMessage => {
                asked.push("message");
                evidence.message = Some(message.clone());
            }
            Step::AskOtherHost => {
                asked.push("other");
                evidence.other_host = Some(other.clone());
            }
            Step::AskScan => {
                asked.push("scan");
                evidence.scan = Some(scan.clone());
            }
            end => return (asked, end),
        }
        assert!(asked.len() <= 3, "asked twice: {asked:?}");
    }
}

fn method(step: &Step) -> Option<Method> {
    match step {
        Step::Settle(settled) => Some(settled.method),
        _ => None,
    }
}

#[test]
fn what_we_know_ourselves_needs_no_graph() {
    let evidence = Evidence { known: Some(author()), ..asked() };
    let (asked_for, end) = climb(&item(), evidence.clone(), found(), found(), found());
    assert_eq!((asked_for.len(), end), (0, Step::CameByItself(author())));
    let mut edit = item();
    edit.num_edit = 1;
    let (asked_for, end) = climb(&edit, evidence, found(), found(), found());
    assert_eq!((asked_for.len(), method(&end)), (0, Some(Method::KnownMessage)));
}

#[test]
fn graph_is_asked_in_the_order_of_the_ladder() {
    let nothing = || Look::Nothing("nothing");
    let (asked_for, end) = climb(&item(), asked(), found(), nothing(), nothing());
    assert_eq!((asked_for, method(&end)), (vec!["message"], Some(Method::GraphMessage)));
    // The other host only after a failure of the server, and only where the other login exists.
    let other = || Evidence { other_login: true, ..asked() };
    let (asked_for, end) = climb(&item(), other(), failed(500, 1), found(), nothing());
    assert_eq!(
        (asked_for, method(&end)),
        (vec!["message", "other"], Some(Method::GraphMessageOtherHost))
    );
    let (asked_for, end) = climb(&item(), asked(), failed(500, 1), found(), found());
    assert_eq!(
        (asked_for, method(&end)),
        (vec!["message", "scan"], Some(Method::ConversationScan))
    );
    let (asked_for, end) = climb(&item(), other(), failed(400, 9_000_001), found(), nothing());
    assert_eq!((asked_for, end), (vec!["message", "scan"], Step::Unresolved(None)));
}

#[test]
fn a_refused_token_ends_the_questions() {
    let (asked_for, end) = climb(&item(), asked(), failed(400, 190), found(), found());
    assert_eq!((asked_for, end), (vec!["message"], Step::Unresolved(None)));
}

#[test]
fn trouble_of_the_other_connection_is_not_ours() {
    let evidence = Evidence { other_login: true, ..asked() };
    let (asked_for, end) = climb(&item(), evidence, failed(500, 1), failed(400, 190), found());
    assert_eq!(asked_for, ["message", "other", "scan"]);
    assert_eq!(method(&end), Some(Method::ConversationScan));
}

#[test]
fn content_told_later_keeps_the_method() {
    let mut published = item();
    published.state = State::Content;
    published.settled_by = Some(Method::Payload);
    published.revealed_contact = Some(PERSON.into());
    published.revealed_direction = Some(Direction::Inbound);
    // Our own index knows the message by now; only the content is looked for.
    let evidence = Evidence { known: Some(author()), ..asked() };
    let (asked_for, end) = climb(&published, evidence, found(), found(), found());
    assert_eq!((asked_for, method(&end)), (vec!["message"], Some(Method::Payload)));
}

#[test]
fn a_thread_places_a_message_but_gives_no_author() {
    let none = || Look::Nothing("not_found");
    let one = Evidence { thread: vec![PERSON.into()], ..asked() };
    assert_eq!(
        climb(&item(), one, none(), none(), none()).1,
        Step::Unresolved(Some(PERSON.into()))
    );
    let two = Evidence { thread: vec![PERSON.into(), OTHER.into()], ..asked() };
    assert_eq!(climb(&item(), two, none(), none(), none()).1, Step::Unresolved(None));
}

#[test]
fn a_named_sender_is_settled_with_or_without_content() {
    let mut named = item();
    named.payload_contact = Some(PERSON.into());
    let (asked_for, end) = climb(&named, asked(), found(), found(), found());
    assert_eq!(asked_for, ["message"]);
    let Step::Settle(settled) = end else { panic!("{end:?}") };
    assert_eq!((settled.method, settled.content.is_some()), (Method::Payload, true));
    let (_, end) = climb(&named, asked(), failed(500, 1), found(), failed(400, 3));
    let Step::Settle(settled) = end else { panic!("{end:?}") };
    assert_eq!((settled.author, settled.content), (author(), None));
    // With its text there is nothing to ask.
    named.text = Some("hi".to_owned());
    assert_eq!(climb(&named, asked(), found(), found(), found()).0.len(), 0);
}

#[test]
fn an_edit_that_names_its_author_still_asks_for_its_message() {
    let mut edit = item();
    (edit.num_edit, edit.text) = (1, Some("better".to_owned()));
    edit.payload_contact = Some(PERSON.into());
    let (asked_for, end) = climb(&edit, asked(), found(), found(), found());
    let Step::Settle(settled) = end else { panic!("{end:?}") };
    assert_eq!((asked_for, settled.content.is_some()), (vec!["message"], true));
    let (_, end) = climb(&edit, asked(), failed(500, 1), found(), failed(400, 3));
    assert_eq!(method(&end), Some(Method::Payload));
    // Published without its message, it is over once that has come.
    edit.state = State::Content;
    let evidence = Evidence { known: Some(author()), ..asked() };
    assert_eq!(next(&edit, &evidence, at(20_000)), Step::CameByItself(author()));
}

#[test]
fn a_rate_limit_puts_off_and_is_told_when_it_lasts() {
    let limited = Look::Failed(GraphError::kept_back(Scope::App, Duration::from_secs(17)));
    let evidence = Evidence { message: Some(limited), ..asked() };
    assert_eq!(next(&item(), &evidence, at(1_000)), Step::Defer(Duration::from_secs(17)));
    assert_eq!(next(&item(), &evidence, at(61_000)), Step::Unresolved(None));
    let again = again(
        &item(),
        &evidence,
        at(61_000),
        Duration::from_secs(1),
        Duration::from_secs(600),
        1.0,
    );
    assert_eq!(again, Some(at(78_000)));
}

#[test]
fn an_account_that_cannot_be_asked_is_told_as_unavailable() {
    let evidence = Evidence::default();
    assert_eq!(next(&item(), &evidence, at(20_000)), Step::Unresolved(None));
    let outcomes: Vec<_> =
        tried(&item(), &evidence).into_iter().map(|tried| (tried.method, tried.outcome)).collect();
    assert_eq!(outcomes.len(), Method::ALL.len());
    assert!(outcomes.contains(&("graph_message".to_owned(), "unavailable".to_owned())));
    assert!(outcomes.contains(&("twin".to_owned(), "nothing".to_owned())));
}

#[test]
fn retries_thin_out_and_end() {
    let evidence = Evidence {
        message: Some(failed(500, 1)),
        scan: Some(Look::Nothing("not_found")),
        ..asked()
    };
    let (min, max) = (Duration::from_secs(1), Duration::from_secs(600));
    let mut waiting = item();
    assert_eq!(again(&waiting, &evidence, at(0), min, max, 1.0), Some(at(1_000)));
    waiting.attempts = 20;
    assert_eq!(again(&waiting, &evidence, at(0), min, max, 1.0), Some(at(600_000)));
    assert_eq!(again(&waiting, &evidence, at(7 * 86_400_000), min, max, 1.0), None);
    let deleted = Evidence { message: Some(failed(400, 9_000_001)), ..asked() };
    assert_eq!(again(&item(), &deleted, at(0), min, max, 1.0), None);
    assert!(gone(&item(), &deleted) && !content_may_come(&item(), &deleted));
    // Then Graph is left alone.
    waiting.gone = true;
    assert_eq!(climb(&waiting, asked(), found(), found(), found()).0.len(), 0);
}

fn any_look() -> impl Strategy<Value = Look> {
    prop_oneof![
        Just(found()),
        Just(Look::Nothing("nothing")),
        Just(failed(500, 1)),
        Just(failed(400, 190)),
        Just(failed(400, 9_000_001)),
        Just(failed(400, 3)),
        Just(Look::Failed(GraphError::without_answer(Failure::Timeout, Use::Read))),
        Just(Look::Failed(GraphError::kept_back(Scope::Account, Duration::from_secs(5)))),
    ]
}

proptest! {
    /// Whatever Graph answers: the ladder ends, and an author comes only from evidence that names the message.
    #[test]
    fn an_author_is_never_invented(
        message in any_look(), other in any_look(), scan in any_look(),
        graph: bool, other_login: bool, threads in 0_usize..3, named: bool, num_edit in 0_i64..2,
    ) {
        let mut waiting = item();
        waiting.num_edit = num_edit;
        waiting.payload_contact = named.then(|| PERSON.into());
        let thread = [OTHER, PERSON].iter().take(threads).map(|id| (*id).into()).collect();
        let evidence = Evidence { graph, other_login, thread, ..Evidence::default() };
        let (asked_for, end) = climb(&waiting, evidence, message.clone(), other.clone(), scan.clone());
        prop_assert!(graph || asked_for.is_empty());
        let found = |name: &str, look: &Look| asked_for.contains(&name) && matches!(look, Look::Found(..));
        let by_graph = found("message", &message) || found("other", &other) || found("scan", &scan);
        match end {
            Step::Settle(settled) => {
                prop_assert!(named || by_graph);
                prop_assert_eq!(settled.author, author());
            }
            Step::Unresolved(hint) => {
                prop_assert!(!named && !by_graph);
                prop_assert_eq!(hint.is_some(), threads == 1);
            }
            other => prop_assert!(matches!(other, Step::Defer(_)), "{other:?}"),
        }
    }
}
