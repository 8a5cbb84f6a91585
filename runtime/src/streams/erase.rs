//! Erasing single messages of a stream: the broker overwrites their bytes on its disk (secure delete), and their positions stay empty.

use std::time::Duration;

use async_nats::jetstream::{self, response::Response};
use serde::Deserialize;
use serde_json::json;

use crate::BoxFuture;
use crate::follow::stored::{self, LookUpError};

/// Requests under way at once.
const AT_ONCE: usize = 16;
/// A position that no stream comes to.
const NEVER: u64 = u64::MAX / 2;
/// A broker that does not take a request does not answer it either: it counts as refused after this time.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// Why a message was not erased; ask again.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The broker does not answer, or the user may not erase.
    #[error(
        "the broker does not erase in {stream}: {reason} (its user needs $JS.API.STREAM.MSG.DELETE.{stream})"
    )]
    Away {
        /// The stream.
        stream: String,
        /// What the client reports.
        reason: String,
    },
    /// The broker refuses.
    #[error("the broker refuses to erase in {stream}: {reason}")]
    Refused {
        /// The stream.
        stream: String,
        /// What the broker reports.
        reason: String,
    },
    /// Whether it is there is not known.
    #[error(transparent)]
    LookUp(#[from] LookUpError),
}

#[derive(Deserialize)]
struct Answer {
    success: bool,
}

/// Erases the messages at these positions; what is not there is erased. Returns how many were there.
///
/// # Errors
/// [`EraseError`]; some may be erased: call again.
pub fn erase<'a>(
    js: &'a jetstream::Context,
    stream: &'a str,
    sequences: &'a [u64],
) -> BoxFuture<'a, Result<u64, EraseError>> {
    Box::pin(async move {
        let mut erased = 0;
        for some in sequences.chunks(AT_ONCE) {
            let asked = some.iter().map(|sequence| one(js, stream, *sequence));
            let was_there = futures::future::try_join_all(asked).await?;
            erased += was_there.into_iter().map(u64::from).sum::<u64>();
        }
        Ok(erased)
    })
}

/// Whether the broker takes deletes in this stream from this user: it is asked to delete what no stream has, and whatever it answers, it may be
/// asked. It answers nothing where the user lacks the right.
///
/// # Errors
/// [`EraseError::Away`], after 5 s at most.
pub async fn may_erase(js: &jetstream::Context, stream: &str) -> Result<(), EraseError> {
    ask(js, stream, NEVER).await.map(|_| ())
}

/// Asks the broker to erase one message. Without a limit of its own the request would wait as long as the connection allows.
async fn ask(
    js: &jetstream::Context,
    stream: &str,
    sequence: u64,
) -> Result<Response<Answer>, EraseError> {
    let request = json!({ "seq": sequence, "no_erase": false });
    let asked = js.request(format!("STREAM.MSG.DELETE.{stream}"), &request);
    match tokio::time::timeout(ANSWERS_WITHIN, asked).await {
        Ok(answer) => answer.map_err(|error| away(stream, &error)),
        Err(_) => Err(away(stream, &"no answer within 5 s")),
    }
}

fn away(stream: &str, error: &dyn std::fmt::Display) -> EraseError {
    EraseError::Away { stream: stream.to_owned(), reason: error.to_string() }
}

/// `false`: it was not there.
async fn one(js: &jetstream::Context, stream: &str, sequence: u64) -> Result<bool, EraseError> {
    let reason = match ask(js, stream, sequence).await? {
        Response::Ok(Answer { success: true }) => return Ok(true),
        Response::Ok(_) => "it gives no reason".to_owned(),
        Response::Err { error } => error.to_string(),
    };
    match stored::at(js, stream, sequence).await? {
        None => Ok(false),
        Some(_) => Err(EraseError::Refused { stream: stream.to_owned(), reason }),
    }
}
