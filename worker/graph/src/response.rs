//! Reading responses: rate figures, bodies, failures of the connection.

use reqwest::Response;
use reqwest::header::HeaderMap;
use serde_json::Value;
use serde_json::value::RawValue;

use super::error::{Failure, GraphError, Use};
use super::limits::Usage;

/// Larger answers are refused: 50 conversations with 20 messages each stay far below.
const ANSWER_MAX: usize = 8 << 20;

/// What the response says of the rate budget (docs/meta-platform.md 10).
pub(super) fn usage(headers: &HeaderMap) -> Usage {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    Usage::parse(text("x-app-usage"), text("x-page-usage"), text("x-business-use-case-usage"))
}

/// Classes a call without an answer. The error of `reqwest` is dropped: it names the URL, which may hold what a person wrote.
pub(super) fn failure(error: &reqwest::Error, purpose: Use) -> GraphError {
    let failure = if error.is_connect() || error.is_builder() {
        Failure::Connect
    } else if error.is_timeout() {
        Failure::Timeout
    } else {
        Failure::Broken
    };
    GraphError::without_answer(failure, purpose)
}

/// Reads the body, and the error in it.
///
/// # Errors
/// Graph's own error, or why the body cannot be used.
pub(super) async fn answer(response: Response, purpose: Use) -> Result<Value, GraphError> {
    let (status, body) = body(response, purpose).await?;
    read(status, &body, purpose)
}

/// Reads the status and the bytes.
///
/// # Errors
/// Why they cannot be read.
pub(super) async fn body(
    mut response: Response,
    purpose: Use,
) -> Result<(u16, Vec<u8>), GraphError> {
    let status = response.status().as_u16();
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => return Ok((status, body)),
            Ok(Some(chunk)) if body.len() + chunk.len() <= ANSWER_MAX => {
                body.extend_from_slice(&chunk)
            }
            Ok(Some(_)) => return Err(with_status(status, Failure::TooLarge, purpose)),
            Err(error) => return Err(failure(&error, purpose)),
        }
    }
}

/// What a body says, or the error in it.
///
/// # Errors
/// Graph's own error, or that the body is no JSON.
pub(super) fn read(status: u16, body: &[u8], purpose: Use) -> Result<Value, GraphError> {
    if let Some(error) = GraphError::of_answer(status, body, purpose) {
        return Err(error);
    }
    // Read like a webhook: half an emoji or NUL in what a person wrote spoils nothing, and no id is rounded.
    let raw: &RawValue = serde_json::from_slice(body)
        .map_err(|_| with_status(status, Failure::Unreadable, purpose))?;
    Ok(schemas::meta::json::json(raw))
}

fn with_status(status: u16, failure: Failure, purpose: Use) -> GraphError {
    GraphError { status: Some(status), ..GraphError::without_answer(failure, purpose) }
}
