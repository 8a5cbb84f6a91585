//! Why an account cannot be stored or read.

use schemas::AccountId;

use super::new_account::InvalidOption;
use crate::seal::SealError;

/// Why an account cannot be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// An alias that already has events is refused (`docs/contract.md` 5).
    #[error(
        "`{alias}` already has events as an account of its own: it cannot stand for `{account}`; leave out `{option} {alias}`"
    )]
    AliasHasEvents {
        /// `--alias` or `--page-id`.
        option: &'static str,
        /// The alias or Page id.
        alias: String,
        /// The account it was to belong to.
        account: AccountId,
    },
    /// The id belongs to another account already.
    #[error("`{id}` belongs to account `{owner}` already: remove it there first")]
    Taken {
        /// The id or alias.
        id: String,
        /// Whose it is.
        owner: AccountId,
    },
    /// A value cannot be right.
    #[error(transparent)]
    Invalid(#[from] InvalidOption),
    /// The token does not open.
    #[error("the token of account `{account}`")]
    Seal {
        /// The account.
        account: AccountId,
        /// Why; names `ENCRYPTION_KEY`.
        #[source]
        source: SealError,
    },
    /// Postgres did not answer as expected; nothing was changed, call again.
    #[error("the table of accounts")]
    Database(#[from] sqlx::Error),
}
