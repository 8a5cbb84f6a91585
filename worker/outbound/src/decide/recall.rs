//! ◆ Pure: attempts of a part that the log has and its row does not.

use schemas::Timestamp;

use crate::state::PartState;

/// The attempts of one part that the ledger does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LoggedAttempt {
    /// The last of them.
    pub(crate) attempt: u32,
    /// When the first of them began.
    pub(crate) first_at: Timestamp,
    /// When the last of them began.
    pub(crate) started_at: Timestamp,
    /// By when all their requests have ended.
    pub(crate) deadline: Timestamp,
}

/// Whether a part in this state, attempted so often, is treated as one that may have been sent, because the log knows of attempt number
/// `logged`.
pub(crate) const fn is_recalled(state: PartState, attempt: u32, logged: u32) -> bool {
    attempt < logged
        && matches!(state, PartState::Planned | PartState::Sending | PartState::Refused)
}
