//! ◆ Pure: what Meta's answer to a write means for the ledger.

use schemas::Timestamp;
use schemas::facts::OutcomeError;
use serde_json::{Value, json};

use super::decide::Answer;
use graph::{Class, Failure, GraphError};

/// Sub-codes that say: outside the allowed window (`meta-platform.md` section 9).
const WINDOW_CLOSED: [i64; 3] = [2_018_278, 2_534_022, 2_018_065];

/// Numbers that say: another app, or an automated flow, controls the thread.
const NOT_THREAD_OWNER: [i64; 3] = [2_534_037, 2_018_300, 2_018_321];

/// What a refusal tells beyond the message that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learnt {
    /// The person cannot be reached: they block the account, or are gone.
    Unreachable,
    /// Another app controls the thread.
    OtherOwns,
}

/// An answer, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// For the decision.
    pub answer: Answer,
    /// For the outcome, where the decision makes it no success.
    pub error: Option<OutcomeError>,
    /// Why the account must stop, where it must.
    pub stop: Option<String>,
    /// A limit was met.
    pub limited: bool,
    /// What the conversation is told.
    pub learnt: Option<Learnt>,
    /// What the ledger keeps: ids and numbers, no words.
    pub kept: Value,
}

/// Reads an answer to a write that ended at `now`.
pub fn read(answer: Result<Value, GraphError>, now: Timestamp) -> Reading {
    match answer {
        Ok(body) => success(&body),
        Err(error) => failure(&error, now),
    }
}

fn success(body: &Value) -> Reading {
    let id = ["message_id", "id"].into_iter().find_map(|name| text(&body[name]));
    let done = match &body["success"] {
        Value::Bool(done) => Some(*done),
        Value::String(done) => Some(done == "true"),
        _ => None,
    };
    let kept = json!({ "status": 200, "id": id, "recipient_id": text(&body["recipient_id"]) });
    let answer = match (done, id) {
        (Some(false), _) => Answer::Lost,
        (Some(true), item_id) | (None, item_id @ Some(_)) => Answer::Sent { item_id },
        (None, None) => Answer::Unnamed,
    };
    let error = (answer == Answer::Lost).then(|| OutcomeError {
        code: "not_confirmed".to_owned(),
        subcode: None,
        class: "unknown".to_owned(),
        message: "Meta answered without error, but not with success".to_owned(),
    });
    Reading { answer, error, stop: None, limited: false, learnt: None, kept }
}

/// Ids are text, also where Meta writes numbers.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn failure(error: &GraphError, now: Timestamp) -> Reading {
    let later = Answer::NotExecuted { until: error.retry_after.map(|pause| now.plus(pause)) };
    let answer = match error.class {
        Class::Retry | Class::Limited(_) => later,
        Class::Account => Answer::NotExecuted { until: None },
        Class::Unknown => Answer::Lost,
        Class::Done => Answer::Already,
        Class::Permission | Class::Window | Class::Recipient | Class::Invalid => Answer::Refused,
    };
    Reading {
        answer,
        error: Some(outcome_error(error)),
        stop: (error.class == Class::Account).then(|| error.to_string()),
        limited: matches!(error.class, Class::Limited(_)) && error.failure == Failure::Answer,
        learnt: match error.class {
            Class::Recipient => Some(Learnt::Unreachable),
            Class::Window if names_any(error, NOT_THREAD_OWNER) => Some(Learnt::OtherOwns),
            _ => None,
        },
        kept: json!({
            "status": error.status, "code": error.code, "subcode": error.subcode, "fbtrace_id": error.fbtrace_id,
            "class": error.class.as_str(),
        }),
    }
}

fn names_any(error: &GraphError, numbers: [i64; 3]) -> bool {
    numbers.iter().any(|number| error.names(*number))
}

