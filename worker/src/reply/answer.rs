//! ◆ Pure: what Meta's answer to a write means for the ledger.

use schemas::Timestamp;
use schemas::facts::OutcomeError;
use serde_json::{Value, json};

use super::decide::Answer;
use crate::graph::{Class, Failure, GraphError};

/// Sub-codes that say: outside the allowed window (`meta-platform.md` section 9).
const WINDOW_CLOSED: [i64; 3] = [2_018_278, 2_534_022, 2_018_065];

/// An answer, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// For the decision.
    pub answer: Answer,
    /// For the outcome, where it is no success.
    pub error: Option<OutcomeError>,
    /// Why the account must stop, where it must.
    pub stop: Option<String>,
    /// A limit was met.
    pub limited: bool,
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
    let denied = match &body["success"] {
        Value::Bool(done) => !done,
        Value::String(done) => done != "true",
        _ => false,
    };
    let kept = json!({ "status": 200, "id": id, "recipient_id": text(&body["recipient_id"]) });
    if denied {
        let error = OutcomeError {
            code: "not_confirmed".to_owned(),
            subcode: None,
            class: "unknown".to_owned(),
            message: "Meta answered without error, but not with success".to_owned(),
        };
        return Reading {
            answer: Answer::Lost,
            error: Some(error),
            stop: None,
            limited: false,
            kept,
        };
    }
    Reading { answer: Answer::Sent { item_id: id }, error: None, stop: None, limited: false, kept }
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
        Class::Done => Answer::Sent { item_id: None },
        Class::Permission | Class::Window | Class::Recipient | Class::Invalid => Answer::Refused,
    };
    Reading {
        answer,
        error: (error.class != Class::Done).then(|| outcome_error(error)),
        stop: (error.class == Class::Account).then(|| error.to_string()),
        limited: matches!(error.class, Class::Limited(_)) && error.failure == Failure::Answer,
        kept: json!({
            "status": error.status, "code": error.code, "subcode": error.subcode, "fbtrace_id": error.fbtrace_id,
            "class": error.class.as_str(),
        }),
    }
}

/// A failed call as an outcome tells it.
pub fn outcome_error(error: &GraphError) -> OutcomeError {
    let closed =
        error.class == Class::Window && WINDOW_CLOSED.iter().any(|number| error.names(*number));
    let code = match (closed, error.code, error.failure) {
        (true, ..) => "window_closed".to_owned(),
        (false, Some(code), _) => code.to_string(),
        (false, None, Failure::Answer) => {
            error.status.map_or_else(|| "http".to_owned(), |status| format!("http_{status}"))
        }
        (false, None, Failure::Budget) => "budget".to_owned(),
        (false, None, Failure::Connect) => "unreachable".to_owned(),
        (false, None, Failure::Timeout) => "timeout".to_owned(),
        (false, None, _) => "no_answer".to_owned(),
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
    use crate::graph::Use;

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
        assert_eq!(error(400, 10_900, 0).answer, Answer::Sent { item_id: None });
        let token = error(401, 190, 463);
        assert!(token.stop.is_some() && token.answer == Answer::NotExecuted { until: None });
        assert!(error(400, 4, 0).limited);
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
