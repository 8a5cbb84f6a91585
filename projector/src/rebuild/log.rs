//! Looking events up in INBOX_EVENTS.

use async_nats::jetstream::stream::Info;
use runtime::broker::Broker;
use runtime::follow::stored;
use schemas::subjects;

use super::error::RebuildError;
use crate::read::Incoming;

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
    let stored = stored::at(broker.js(), subjects::INBOX_EVENTS, seq).await;
    let message = stored.map_err(|error| away(&error))?;
    Ok(message.map(Incoming::of))
}

/// Whether an event of these subjects is somewhere after `position`, up to `end`.
pub(crate) async fn holds_between(
    broker: &Broker,
    filter: &str,
    position: u64,
    end: u64,
) -> Result<bool, RebuildError> {
    let next = stored::next(broker.js(), subjects::INBOX_EVENTS, filter, position + 1).await;
    Ok(next.map_err(|error| away(&error))?.is_some_and(|message| message.sequence <= end))
}
