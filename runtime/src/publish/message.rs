//! What is published, how much of it together, and where it is stored.

use async_nats::{HeaderMap, HeaderValue};
use bytes::Bytes;

/// Most messages in one atomic batch (contract: at most 500; the broker takes 1000).
pub const BATCH_MAX: usize = 500;
/// Most bytes in one atomic batch.
pub const BATCH_BYTES_MAX: usize = 16 << 20;
/// From so many messages on an atomic batch, which costs several syncs whatever its size, is cheaper than a sync for each message.
pub const BATCH_FROM: usize = 16;

/// A message to publish.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The subject.
    pub subject: String,
    /// `Nats-Msg-Id`: derived, so that a repeat is recognised.
    pub id: String,
    /// Further headers.
    pub headers: HeaderMap,
    /// The body.
    pub payload: Bytes,
}

impl Outgoing {
    /// The id as a header; `None` where it has a line end in it.
    pub(super) fn header_id(&self) -> Option<HeaderValue> {
        self.id.parse().ok()
    }
}

/// Where a message is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its position in the stream.
    pub sequence: u64,
    /// It was there before: this is the position of the first.
    pub duplicate: bool,
}
