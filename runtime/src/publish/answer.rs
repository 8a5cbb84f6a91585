//! What an answer of the broker means.

use std::time::Instant;

use async_nats::jetstream::context::{PublishError, PublishErrorKind};

use crate::broker::{Broker, PublishFailure};

pub(super) const ALREADY_STORED: u64 = 10071;
/// A limit of the stream, of the server's disk (`max_file_store`), or of the account is reached.
const NO_ROOM: [u64; 4] = [10077, 10023, 10047, 10002];
/// The message is larger than its stream allows.
const OVER_STREAM_LIMIT: u64 = 10054;

impl Broker {
    /// What went wrong; a stream without room is remembered for whoever operates.
    pub(super) fn failure(&self, error: &PublishError, begun: Instant) -> PublishFailure {
        let failure = failure(error);
        self.note_room(Err(&failure), begun);
        failure
    }

    /// No answer in time: remembered for whoever operates, as long as the connection stands.
    pub(super) fn silent(&self, begun: Instant) -> PublishFailure {
        self.note_room(Err(&PublishFailure::TimedOut), begun);
        PublishFailure::TimedOut
    }
}

pub(super) fn code(error: &PublishError) -> Option<u64> {
    jetstream_error(error).map(|error| error.error_code().0)
}

fn jetstream_error(error: &PublishError) -> Option<async_nats::jetstream::Error> {
    use std::error::Error;
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<async_nats::jetstream::Error>() {
            return Some(error.clone());
        }
        source = cause.source();
    }
    None
}

fn failure(error: &PublishError) -> PublishFailure {
    match error.kind() {
        PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe => PublishFailure::TimedOut,
        // Without a responder the stream is missing or between two leaders.
        PublishErrorKind::StreamNotFound => PublishFailure::NoStream,
        PublishErrorKind::MaxPayloadExceeded => PublishFailure::TooLarge,
        _ => match jetstream_error(error) {
            Some(cause) if NO_ROOM.contains(&cause.error_code().0) => {
                PublishFailure::Full(cause.to_string())
            }
            Some(cause) if cause.error_code().0 == OVER_STREAM_LIMIT => PublishFailure::TooLarge,
            Some(cause) => PublishFailure::Refused(cause.to_string()),
            None => PublishFailure::Refused(error.to_string()),
        },
    }
}
