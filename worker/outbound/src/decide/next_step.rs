//! ◆ Pure: the next step of one part.

use std::time::Duration;

use schemas::Timestamp;

use super::journal::{ATTEMPTS_MAX, Journal, Repeat, RetryWaits};
use crate::state::PartState;
use policy::{Refusal, Verdict};

/// A part that could not be sent for this long never will be; its words answer nothing any more.
const AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask Meta, by this rule of the policy.
    Send {
        /// The rule that allows it.
        rule: &'static str,
    },
    /// Nothing before this time.
    WaitUntil(Timestamp),
    /// Read back what Meta has.
    Look,
    /// Settle without asking: refused by the policy, or given up.
    Fail(Refusal),
    /// The outcome is unknown: leave it to a person.
    Park,
    /// Nothing more to do.
    Done,
}

/// Decides about a part. `verdict` is what the policy says about sending it now; `held_until` is set while a freeze, a pause, a stopped
/// account or a parked predecessor keeps it from being sent (a look is a read and goes on).
pub(crate) fn next_step(
    journal: &Journal,
    verdict: &Verdict,
    held_until: Option<Timestamp>,
    waits: &RetryWaits,
    now: Timestamp,
) -> Step {
    match journal.state {
        PartState::Sent | PartState::Failed | PartState::Unknown | PartState::Skipped => Step::Done,
        PartState::Sending => after_sending(journal, waits, now),
        PartState::Planned | PartState::Refused => {
            if ATTEMPTS_MAX <= journal.attempt.saturating_sub(journal.refusals) {
                return Step::Park;
            }
            let rule = match verdict {
                Verdict::Refused(refusal) => return Step::Fail(refusal.clone()),
                Verdict::Allowed { rule, .. } => rule,
            };
            if AGE_MAX < now.since(journal.planned_at) {
                return Step::Fail(expired());
            }
            match journal.not_before.into_iter().chain(held_until).max() {
                Some(time) if now < time => Step::WaitUntil(time),
                _ => Step::Send { rule },
            }
        }
    }
}

fn after_sending(journal: &Journal, waits: &RetryWaits, now: Timestamp) -> Step {
    // The table demands a deadline of every `sending` row; without one nothing could be proven.
    let Some(deadline) = journal.deadline else { return Step::Park };
    if !journal.lost && now < deadline {
        return Step::WaitUntil(deadline);
    }
    match journal.repeat {
        Repeat::OneTry => return Step::Fail(lost()),
        Repeat::Unseen => return Step::Park,
        Repeat::AfterProof | Repeat::Never => {}
    }
    let first = deadline.plus(waits.reconcile_after);
    let next = match journal.absent_at {
        Some(absent_at) => first.max(absent_at.plus(waits.reads_apart)),
        None => first,
    };
    let next = next.max(journal.not_before.unwrap_or(next));
    if now < next { Step::WaitUntil(next) } else { Step::Look }
}

fn expired() -> Refusal {
    Refusal {
        code: "expired",
        class: "refused",
        rule: "age.7d",
        message: "it could not be sent for 7 days".to_owned(),
        until: None,
    }
}

fn lost() -> Refusal {
    Refusal {
        code: "no_answer",
        class: "unknown",
        rule: "sender_action.one_try",
        message: "Meta did not answer; it is tried once".to_owned(),
        until: None,
    }
}
