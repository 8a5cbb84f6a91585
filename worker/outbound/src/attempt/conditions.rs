//! ◆ Pure: the conditions that the author of a reply gave: based on what they had seen, not before a time. Looked at before every part.

use std::time::Duration;

use policy::{Situation, Verdict, judge};
use schemas::Timestamp;
use schemas::facts::OutcomeError;

use crate::claim_context::ClaimContext;
use crate::ledger::{CommandRow, PartRow};
use crate::state::{Hold, PartState};

/// What follows from a condition that does not hold.
#[derive(Clone, Debug)]
pub(super) enum Unmet {
    /// The part fails without being attempted.
    Refused { error: OutcomeError, rule: &'static str },
    /// Nothing before `until`.
    Wait { until: Timestamp, held: Option<Hold> },
}

/// How long a message of the account that was not compared with the ledger is waited for: it may be somebody else's answer.
const ECHO_PAUSE: Duration = Duration::from_millis(200);

/// Whether the part may be attempted now, as far as its own state says.
fn is_next(part: &PartRow, context: &ClaimContext) -> bool {
    // What is frozen waits: the log may know attempts that this database does not.
    part.state != PartState::Sending && !context.frozen
}

/// What follows where the conversation has something later than its author had seen. `None`: it has not, or they did not say.
pub(super) fn overtaken(part: &PartRow, context: &ClaimContext) -> Option<Unmet> {
    if !is_next(part, context) {
        return None;
    }
    if context.overtaken {
        let error = OutcomeError::own(
            "overtaken",
            "overtaken",
            "the conversation has something newer than this reply was based on: read it again, then answer",
        );
        return Some(Unmet::Refused { error, rule: "based_on" });
    }
    let until = context.now.plus(ECHO_PAUSE);
    context.echo_waits.then_some(Unmet::Wait { until, held: None })
}

/// What follows where the reply is for later. `None`: its time has come, or it has none.
pub(super) fn scheduled(
    command: &CommandRow,
    part: &PartRow,
    context: &ClaimContext,
    situation: &Situation<'_>,
) -> Option<Unmet> {
    let until = command.not_before().filter(|until| context.now < *until)?;
    if !is_next(part, context) {
        return None;
    }
    if is_closed(&judge(situation, until)) {
        let error = OutcomeError::own(
            "window_will_close",
            "window",
            "the messaging window will be closed by then, unless the person writes: choose an earlier time",
        );
        return Some(Unmet::Refused { error, rule: "not_before" });
    }
    Some(Unmet::Wait { until, held: Some(Hold::Scheduled) })
}

/// Refused because the window is closed, as far as is known.
pub(super) fn is_closed(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Refused(refusal) if refusal.code == "window_closed")
}
