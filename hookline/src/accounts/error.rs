//! Exit codes of what the account store refuses.

use worker::facts::accounts::AccountError;

use crate::exit::Failure;

/// A refusal is the fault of the arguments, unless Postgres failed.
pub(crate) fn failure(error: AccountError) -> anyhow::Error {
    match error {
        AccountError::Database(error) => error.into(),
        AccountError::AliasHasEvents { .. } => Failure::refused(error.to_string()),
        AccountError::Seal { .. } => anyhow::Error::new(error),
        _ => Failure::usage(error.to_string()),
    }
}
