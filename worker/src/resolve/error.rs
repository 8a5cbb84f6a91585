//! Why a pass over the ladder failed. The item is tried again later.

use facts::FactError;
use facts::accounts::AccountError;
use facts::seal::SealError;

#[derive(Debug, thiserror::Error)]
pub(super) enum ResolveError {
    #[error("the waiting room")]
    Database(#[from] sqlx::Error),
    #[error("publishing")]
    Facts(#[from] FactError),
    #[error("the account")]
    Account(#[from] AccountError),
    #[error("sealing a resolution")]
    Seal(#[from] SealError),
    #[error("writing a resolution")]
    Json(#[from] serde_json::Error),
}
