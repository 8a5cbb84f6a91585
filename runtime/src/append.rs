//! Appending to a subject under the condition that nobody else has meanwhile: the subject's last position must be the one that is known.

use std::error::Error as _;
use std::time::{Duration, Instant};

use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;

use crate::broker::{Broker, PublishFailure};

/// Another message for the subject is on its way into a replicated stream.
const IN_FLIGHT: u64 = 10164;
/// As in [`crate::publish`]: a limit of the stream, of the server's disk or of the account is reached.
const NO_ROOM: [u64; 4] = [10077, 10023, 10047, 10002];

/// Why a message was not appended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendFailure {
    /// The subject's last position is another one: nothing was stored.
    #[error("the last position of the subject is another one than is known here")]
    Moved,
    /// As for any publish: after [`PublishFailure::TimedOut`] it may be stored.
    #[error(transparent)]
    Failed(#[from] PublishFailure),
}

impl Broker {
    /// Stores a message if the last position of `subject` is `last` (0: it has none), and waits, at most `wait`, for the durable ack.
    /// Returns its position.
    ///
    /// # Errors
    /// [`AppendFailure`]; after a time-out it may be stored.
    pub async fn append(
        &self,
        subject: String,
        payload: Bytes,
        last: u64,
        wait: Duration,
    ) -> Result<u64, AppendFailure> {
        if !self.is_connected() {
            return Err(PublishFailure::NotConnected.into());
        }
        self.refuse_foreign(&subject)?;
        let begun = Instant::now();
        let publish = PublishMessage::build().payload(payload).expected_last_subject_sequence(last);
        let send = async { self.js().send_publish(subject, publish).await?.await };
        let end = match tokio::time::timeout(wait, send).await {
            Err(_) => Err(PublishFailure::TimedOut.into()),
            Ok(Ok(ack)) => Ok(ack.sequence),
            Ok(Err(error)) => Err(failure(&error)),
        };
        match &end {
            Ok(_) => self.note_room(Ok(()), begun),
            Err(AppendFailure::Failed(failure)) => self.note_room(Err(failure), begun),
            Err(AppendFailure::Moved) => {}
        }
        end
    }
}

fn failure(error: &PublishError) -> AppendFailure {
    let failure = match (error.kind(), code(error)) {
        (PublishErrorKind::WrongLastSequence, _) => return AppendFailure::Moved,
        // What is on its way may be stored or not: as little is known as after a time-out.
        (_, Some(IN_FLIGHT)) | (PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe, _) => {
            PublishFailure::TimedOut
        }
        (PublishErrorKind::StreamNotFound, _) => PublishFailure::NoStream,
        (PublishErrorKind::MaxPayloadExceeded, _) => PublishFailure::TooLarge,
        (_, Some(code)) if NO_ROOM.contains(&code) => PublishFailure::Full(error.to_string()),
        _ => PublishFailure::Refused(error.to_string()),
    };
    AppendFailure::Failed(failure)
}

fn code(error: &PublishError) -> Option<u64> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<async_nats::jetstream::Error>() {
            return Some(error.error_code().0);
        }
        source = cause.source();
    }
    None
}
