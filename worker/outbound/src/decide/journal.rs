//! ◆ Pure: what the ledger knows of one part, as far as the decisions need it.

use std::time::Duration;

use schemas::Timestamp;

use crate::state::PartState;

/// Attempts of one part whose request may have reached Meta.
pub(crate) const ATTEMPTS_MAX: u32 = 3;

/// How the absence of an effect can be proven, if at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// A message: by reading the thread twice.
    AfterProof,
    /// A comment or its moderation: never attempted again after an unknown outcome.
    Never,
    /// Typing, mark seen: harmless to lose, so not even looked for.
    OneTry,
    /// A conversion: nothing shows whether it was taken, and what comes twice counts twice. Without an answer a person decides.
    Unseen,
}

/// The journal of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Journal {
    pub(crate) state: PartState,
    pub(crate) repeat: Repeat,
    /// Attempts so far.
    pub(crate) attempt: u32,
    /// Of these, how many Meta said not to have executed, or that never reached it.
    pub(crate) refusals: u32,
    /// When the current attempt began.
    pub(crate) started_at: Option<Timestamp>,
    /// By when the request of the current attempt has ended.
    pub(crate) deadline: Option<Timestamp>,
    /// The current attempt ended without an answer that settles it.
    pub(crate) lost: bool,
    pub(crate) not_before: Option<Timestamp>,
    /// Reads after the current attempt.
    pub(crate) looks: u32,
    /// The first read that showed nothing.
    pub(crate) absent_at: Option<Timestamp>,
    /// When the command was accepted.
    pub(crate) planned_at: Timestamp,
}

/// The waits of the decisions, as [`crate::Waits`] has them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetryWaits {
    pub(crate) reconcile_after: Duration,
    pub(crate) retry_min: Duration,
    pub(crate) retry_max: Duration,
    /// Between the two reads that prove absence; 15 s.
    pub(crate) reads_apart: Duration,
}
