//! Why a batch was not stored, and whose fault that is.

/// Why a batch was not stored; nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Take the lease and read the position anew.
    #[error("another projector holds the lease or moved the position")]
    Fenced,
    /// The public views show another schema by now: write that one.
    #[error("another schema serves by now")]
    Moved,
    /// Postgres does not answer, or refuses what is written.
    #[error("the read model could not be written: {0}")]
    Database(#[from] sqlx::Error),
}
