//! A request body that leaves this process before a point in time or not at all.
//!
//! A request is written by the task of its connection, not by the one that waits for the answer. In a process that was frozen in between
//! and woken, that task may be the first to run: what looks at the time has to stand where the bytes are given out. The head of a request
//! is written together with its body, so without the body nothing leaves.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use runtime::deadline::Deadline;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The time was over before the body was asked for; nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the time of the call was over before it was made")]
pub(super) struct TooLate;

/// The bytes of a body, until `deadline`.
#[derive(Debug)]
pub(super) struct Timely {
    bytes: Bytes,
    deadline: Deadline,
}

impl Timely {
    pub(super) const fn new(bytes: Bytes, deadline: Deadline) -> Self {
        Self { bytes, deadline }
    }
}

impl Body for Timely {
    type Data = Bytes;
    type Error = TooLate;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TooLate>>> {
        Poll::Ready(if self.bytes.is_empty() {
            None
        } else if self.deadline.is_over() {
            Some(Err(TooLate))
        } else {
            Some(Ok(Frame::data(std::mem::take(&mut self.bytes))))
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}
