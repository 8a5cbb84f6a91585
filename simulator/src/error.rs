//! What can be wrong with what a caller of the simulator asks.

use std::time::Duration;

/// A field that was given wrongly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Invalid {
    /// The field, as the caller wrote it.
    pub field: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl Invalid {
    /// Names a field and its problem.
    pub fn new(field: &str, problem: impl Into<String>) -> Invalid {
        Invalid { field: field.to_owned(), problem: problem.into() }
    }
}

/// Why the simulator could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// Wrong input.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The port is taken or not allowed.
    #[error("cannot listen on {address}: {source}; choose another port")]
    Listen {
        /// What was asked for.
        address: std::net::SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The HTTP client for webhooks could not be built.
    #[error("cannot build the HTTP client that delivers webhooks: {0}")]
    Client(reqwest::Error),
    /// The webhook cannot be reached.
    #[error("the webhook does not answer: {}; is ingest running there?", kind(.0))]
    Unreachable(reqwest::Error),
    /// The webhook did not take a delivery in time.
    #[error("the webhook did not answer 200 within {waited:?}; attempts so far: {attempts}")]
    NotAccepted {
        /// How long was waited.
        waited: Duration,
        /// What came back each time.
        attempts: String,
    },
    /// The retries ended without a 200.
    #[error("the delivery was given up; attempts: {attempts}")]
    GivenUp {
        /// What came back each time.
        attempts: String,
    },
}

/// Without the URL, because the handshake's carries the verify token.
fn kind(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the answer broke off"
    }
}
