//! Why a stream cannot be followed.

/// Why a stream cannot be followed from a position.
#[derive(Debug, thiserror::Error)]
pub enum Unfollowable {
    /// It is another one.
    #[error(transparent)]
    Recreated(#[from] StreamRecreated),
    /// It was put back to an earlier state.
    #[error(transparent)]
    PutBack(#[from] StreamPutBack),
}

/// The stream is not the one the position belongs to; going on would skip or repeat. An operator must decide.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct StreamRecreated {
    /// What is there and what was expected, with what to do.
    pub reason: String,
}

/// The stream is the right one, and does not have the message at the position: it was restored from a backup that is older. What it gets
/// next has numbers that were used before, so it has to be read from its beginning.
#[derive(Debug, thiserror::Error)]
#[error(
    "stream {stream} was put back to a state before position {position}, which was read already; it has to be read again from its beginning"
)]
pub struct StreamPutBack {
    /// The stream.
    pub stream: &'static str,
    /// The position.
    pub position: u64,
}
