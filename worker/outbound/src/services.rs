//! What every step of a command works with, and what a step returns.

use std::time::Duration;

use sqlx::PgPool;

use crate::Waits;
use crate::attempt_log::AttemptLog;
use crate::decide::RetryWaits;
use crate::places::Places;
use facts::FactStore;
use facts::accounts::AccountStore;
use graph::Graph;

/// How long one piece of work with the ledger may take: a connection that something in between forgot never answers.
pub(crate) const LEDGER_WITHIN: Duration = Duration::from_secs(15);

/// Clients, stores and waits of one worker's sending side.
#[derive(Clone)]
pub(crate) struct Services {
    /// The ledger.
    pub(crate) pool: PgPool,
    pub(crate) graph: Graph,
    /// Tokens.
    pub(crate) accounts: AccountStore,
    /// Where outcomes go.
    pub(crate) facts: FactStore,
    /// Who this process is, uniquely: written into every attempt.
    pub(crate) worker: String,
    pub(crate) waits: Waits,
    pub(crate) places: Places,
    /// Attempts as they are known outside the ledger.
    pub(crate) log: AttemptLog,
}

impl Services {
    /// The waits of the decisions.
    pub(crate) const fn retry_waits(&self) -> RetryWaits {
        RetryWaits {
            reconcile_after: self.waits.reconcile_after,
            retry_min: self.waits.retry_min,
            retry_max: self.waits.retry_max,
            reads_apart: self.waits.reads_apart,
        }
    }
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing more for now.
    Idle,
    /// There is more to do at once.
    Again,
    /// The command has ended: publish its outcome.
    Ended,
}
