//! Why a rebuild or a verification did not come to its end.

use ops::Wish;

/// Why it did not come to its end. What is built so far stays, and the same words go on from there.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// Going on could do harm; the text says what to do instead.
    #[error("{0}")]
    Refused(String),
    /// The broker does not answer.
    #[error("{0}")]
    Unreachable(String),
    /// An operator wishes it, or the process is to stop.
    #[error("stopped")]
    Stopped(Wish),
    /// Another process works on the job.
    #[error("another process took the job over: watch that one")]
    Lost,
    /// Postgres does not answer, or refuses.
    #[error("Postgres: {0}")]
    Database(#[from] sqlx::Error),
    /// Something else.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}
