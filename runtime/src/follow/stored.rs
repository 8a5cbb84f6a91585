//! Single messages of a stream, asked for one by one. The answer is JSON with headers and body in base64, which the client library cannot
//! stumble over, whatever they are (docs/decisions/30): nothing else reads single messages.

use async_nats::jetstream::{self, ErrorCode, response::Response};
use async_nats::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemas::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::headers;
use super::received::Received;
use crate::BoxFuture;

/// Why a message cannot be looked up; ask again.
#[derive(Debug, thiserror::Error)]
pub enum LookUpError {
    /// The broker does not answer, or the user may not ask.
    #[error(
        "the broker does not answer for {stream}: {reason} (its user needs $JS.API.STREAM.MSG.GET.{stream})"
    )]
    Away {
        /// The stream.
        stream: String,
        /// What the client reports.
        reason: String,
    },
    /// The broker refuses.
    #[error("the broker refuses to read {stream}: {reason}")]
    Refused {
        /// The stream.
        stream: String,
        /// What the broker reports.
        reason: String,
    },
}

#[derive(Deserialize)]
struct Answer {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    subject: String,
    seq: u64,
    #[serde(default)]
    hdrs: String,
    #[serde(default)]
    data: String,
    time: Timestamp,
}

/// The message at a position; `None` where there is none.
///
/// # Errors
/// [`LookUpError`]; ask again.
pub fn at<'a>(
    js: &'a jetstream::Context,
    stream: &'a str,
    sequence: u64,
) -> BoxFuture<'a, Result<Option<Received>, LookUpError>> {
    Box::pin(async move {
        // Position 0 is before the first: the broker takes it for a request without a position.
        if sequence == 0 {
            return Ok(None);
        }
        look_up(js, stream, json!({ "seq": sequence })).await
    })
}

/// The first message of these subjects at `from` or after; `None` where there is none.
///
/// # Errors
/// [`LookUpError`]; ask again.
pub fn next<'a>(
    js: &'a jetstream::Context,
    stream: &'a str,
    filter: &'a str,
    from: u64,
) -> BoxFuture<'a, Result<Option<Received>, LookUpError>> {
    Box::pin(look_up(js, stream, json!({ "seq": from.max(1), "next_by_subj": filter })))
}

/// The last message of these subjects; `None` where there is none.
///
/// # Errors
/// [`LookUpError`]; ask again.
pub fn last<'a>(
    js: &'a jetstream::Context,
    stream: &'a str,
    filter: &'a str,
) -> BoxFuture<'a, Result<Option<Received>, LookUpError>> {
    Box::pin(look_up(js, stream, json!({ "last_by_subj": filter })))
}

/// The first position of these subjects that was stored at `time` or later; one past the end where none was.
///
/// # Errors
/// [`LookUpError`]; ask again.
pub fn first_since<'a>(
    js: &'a jetstream::Context,
    stream: &'a str,
    filter: &'a str,
    time: Timestamp,
) -> BoxFuture<'a, Result<u64, LookUpError>> {
    Box::pin(async move {
        let Some(last) = last(js, stream, filter).await? else { return Ok(1) };
        let (mut low, mut high) = (1, last.sequence + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            match next(js, stream, filter, middle).await? {
                Some(message) if message.stored_at < time => low = message.sequence + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    })
}

async fn look_up(
    js: &jetstream::Context,
    stream: &str,
    request: serde_json::Value,
) -> Result<Option<Received>, LookUpError> {
    let asked = js.request(format!("STREAM.MSG.GET.{stream}"), &request).await;
    let answer: Response<Answer> = asked.map_err(|error| LookUpError::Away {
        stream: stream.to_owned(),
        reason: error.to_string(),
    })?;
    match answer {
        Response::Ok(Answer { message }) => received(message).map(Some).ok_or_else(|| {
            let reason = "its answer is not base64".to_owned();
            LookUpError::Refused { stream: stream.to_owned(), reason }
        }),
        Response::Err { error } if error.error_code() == ErrorCode::NO_MESSAGE_FOUND => Ok(None),
        Response::Err { error } => {
            Err(LookUpError::Refused { stream: stream.to_owned(), reason: error.to_string() })
        }
    }
}

fn received(message: Message) -> Option<Received> {
    let block = STANDARD.decode(message.hdrs).ok()?;
    let payload = STANDARD.decode(message.data).ok()?;
    let headers::Headers { fields, flaw } = headers::read(&block);
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
            headers.append(name, value);
        }
    }
    Some(Received {
        sequence: message.seq,
        flaw: flaw.or_else(|| subject_flaw(&message.subject)),
        subject: message.subject,
        headers,
        payload: payload.into(),
        stored_at: message.time,
        pending: 0,
    })
}

/// Subjects of ours are ASCII. The client library cuts a line at any white space of Unicode, and refuses bytes that are no UTF-8, which the
/// broker's JSON shows as U+FFFD.
fn subject_flaw(subject: &str) -> Option<&'static str> {
    (!subject.chars().all(|char| char.is_ascii_graphic())).then_some("the subject is not ASCII")
}
