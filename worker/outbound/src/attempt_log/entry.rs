//! ◆ Pure: what a message of INBOX_ATTEMPTS says: ids and times, nothing of what people write.

use schemas::Timestamp;
use serde::{Deserialize, Serialize};

/// Attempts of one shard that one claim has written down together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Batch {
    /// The process.
    pub(crate) worker: String,
    /// Which claim of it.
    pub(crate) batch: String,
    pub(crate) attempts: Vec<Entry>,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Of the command.
    pub(crate) identity: String,
    /// The part, from 0.
    pub(crate) n: i32,
    /// From 1.
    pub(crate) attempt: u32,
    /// By the database's clock.
    pub(crate) started_at: Timestamp,
    /// Its request has ended by then.
    pub(crate) deadline: Timestamp,
}

impl Batch {
    pub(crate) fn new(worker: &str, batch: &str, attempts: Vec<Entry>) -> Self {
        Self { worker: worker.to_owned(), batch: batch.to_owned(), attempts }
    }
}
