//! Looking events up in INBOX_EVENTS.

use async_nats::jetstream::stream::{DirectGetErrorKind, Info};
use runtime::broker::Broker;
use schemas::subjects;

use super::error::RebuildError;
use crate::read::{Incoming, read};

fn away(error: &dyn std::fmt::Display) -> RebuildError {
    RebuildError::Unreachable(format!("{} cannot be read: {error}", subjects::INBOX_EVENTS))
}

/// What the broker says of the stream now.
pub(super) async fn info(broker: &Broker) -> Result<Info, RebuildError> {
    let stream = broker.js().get_stream(subjects::INBOX_EVENTS).await;
    Ok(stream.map_err(|error| away(&error))?.cached_info().clone())
}

/// The event at a position. `None`: erased, or older than the log keeps.
pub(crate) async fn event_at(broker: &Broker, seq: u64) -> Result<Option<Incoming>, RebuildError> {
    let stream = broker.js().get_stream_no_info(subjects::INBOX_EVENTS).await;
    let stream = stream.map_err(|error| away(&error))?;
    match stream.direct_get(seq).await {
        Ok(message) => Ok(Some(read(seq, &message.subject, &message.payload))),
        Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
        Err(error) => Err(away(&error)),
    }
}

/// Whether an event of these subjects is somewhere after `position`, up to `end`.
pub(crate) async fn holds_between(
    broker: &Broker,
    filter: &str,
    position: u64,
    end: u64,
) -> Result<bool, RebuildError> {
    let stream = broker.js().get_stream(subjects::INBOX_EVENTS).await;
    let stream = stream.map_err(|error| away(&error))?;
    match stream.direct_get_next_for_subject(filter, Some(position + 1)).await {
        Ok(message) => Ok(message.sequence <= end),
        Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(false),
        Err(error) => Err(away(&error)),
    }
}
