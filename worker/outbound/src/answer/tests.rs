use std::time::Duration;

use graph::{Failure, GraphError, Use};
use schemas::Timestamp;
use serde_json::json;

use super::{Learnt, Reading, WINDOW_CLOSED, read, read_conversion};
use crate::decide::{AfterAnswer, Answer, Journal, Repeat, RetryWaits, after_answer};
use crate::state::PartState;

const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);
const WAITS: RetryWaits = RetryWaits {
    reconcile_after: Duration::from_secs(30),
    retry_min: Duration::from_secs(1),
    retry_max: Duration::from_secs(600),
    reads_apart: runtime::waits::READS_APART.real(),
};
const REPEATS: [Repeat; 3] = [Repeat::AfterProof, Repeat::Never, Repeat::OneTry];

fn error(status: u16, code: i64, subcode: i64) -> Reading {
    let body =
        json!({"error": {"code": code, "error_subcode": subcode, "message": "words"}}).to_string();
    read(Err(GraphError::of_answer(status, body.as_bytes(), Use::Write).unwrap()))
}

/// What the ledger does with a part of this kind after the answer to its attempt number `attempt`.
fn decided(reading: &Reading, repeat: Repeat, attempt: u32) -> &'static str {
    let journal = Journal {
        state: PartState::Sending,
        repeat,
        attempt,
        refusals: 0,
        started_at: Some(NOW),
        deadline: Some(NOW.plus(Duration::from_secs(20))),
        lost: false,
        not_before: None,
        looks: 0,
        absent_at: None,
        planned_at: NOW,
    };
    match after_answer(&journal, reading.answer.clone(), &WAITS, 0.5, NOW) {
        AfterAnswer::Sent { .. } => "sent",
        AfterAnswer::Refused { .. } => "again",
        AfterAnswer::Lost => "reconcile",
        AfterAnswer::Failed => "fail",
        AfterAnswer::Unknown => "park",
    }
}

