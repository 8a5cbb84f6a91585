//! Why facts could not be published or recorded, and what the caller does about it.

use runtime::publish::PublishFailure;
use runtime::streams::EraseError;
use schemas::EventId;

use crate::seal::SealError;

/// Why facts could not be published or recorded.
#[derive(Debug, thiserror::Error)]
pub enum FactError {
    /// Somebody else published another reading of the same fact at the same moment: plan again.
    #[error("another reading of {event_id} was published at the same moment: plan again")]
    Conflict {
        /// The fact.
        event_id: EventId,
    },
    /// The broker did not take the events: try again later.
    #[error("publishing events")]
    Publish(#[source] Box<PublishError>),
    /// Postgres did not answer as expected: try again later.
    #[error("the table of facts")]
    Database(#[from] sqlx::Error),
    /// A secret could not be sealed.
    #[error("sealing a secret")]
    Seal(#[from] SealError),
}

impl From<PublishError> for FactError {
    fn from(error: PublishError) -> Self {
        Self::Publish(Box::new(error))
    }
}

/// Why events may not be in the stream. All of them pass: repeat with the same drafts.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The broker did not store them, or did not say so.
    #[error("the broker does not take events")]
    Broker(#[from] PublishFailure),
    /// An event that was erased while it was published could not be erased in the stream.
    #[error("an event that was erased meanwhile stays in INBOX_EVENTS")]
    Erase(#[from] EraseError),
    /// An event has no JSON form.
    #[error("an event cannot be written as JSON")]
    Encode(#[from] serde_json::Error),
    /// An event that was stored earlier could not be read back.
    #[error("reading back position {sequence} of INBOX_EVENTS: {reason}")]
    ReadBack {
        /// The position.
        sequence: u64,
        /// What the broker said.
        reason: String,
    },
}
