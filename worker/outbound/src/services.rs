//! What every step of a command works with, and what a step returns.

use std::time::Duration;

use sqlx::PgPool;

use crate::Waits;
use crate::attempt_log::AttemptLog;
use crate::decide::RetryWaits;
use crate::places::Places;
use crate::reporter::Reporter;
use crate::settler::Settler;
use crate::tokens::Tokens;
use facts::FactStore;
use facts::accounts::AccountStore;
use graph::Graph;

pub(crate) use crate::ledger::WITHIN as LEDGER_WITHIN;

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
    /// Accounts with their tokens, as long as they are the same.
    pub(crate) tokens: Tokens,
    /// Writes plain successes down together.
    pub(crate) settler: Settler,
    /// Publishes outcomes together.
    pub(crate) reporter: Reporter,
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
    /// Nothing more for this moment, which is too short for others to look.
    In(Duration),
    /// The command has ended: publish its outcome.
    Ended,
}
