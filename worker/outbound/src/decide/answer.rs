//! ◆ Pure: what follows from Meta's answer to an attempt.

use std::time::Duration;

use runtime::retry;
use schemas::Timestamp;

use super::journal::{Journal, Repeat, RetryWaits};

/// What Meta's answer to a send says, whatever its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Done.
    Sent {
        /// The message or comment.
        item_id: Option<String>,
    },
    /// No error, but it neither names what was made nor says that anything was done.
    Unnamed,
    /// Done before, by whom is not said.
    Already,
    /// Not executed: later again.
    NotExecuted {
        /// For how long, where Meta or the account says so.
        pause: Option<Duration>,
    },
    /// Executed or not, nobody knows.
    Lost,
    /// Executed in part, and Meta does not say which.
    InPart,
    /// Never, as it is.
    Refused,
}

/// What follows from an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AfterAnswer {
    /// It is sent.
    Sent {
        /// The message or comment.
        item_id: Option<String>,
    },
    /// Attempt it again, not before this time.
    Refused {
        /// Not before.
        not_before: Timestamp,
    },
    /// It stays `sending` and is reconciled.
    Lost,
    /// Its outcome stays unknown: left to a person.
    Unknown,
    /// It failed.
    Failed,
}

/// Decides after an answer. `now` is the ledger's.
pub(crate) fn after_answer(
    journal: &Journal,
    answer: Answer,
    waits: &RetryWaits,
    jitter: f64,
    now: Timestamp,
) -> AfterAnswer {
    match answer {
        // A message that nobody names looks like one that was never made; its echo or its thread shows which.
        Answer::Sent { item_id: None } if journal.repeat == Repeat::AfterProof => AfterAnswer::Lost,
        Answer::Sent { item_id } => AfterAnswer::Sent { item_id },
        // Typing and mark seen make nothing that could be named.
        Answer::Unnamed if journal.repeat == Repeat::OneTry => AfterAnswer::Sent { item_id: None },
        Answer::Unnamed => AfterAnswer::Lost,
        // Ours only if there was an attempt before this one; else somebody else was quicker.
        Answer::Already if 1 < journal.attempt => AfterAnswer::Sent { item_id: None },
        Answer::Already => AfterAnswer::Failed,
        Answer::NotExecuted { .. } if journal.repeat == Repeat::OneTry => AfterAnswer::Failed,
        Answer::NotExecuted { pause } => {
            let own = retry::delay(waits.retry_min, waits.retry_max, journal.refusals, jitter);
            AfterAnswer::Refused { not_before: now.plus(pause.unwrap_or(own)) }
        }
        Answer::Lost if journal.repeat == Repeat::OneTry => AfterAnswer::Failed,
        Answer::Lost => AfterAnswer::Lost,
        Answer::InPart => AfterAnswer::Unknown,
        Answer::Refused => AfterAnswer::Failed,
    }
}
