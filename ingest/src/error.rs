//! What is answered when a webhook is not taken, and why.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::{callback, handshake, signature};

/// Seconds after which a refused client should come back.
const RETRY_AFTER_SECONDS: &str = "5";

/// Why a request is refused. Answers name the cause and never repeat what was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// The GET handshake does not fit.
    #[error("{0}")]
    Handshake(#[from] handshake::Refusal),
    /// Not signed by Meta with a secret of ours.
    #[error("{0}")]
    Signature(#[from] signature::Rejection),
    /// Larger than `INGEST_MAX_BODY`.
    #[error("the body is larger than {0} bytes (INGEST_MAX_BODY)")]
    TooLarge(usize),
    /// The body did not come to its end in time.
    #[error("the body did not arrive in time")]
    Slow,
    /// The client stopped in the middle of the body.
    #[error("the body ended early or is malformed")]
    Broken,
    /// Signed and whole, but it cannot be made durable now.
    #[error("not stored: {0}")]
    NotStored(String),
    /// No room for another one.
    #[error("too many webhooks at once")]
    Overloaded,
    /// A callback that is not Meta's.
    #[error("{0}")]
    Forged(#[from] callback::Forged),
    /// Another method at a callback.
    #[error("use POST")]
    PostOnly,
    /// Another method.
    #[error("use GET for the handshake and POST for webhooks")]
    Method,
    /// Another path.
    #[error("nothing is here; webhooks go to /webhook, /webhooks/instagram or /webhooks/facebook")]
    Path,
}

impl Refused {
    /// The answer's status.
    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::Handshake(_) => StatusCode::FORBIDDEN,
            Self::Signature(_) | Self::Forged(_) => StatusCode::UNAUTHORIZED,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::NotStored(_) | Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Self::Method | Self::PostOnly => StatusCode::METHOD_NOT_ALLOWED,
            Self::Path => StatusCode::NOT_FOUND,
        }
    }

    const fn code(&self) -> &'static str {
        match self {
            Self::Handshake(_) => "handshake_refused",
            Self::Signature(_) | Self::Forged(_) => "signature_refused",
            Self::TooLarge(_) => "body_too_large",
            Self::Slow => "body_too_slow",
            Self::Broken => "body_broken",
            Self::NotStored(_) => "not_stored",
            Self::Overloaded => "overloaded",
            Self::Method | Self::PostOnly => "method_not_allowed",
            Self::Path => "not_found",
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = self.status();
        let body =
            json!({"status": status.as_u16(), "code": self.code(), "detail": self.to_string()});
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        match self {
            Self::NotStored(_) | Self::Overloaded => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
            }
            Self::Method => {
                headers.insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
            }
            // What is left of the body is of no use to anybody.
            Self::TooLarge(_) | Self::Slow | Self::Broken => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Self::PostOnly => {
                headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
            }
            Self::Handshake(_) | Self::Signature(_) | Self::Forged(_) | Self::Path => {}
        }
        response
    }
}