/// status, code, subcode; message, comment, typing; class reported; the account stops; a limit is shared.
type Row = (u16, i64, i64, [&'static str; 3], &'static str, bool, bool);

/// Rows of docs/meta-platform.md 9, at least one per class and scope: what the ledger then does with a message, with an act on a
/// comment and with a typing indicator, whether the account stops, whether the others learn of a limit.
const ROWS: &[Row] = &[
    // U: may have been delivered, whatever the status says.
    (500, 1, 0, ["reconcile", "reconcile", "fail"], "unknown", false, false),
    (400, 1, 99, ["reconcile", "reconcile", "fail"], "unknown", false, false),
    (200, 1, 1_357_046, ["reconcile", "reconcile", "fail"], "unknown", false, false),
    (503, 2, 0, ["reconcile", "reconcile", "fail"], "unknown", false, false),
    (500, -1, 0, ["reconcile", "reconcile", "fail"], "unknown", false, false),
    (500, -2, 0, ["reconcile", "reconcile", "fail"], "unknown", false, false),
    (500, 424_242, 0, ["reconcile", "reconcile", "fail"], "unknown", false, false),
    // L: not executed, later again; the others learn of it.
    (400, 4, 0, ["again", "again", "fail"], "throttled", false, true),
    (400, 17, 0, ["again", "again", "fail"], "throttled", false, true),
    (400, 32, 0, ["again", "again", "fail"], "throttled", false, true),
    (400, 80_001, 0, ["again", "again", "fail"], "throttled", false, true),
    (400, 80_002, 0, ["again", "again", "fail"], "throttled", false, true),
    (400, 80_006, 0, ["again", "again", "fail"], "throttled", false, true),
    (400, 341, 0, ["again", "again", "fail"], "throttled", false, true),
    (400, 613, 0, ["again", "again", "fail"], "throttled", false, true),
    (400, 613, 2_534_040, ["again", "again", "fail"], "throttled", false, true),
    // A: not executed, the account stops and its queue waits.
    (401, 190, 463, ["again", "again", "fail"], "auth", true, false),
    (400, 102, 0, ["again", "again", "fail"], "auth", true, false),
    (400, 368, 0, ["again", "again", "fail"], "auth", true, false),
    (400, 2_022, 0, ["again", "again", "fail"], "auth", true, false),
    (400, 10, 1_893_063, ["again", "again", "fail"], "auth", true, false),
    (400, 10, 2_534_077, ["again", "again", "fail"], "auth", true, false),
    (400, 100, 2_534_029, ["again", "again", "fail"], "auth", true, false),
    (400, 200, 2_534_041, ["again", "again", "fail"], "auth", true, false),
    // P: somebody must change a setting first.
    (400, 3, 0, ["fail"; 3], "permission", false, false),
    (403, 10, 0, ["fail"; 3], "permission", false, false),
    (500, 2, 2_018_344, ["fail"; 3], "permission", false, false),
    (400, 100, 2_534_013, ["fail"; 3], "permission", false, false),
    (400, 200, 2_018_028, ["fail"; 3], "permission", false, false),
    (400, 230, 0, ["fail"; 3], "permission", false, false),
    (400, 36_103, 0, ["fail"; 3], "permission", false, false),
    // W: this message is not allowed.
    (403, 10, 2_534_022, ["fail"; 3], "window", false, false),
    (400, 4, 2_018_354, ["fail"; 3], "window", false, false),
    (400, 9, 2_018_352, ["fail"; 3], "window", false, false),
    (400, 100, 2_534_037, ["fail"; 3], "window", false, false),
    (400, 100, 2_534_025, ["fail"; 3], "window", false, false),
    (400, 613, 2_018_338, ["fail"; 3], "window", false, false),
    (400, 2_018_300, 0, ["fail"; 3], "window", false, false),
    (400, 10_903, 0, ["fail"; 3], "window", false, false),
    // X: this person cannot be reached.
    (400, 551, 1_545_041, ["fail"; 3], "recipient", false, false),
    (400, 100, 2_018_001, ["fail"; 3], "recipient", false, false),
    (400, 100, 2_534_014, ["fail"; 3], "recipient", false, false),
    (400, 10, 2_018_108, ["fail"; 3], "recipient", false, false),
    (400, 200, 1_545_041, ["fail"; 3], "recipient", false, false),
    // V: repeating it is useless.
    (400, 100, 0, ["fail"; 3], "invalid", false, false),
    (400, 100, 2_018_008, ["fail"; 3], "invalid", false, false),
    (400, 1_609_005, 0, ["fail"; 3], "invalid", false, false),
    (404, 424_242, 0, ["fail"; 3], "invalid", false, false),
];

#[test]
fn every_class_of_the_table_decides_what_happens() {
    for (status, code, subcode, expected, class, stops, limited) in ROWS {
        let reading = error(*status, *code, *subcode);
        let found = REPEATS.map(|repeat| decided(&reading, repeat, 1));
        let row = (status, code, subcode);
        assert_eq!(found, *expected, "{row:?}");
        assert_eq!(reading.error.as_ref().unwrap().class, *class, "{row:?}");
        assert_eq!((reading.stop.is_some(), reading.limited), (*stops, *limited), "{row:?}");
    }
}

#[test]
fn what_was_done_before_is_ours_only_after_an_attempt_before_this_one() {
    // D: done already is ours only where an earlier attempt may have done it.
    for (status, code, subcode) in [(500, -1, 2_534_023), (400, 506, 0), (400, 10_900, 0)] {
        let reading = error(status, code, subcode);
        assert_eq!(decided(&reading, Repeat::Never, 1), "fail", "{code}");
        assert_eq!(decided(&reading, Repeat::Never, 2), "sent", "{code}");
        let failed = reading.error.unwrap();
        assert_eq!((failed.code.as_str(), failed.class.as_str()), ("duplicate", "duplicate"));
    }
}

#[test]
fn a_success_without_a_name_settles_only_what_makes_nothing() {
    // No error, but no name either: done for what makes nothing, else to be found out.
    for (body, expected) in [
        (json!({"recipient_id": "1"}), ["reconcile", "reconcile", "sent"]),
        (json!({}), ["reconcile", "reconcile", "sent"]),
        (json!({"success": true}), ["reconcile", "sent", "sent"]),
        (json!({"success": false}), ["reconcile", "reconcile", "fail"]),
        (json!({"id": "1"}), ["sent"; 3]),
    ] {
        let reading = read(Ok(body.clone()));
        assert_eq!(REPEATS.map(|repeat| decided(&reading, repeat, 1)), expected, "{body}");
    }
}

#[test]
fn classes_drive_what_happens() {
    assert_eq!(error(500, 1, 0).answer, Answer::Lost);
    assert_eq!(error(400, 613, 0).answer, Answer::NotExecuted { pause: None });
    assert_eq!(error(400, 551, 0).answer, Answer::Refused);
    assert_eq!(error(400, 10_900, 0).answer, Answer::Already);
    let token = error(401, 190, 463);
    assert!(token.stop.is_some() && token.answer == Answer::NotExecuted { pause: None });
    assert!(error(400, 4, 0).limited);
}

#[test]
fn a_refusal_tells_of_the_conversation_what_outlives_the_message() {
    assert_eq!(error(400, 551, 1_545_041).learnt, Some(Learnt::Unreachable));
    for (code, subcode) in [(100, 2_534_037), (2_018_300, 0), (10, 2_018_321)] {
        // 2018321 is documented as a code of its own; under another code that code decides.
        let reading = error(400, code, subcode);
        let owned = reading.error.as_ref().unwrap().class == "window";
        assert_eq!(reading.learnt == Some(Learnt::OtherOwns), owned, "{code}/{subcode}");
    }
    let failed = error(400, 100, 2_534_037).error.unwrap();
    assert_eq!((failed.code.as_str(), failed.subcode), ("thread_owned_by_other", Some(2_534_037)));
    assert_eq!(error(403, 10, 2_534_022).learnt, None);
    assert_eq!(error(500, 1, 0).learnt, None);
}

#[test]
fn a_closed_window_has_one_code_on_both_channels() {
    for subcode in WINDOW_CLOSED {
        let failed = error(400, 10, subcode).error.unwrap();
        assert_eq!(
            (failed.code.as_str(), failed.class.as_str(), failed.subcode),
            ("window_closed", "window", Some(subcode))
        );
    }
    assert!(!error(400, 551, 0).error.unwrap().message.contains("words"));
}

#[test]
fn ids_are_read_whatever_their_type() {
    let sent = |id: &str| Answer::Sent { item_id: Some(id.to_owned()) };
    assert_eq!(read(Ok(json!({"recipient_id": "1", "message_id": "m"}))).answer, sent("m"));
    assert_eq!(
        read(Ok(json!({"id": 17_900_000_000_000_001_i64}))).answer,
        sent("17900000000000001")
    );
    assert_eq!(read(Ok(json!({"success": true}))).answer, Answer::Sent { item_id: None });
    assert_eq!(read(Ok(json!({"success": false}))).answer, Answer::Lost);
    assert_eq!(
        read(Err(GraphError::without_answer(Failure::Timeout, Use::Write))).answer,
        Answer::Lost
    );
    let unreachable = read(Err(GraphError::without_answer(Failure::Connect, Use::Write)));
    assert_eq!(unreachable.answer, Answer::NotExecuted { pause: None });
}

#[test]
fn conversions_are_counted_refused_or_left_to_a_person() {
    let fixture = |name: &str| -> serde_json::Value {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/meta/graph2");
        serde_json::from_str(&std::fs::read_to_string(format!("{folder}/{name}.json")).unwrap())
            .unwrap()
    };
    let answer = |name: &str| {
        let response = fixture(name)["response"].clone();
        let status = u16::try_from(response["status"].as_u64().unwrap()).unwrap();
        let body = response["body"].clone();
        let error = GraphError::of_answer(status, body.to_string().as_bytes(), Use::Write);
        read_conversion(error.map_or(Ok(body), Err))
    };
    let ok = answer("capi-ok");
    assert_eq!(ok.answer, Answer::Sent { item_id: None });
    assert_eq!(ok.kept["result"]["events_received"], 1);
    assert_eq!(decided(&ok, Repeat::Unseen, 1), "sent");
    let partial = answer("capi-partial");
    assert_eq!(partial.answer, Answer::InPart);
    assert_eq!(decided(&partial, Repeat::Unseen, 1), "park");
    assert_eq!(partial.error.as_ref().unwrap().code, "in_part");
    let too_old = answer("capi-too-old");
    assert_eq!(decided(&too_old, Repeat::Unseen, 1), "fail");
    for (status, code, expected) in [
        (400, 4, "again"),
        (400, 17, "again"),
        (400, 80_004, "again"),
        (429, 0, "again"),
        (500, 1, "reconcile"),
        (503, 2, "reconcile"),
        (400, 200, "fail"),
    ] {
        let body = serde_json::json!({"error": {"code": code}}).to_string();
        let body = if code == 0 { "{}".to_owned() } else { body };
        let error = GraphError::of_answer(status, body.as_bytes(), Use::Write).unwrap();
        let reading = read_conversion(Err(error));
        assert_eq!(decided(&reading, Repeat::Unseen, 1), expected, "{status} {code}");
    }
}