/// A failed call as an outcome tells it. Where our own policy has a word for the same, it is that word.
pub fn outcome_error(error: &GraphError) -> OutcomeError {
    let code = match (error.class, error.code, error.failure) {
        (Class::Window, ..) if names_any(error, WINDOW_CLOSED) => "window_closed".to_owned(),
        (Class::Window, ..) if names_any(error, NOT_THREAD_OWNER) => {
            "thread_owned_by_other".to_owned()
        }
        (Class::Done, ..) => "duplicate".to_owned(),
        (_, Some(code), _) => code.to_string(),
        (_, None, Failure::Answer) => {
            error.status.map_or_else(|| "http".to_owned(), |status| format!("http_{status}"))
        }
        (_, None, Failure::Budget) => "budget".to_owned(),
        (_, None, Failure::Connect) => "unreachable".to_owned(),
        (_, None, Failure::Timeout) => "timeout".to_owned(),
        (_, None, _) => "no_answer".to_owned(),
    };
    let class = match error.class {
        Class::Retry => "transient",
        Class::Unknown => "unknown",
        Class::Limited(_) => "throttled",
        Class::Account => "auth",
        Class::Permission => "permission",
        Class::Window => "window",
        Class::Recipient => "recipient",
        Class::Done => "duplicate",
        Class::Invalid => "invalid",
    };
    OutcomeError {
        code,
        subcode: error.subcode,
        class: class.to_owned(),
        message: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use graph::Use;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    fn error(status: u16, code: i64, subcode: i64) -> Reading {
        let body = json!({"error": {"code": code, "error_subcode": subcode, "message": "words"}})
            .to_string();
        read(Err(GraphError::of_answer(status, body.as_bytes(), Use::Write).unwrap()), NOW)
    }

    #[test]
    fn classes_drive_what_happens() {
        assert_eq!(error(500, 1, 0).answer, Answer::Lost);
        assert_eq!(error(400, 613, 0).answer, Answer::NotExecuted { until: None });
        assert_eq!(error(400, 551, 0).answer, Answer::Refused);
        assert_eq!(error(400, 10_900, 0).answer, Answer::Already);
        let token = error(401, 190, 463);
        assert!(token.stop.is_some() && token.answer == Answer::NotExecuted { until: None });
        assert!(error(400, 4, 0).limited);
    }

    /// Rows of `meta-platform.md` section 9, at least one per class and scope: what the ledger then does with a message, with an act on a
    /// comment and with a typing indicator, whether the account stops, whether a limit is told to the others.
    #[test]
    fn every_class_of_the_table_decides_what_happens() {
        use super::super::decide::{AfterAnswer, Journal, Repeat, State, Waits, after_answer};
        use std::time::Duration;
        let waits = Waits {
            reconcile_after: Duration::from_secs(30),
            retry_min: Duration::from_secs(1),
            retry_max: Duration::from_secs(600),
        };
        let decided = |reading: &Reading, repeat, attempt| {
            let journal = Journal {
                state: State::Sending,
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
            match after_answer(&journal, reading.answer.clone(), &waits, 0.5, NOW) {
                AfterAnswer::Sent { .. } => "sent",
                AfterAnswer::Refused { .. } => "again",
                AfterAnswer::Lost => "reconcile",
                AfterAnswer::Failed => "fail",
            }
        };
        // status, code, subcode; message, comment, typing; class told; the account stops; a limit is shared.
        type Row = (u16, i64, i64, [&'static str; 3], &'static str, bool, bool);
        let rows: &[Row] = &[
            // U: may have been delivered, whatever the status says.
            (500, 1, 0, ["reconcile", "reconcile", "fail"], "unknown", false, false),
            (400, 1, 99, ["reconcile", "reconcile", "fail"], "unknown", false, false),
            (200, 1, 1_357_046, ["reconcile", "reconcile", "fail"], "unknown", false, false),
            (503, 2, 0, ["reconcile", "reconcile", "fail"], "unknown", false, false),
            (500, -1, 0, ["reconcile", "reconcile", "fail"], "unknown", false, false),
            (500, -2, 0, ["reconcile", "reconcile", "fail"], "unknown", false, false),
            (500, 424_242, 0, ["reconcile", "reconcile", "fail"], "unknown", false, false),
            // L: not executed, later again; the others are told.
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
        for (status, code, subcode, expected, class, stops, limited) in rows {
            let reading = error(*status, *code, *subcode);
            let found = [Repeat::AfterProof, Repeat::Never, Repeat::OneTry]
                .map(|repeat| decided(&reading, repeat, 1));
            let row = (status, code, subcode);
            assert_eq!(found, *expected, "{row:?}");
            assert_eq!(reading.error.as_ref().unwrap().class, *class, "{row:?}");
            assert_eq!((reading.stop.is_some(), reading.limited), (*stops, *limited), "{row:?}");
        }
        // D: done already is ours only where an earlier attempt may have done it.
        for (status, code, subcode) in [(500, -1, 2_534_023), (400, 506, 0), (400, 10_900, 0)] {
            let reading = error(status, code, subcode);
            assert_eq!(decided(&reading, Repeat::Never, 1), "fail", "{code}");
            assert_eq!(decided(&reading, Repeat::Never, 2), "sent", "{code}");
            let told = reading.error.unwrap();
            assert_eq!((told.code.as_str(), told.class.as_str()), ("duplicate", "duplicate"));
        }
        // No error, but no name either: done for what makes nothing, else to be found out.
        let repeats = [Repeat::AfterProof, Repeat::Never, Repeat::OneTry];
        for (body, expected) in [
            (json!({"recipient_id": "1"}), ["reconcile", "reconcile", "sent"]),
            (json!({}), ["reconcile", "reconcile", "sent"]),
            (json!({"success": true}), ["reconcile", "sent", "sent"]),
            (json!({"success": false}), ["reconcile", "reconcile", "fail"]),
            (json!({"id": "1"}), ["sent"; 3]),
        ] {
            let reading = read(Ok(body.clone()), NOW);
            assert_eq!(repeats.map(|repeat| decided(&reading, repeat, 1)), expected, "{body}");
        }
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
        let told = error(400, 100, 2_534_037).error.unwrap();
        assert_eq!((told.code.as_str(), told.subcode), ("thread_owned_by_other", Some(2_534_037)));
        assert_eq!(error(403, 10, 2_534_022).learnt, None);
        assert_eq!(error(500, 1, 0).learnt, None);
    }

    #[test]
    fn a_closed_window_has_one_code_on_both_channels() {
        for subcode in WINDOW_CLOSED {
            let told = error(400, 10, subcode).error.unwrap();
            assert_eq!(
                (told.code.as_str(), told.class.as_str(), told.subcode),
                ("window_closed", "window", Some(subcode))
            );
        }
        assert!(!error(400, 551, 0).error.unwrap().message.contains("words"));
    }

    #[test]
    fn ids_are_read_whatever_their_type() {
        let sent = |id: &str| Answer::Sent { item_id: Some(id.to_owned()) };
        assert_eq!(
            read(Ok(json!({"recipient_id": "1", "message_id": "m"})), NOW).answer,
            sent("m")
        );
        assert_eq!(
            read(Ok(json!({"id": 17_900_000_000_000_001_i64})), NOW).answer,
            sent("17900000000000001")
        );
        assert_eq!(read(Ok(json!({"success": true})), NOW).answer, Answer::Sent { item_id: None });
        assert_eq!(read(Ok(json!({"success": false})), NOW).answer, Answer::Lost);
        assert_eq!(
            read(Err(GraphError::without_answer(Failure::Timeout, Use::Write)), NOW).answer,
            Answer::Lost
        );
        let unreachable = read(Err(GraphError::without_answer(Failure::Connect, Use::Write)), NOW);
        assert_eq!(unreachable.answer, Answer::NotExecuted { until: None });
    }
}
