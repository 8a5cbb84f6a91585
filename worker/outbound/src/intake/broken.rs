//! Commands that cannot be accepted as they are.

use runtime::db::{Fault, describe, fault};

/// What is left to do with a command that cannot be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// It fails, with an outcome, under what can be kept of it.
    Refused,
    /// It becomes a dead letter.
    Buried,
}

impl Broken {
    /// What less is tried after Postgres has refused this; `None` where nothing less is left.
    pub(super) const fn after(tried: Option<Self>) -> Option<Self> {
        match tried {
            None => Some(Self::Refused),
            Some(Self::Refused) => Some(Self::Buried),
            Some(Self::Buried) => None,
        }
    }
}

/// Whether less at a time may pass, because it is about what a command holds or how much it is.
pub(super) fn narrows(error: &anyhow::Error) -> bool {
    matches!(fault_of(error), Some(Fault::Data | Fault::TooMuch))
}

/// The fault of the database, if it is one.
pub(super) fn fault_of(error: &anyhow::Error) -> Option<Fault> {
    error.downcast_ref::<sqlx::Error>().map(fault)
}

/// Logs that Postgres refuses a command.
pub(super) fn refused(sequence: u64, error: &anyhow::Error) {
    let cause = error.downcast_ref::<sqlx::Error>().map(describe).unwrap_or_default();
    tracing::error!(sequence, cause, "Postgres refuses command {sequence}; the others go on");
}
