//! What an erasure works with.

use async_nats::jetstream::Context;
use facts::FactStore;
use inbound::erase::Redactor;
use runtime::broker::Broker;
use runtime::streams::{self, EraseError};
use schemas::subjects::{INBOX_COMMANDS, INBOX_DEAD, INBOX_EVENTS, META_RAW};
use sqlx::PgPool;

/// What a chunk of work led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moved {
    /// Something was done; go on.
    On,
    /// It has to wait, for this reason.
    Waits(String),
    /// All of it is done.
    Done,
}

/// Carries out erasures.
pub struct Work {
    pub(crate) broker: Broker,
    pub(crate) pool: PgPool,
    pub(crate) facts: FactStore,
    pub(crate) redactor: Redactor,
}

/// The streams in which an erasure deletes messages.
const ERASED_IN: [&str; 4] = [META_RAW, INBOX_EVENTS, INBOX_COMMANDS, INBOX_DEAD];

/// Whether the broker lets this user delete: the rights came with a release, and its user may be of one before.
///
/// # Errors
/// [`EraseError`] names the right that is missing.
pub async fn may_erase(js: &Context) -> Result<(), EraseError> {
    for stream in ERASED_IN {
        streams::may_erase(js, stream).await?;
    }
    Ok(())
}

impl Work {
    /// Over `broker`, recording in `facts`.
    pub fn new(broker: &Broker, facts: &FactStore) -> Self {
        Self {
            broker: broker.clone(),
            pool: facts.pool().clone(),
            facts: facts.clone(),
            redactor: Redactor::new(broker, facts.pool()),
        }
    }
}
