use proptest::prelude::*;
use serde_json::Value;

use super::*;
use graph::Use;

const MIN: Duration = Duration::from_secs(1);
const MAX: Duration = Duration::from_secs(600);

fn now() -> Timestamp {
    Timestamp::from_millis(1_795_000_000_000)
}

fn fixture(name: &str) -> Answer {
    let path = format!("{}/../tests/fixtures/meta/graph/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let fixture: Value =
        serde_json::from_str(&std::fs::read_to_string(&path).expect(&path)).unwrap();
    let status = u16::try_from(fixture["response"]["status"].as_u64().unwrap()).unwrap();
    let body = serde_json::to_vec(&fixture["response"]["body"]).unwrap();
    Answer::of(&GraphError::of_answer(status, &body, Use::Read).unwrap())
}

/// Seconds until asked again by itself, and until an act counts.
fn check(answer: Answer, attempts: u32, due: Option<u64>, act: Option<u64>) {
    let next = answer.next(attempts, now(), MIN, MAX, 1.0);
    let seconds = |at: Option<Timestamp>| at.map(|at| at.since(now()).as_secs());
    assert_eq!(
        (seconds(next.due_at), seconds(next.refresh_after)),
        (due, act),
        "{answer:?} after {attempts}"
    );
}

#[test]
fn every_fixture_has_its_answer() {
    assert_eq!(fixture("profile-ig-no-consent"), Answer::NoConsent);
    assert_eq!(fixture("profile-fb-unsupported-get"), Answer::Unsupported);
    assert_eq!(fixture("profile-fb-phone-account"), Answer::NoProfile);
    assert_eq!(fixture("message-lookup-500"), Answer::Unavailable);
    assert_eq!(fixture("send-token-expired"), Answer::Stopped);
    assert_eq!(fixture("send-rate-limited-613"), Answer::Limited(Duration::from_secs(60)));
    assert_eq!(fixture("conversations-no-capability"), Answer::NoPermission);
}

#[test]
fn a_number_counts_as_code_and_as_subcode() {
    for (body, expected) in [
        (r#"{"error":{"code":100,"error_subcode":2018218}}"#, Answer::NoProfile),
        (r#"{"error":{"code":2018247}}"#, Answer::NoPermission),
        (r#"{"error":{"code":100,"error_subcode":2018247}}"#, Answer::NoPermission),
        (r#"{"error":{"code":100}}"#, Answer::Invalid),
    ] {
        let error = GraphError::of_answer(400, body.as_bytes(), Use::Read).unwrap();
        assert_eq!(Answer::of(&error), expected, "{body}");
    }
}

#[test]
fn each_answer_has_its_rule() {
    check(Answer::Profile, 0, None, Some(86_400));
    for answer in [Answer::Empty, Answer::Unsupported, Answer::NoConsent] {
        check(answer, 0, None, Some(0));
        check(answer, 1, None, Some(1));
        check(answer, 4, None, Some(8));
        check(answer, 60, None, Some(86_400));
    }
    check(Answer::NoProfile, 0, None, None);
    check(Answer::NoPermission, 0, None, None);
    check(Answer::Unavailable, 0, Some(1), Some(1));
    check(Answer::Unavailable, 3, Some(8), Some(8));
    check(Answer::Unavailable, 8, None, Some(600));
    check(Answer::Limited(Duration::from_secs(17)), 5, Some(17), Some(0));
    check(Answer::Stopped, 5, Some(0), Some(0));
}

#[test]
fn only_equal_answers_in_a_row_add_up() {
    assert_eq!(Answer::Unavailable.count(None, 0), 1);
    assert_eq!(Answer::Unavailable.count(Some("unavailable"), 3), 4);
    assert_eq!(Answer::Profile.count(Some("unavailable"), 3), 1);
    // Refusals of one person change their words.
    assert_eq!(Answer::Empty.count(Some("no_consent"), 3), 4);
}

proptest! {
    /// No answer leads to a storm: without an act of the person, calls end; with one act per second, they thin out.
    #[test]
    fn refusals_never_become_a_storm(kind in 0_usize..5) {
        let answer = [Answer::Empty, Answer::Unsupported, Answer::NoConsent, Answer::NoProfile, Answer::Unavailable][kind];
        let (mut calls, mut attempts) = (0, 0);
        let (mut due, mut refresh) = (Some(now()), None);
        for second in 0..3600_u64 {
            let at = now().plus(Duration::from_secs(second));
            if due.is_none() && refresh.is_some_and(|refresh| refresh <= at) {
                due = Some(at);
            }
            if due.is_some_and(|due| due <= at) {
                calls += 1;
                let next = answer.next(attempts, at, MIN, MAX, 1.0);
                attempts += 1;
                due = next.due_at;
                refresh = next.refresh_after;
            }
        }
        prop_assert!(calls <= 16, "{answer:?}: {calls} calls in an hour of an act per second");
    }
}
