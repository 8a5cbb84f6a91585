//! One message of a stream.

use async_nats::HeaderMap;
use bytes::Bytes;
use schemas::Timestamp;

use crate::lease::Position;
use crate::streams::Era;

/// A message of a stream.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its position.
    pub sequence: u64,
    /// Its subject.
    pub subject: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Why its headers or its subject cannot be read whole: no client of ours wrote it. `headers` has what can be read.
    pub flaw: Option<&'static str>,
    /// Its body.
    pub payload: Bytes,
    /// When the broker stored it.
    pub stored_at: Timestamp,
    /// How many of ours come after it, when it was delivered.
    pub pending: u64,
}

impl Received {
    /// Its position, in a stream of this era.
    pub const fn position(&self, era: Option<Era>) -> Position {
        Position { seq: self.sequence, era, at: Some(self.stored_at) }
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(async_nats::HeaderValue::as_str)
    }

    /// The trace it belongs to, where its header names one.
    pub fn traceparent(&self) -> Option<&str> {
        self.header(schemas::raw::header::TRACEPARENT).and_then(schemas::trace::traceparent)
    }
}
