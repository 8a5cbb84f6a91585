//! ◆ Pure: what Meta's answer to a write means for the ledger.

use schemas::facts::OutcomeError;
use serde_json::{Value, json};

use crate::decide::Answer;
use facts::accounts::Refusal;
use graph::{Class, Failure, GraphError};

/// Sub-codes that say: outside the allowed window (docs/meta-platform.md 9).
const WINDOW_CLOSED: [i64; 3] = [2_018_278, 2_534_022, 2_018_065];

/// Numbers that say: another app, or an automated flow, controls the thread.
const NOT_THREAD_OWNER: [i64; 3] = [2_534_037, 2_018_300, 2_018_321];

/// What a refusal says of the conversation, beyond the message that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Learnt {
    /// The person cannot be reached: they block the account, or are gone.
    Unreachable,
    /// Another app controls the thread.
    OtherOwns,
}

/// An answer, read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reading {
    /// For the decision.
    pub(crate) answer: Answer,
    /// For the outcome, where the decision makes it no success.
    pub(crate) error: Option<OutcomeError>,
    /// Why the account must stop, where it must.
    pub(crate) stop: Option<Refusal>,
    /// A limit was met.
    pub(crate) limited: bool,
    /// What holds for the conversation from now on.
    pub(crate) learnt: Option<Learnt>,
    /// What the ledger keeps: ids and numbers, no words.
    pub(crate) kept: Value,
}

/// Reads an answer to a write.
pub(crate) fn read(answer: Result<Value, GraphError>) -> Reading {
    match answer {
        Ok(body) => success(&body),
        Err(error) => failure(&error),
    }
}

/// Reads an answer of the Conversions API to one event.
pub(crate) fn read_conversion(answer: Result<Value, GraphError>) -> Reading {
    let body = match answer {
        Ok(body) => body,
        Err(error) => return failure(&error),
    };
    let received = body["events_received"].as_u64();
    let warnings = body["messages"].as_array().map_or(0, Vec::len);
    let trace = text(&body["fbtrace_id"]);
    let mut result = json!({ "events_received": received, "fbtrace_id": trace });
    if 0 < warnings {
        result["warnings"] = warnings.into();
    }
    if let Some(ad) = text(&body["ad_id"]) {
        result["ad_id"] = ad.into();
    }
    let kept = json!({ "status": 200, "result": result });
    let whole = received.is_some_and(|received| 0 < received) && warnings == 0;
    let error = (!whole).then(|| {
        OutcomeError::own(
            "in_part",
            "unknown",
            "Meta answered with warnings or counted no event: look at the dataset in Events Manager, then `hookline replies resolve`",
        )
    });
    let answer = if whole { Answer::Sent { item_id: None } } else { Answer::InPart };
    Reading { answer, error, stop: None, limited: false, learnt: None, kept }
}

/// Reads an answer to the submission of a template, or what Meta has of it.
pub(crate) fn read_template(answer: Result<Value, GraphError>) -> Reading {
    let kept = answer.as_ref().ok().map(|body| {
        let fields = ["id", "status", "category", "reason", "existed"];
        let kept = fields.into_iter().filter_map(|name| Some((name, body.get(name)?.clone())));
        kept.map(|(name, value)| (name.to_owned(), value)).collect::<serde_json::Map<_, _>>()
    });
    let mut reading = read(answer);
    if let Some(kept) = kept.filter(|kept| !kept.is_empty()) {
        reading.kept["result"] = kept.into();
    }
    reading
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

fn failure(error: &GraphError) -> Reading {
    let later = Answer::NotExecuted { pause: error.retry_after };
    let answer = match error.class {
        Class::Retry | Class::Limited(_) => later,
        Class::Account => Answer::NotExecuted { pause: None },
        Class::Unknown => Answer::Lost,
        Class::Done => Answer::Already,
        Class::Permission | Class::Window | Class::Recipient | Class::Invalid => Answer::Refused,
    };
    Reading {
        answer,
        error: Some(outcome_error(error)),
        stop: (error.class == Class::Account).then(|| error.refusal()),
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

/// A failed call as an outcome reports it. Where our own policy has a word for the same, it is that word.
pub(crate) fn outcome_error(error: &GraphError) -> OutcomeError {
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
mod tests;
