//! ◆ Pure: what a claim does about a command, from what was read of it and around it.

use std::time::Duration;

use schemas::Timestamp;
use schemas::command::Requester;
use schemas::facts::OutcomeError;

use super::conditions::{Unmet, is_closed, overtaken, scheduled};
use crate::Waits;
use crate::claim_context::ClaimContext;
use crate::decide::{self, LoggedAttempt, Repeat, RetryWaits, Step};
use crate::ledger::{CommandRow, PartRow};
use crate::state::{Hold, PartState};

/// How long a held command is left alone; whatever ends the hold wakes it earlier.
const HELD_PAUSE: Duration = Duration::from_secs(60);
/// A window that looks closed is looked at again for this long: the message that opens it may be known to the sender of the command
/// before this database has it.
const NEWS_GRACE: Duration = Duration::from_secs(2);
/// The same where the command names the event it answers and that event is not recorded yet.
const CAUSE_GRACE: Duration = Duration::from_secs(60);
/// Between two such looks.
const NEWS_PAUSE: Duration = Duration::from_millis(100);
/// At first.
const NEWS_PAUSE_MIN: Duration = Duration::from_millis(5);
/// The same where such an event is published already, and only this database does not have it.
const UNRECORDED_GRACE: Duration = Duration::from_secs(600);
/// Between two such looks, which ask the broker.
const UNRECORDED_PAUSE: Duration = Duration::from_millis(500);

/// What the broker says of events that may open a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    NotAsked,
    /// One is published, and this database does not have it yet.
    Unrecorded,
    /// The database has all of them: what it says now is true.
    None,
}

/// What to do with a claimed command.
#[derive(Clone, Debug)]
pub(super) enum ClaimStep {
    /// Change nothing.
    Leave,
    /// End the command by the states of its parts.
    Conclude,
    /// End the command, which has no parts, as failed.
    Refuse(OutcomeError),
    /// The part fails without being attempted.
    Fail { n: i32, error: OutcomeError, rule: Option<&'static str> },
    /// The part is left to a person.
    Park { n: i32, error: OutcomeError },
    /// The window looks closed, or something may overtake it: ask the broker for news, with no transaction open, and claim again.
    AskForNews,
    /// Nothing before `until`.
    Wait { until: Timestamp, held: Option<Hold> },
    /// Read back what Meta has of the part.
    Look(Box<PartRow>),
    /// The log has attempts of the part that its row does not know: it may have been sent.
    Recall { part: Box<PartRow>, logged: LoggedAttempt },
    /// Attempt the part.
    Send { part: Box<PartRow>, rule: &'static str },
    /// Do what has no parts: import a page of conversations, look after the account, or settle another command.
    Work,
}

/// What one claim has read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read<'a> {
    pub(super) command: &'a CommandRow,
    pub(super) parts: &'a [PartRow],
    pub(super) context: &'a ClaimContext,
}

/// The part that is next: the first that has not ended.
pub(super) fn open_part(parts: &[PartRow]) -> Option<&PartRow> {
    parts.iter().find(|part| !part.state.is_final())
}

/// Decides about a command that is open, due and locked.
pub(super) fn claim_step(
    read: Read<'_>,
    news: News,
    waits: &Waits,
    retry_waits: &RetryWaits,
) -> ClaimStep {
    let Read { command, parts, context } = read;
    let Some(part) = open_part(parts) else { return without_open_part(read) };
    let logged = context.logged();
    if let Some(logged) =
        logged.filter(|logged| decide::is_recalled(part.state, part.attempt, logged.attempt))
    {
        return ClaimStep::Recall { part: Box::new(part.clone()), logged };
    }
    if context.account_stopped.is_none() && part.state != PartState::Sending {
        return ClaimStep::Fail { n: part.n, error: account_unknown(), rule: None };
    }
    if context.account_disconnected == Some(true) {
        // Without a token nothing can be read back: whether it was sent, a person or a late echo says.
        if part.state == PartState::Sending {
            return ClaimStep::Park { n: part.n, error: outcome_unknown() };
        }
        // What is frozen waits: the log may know attempts that this database does not.
        if !context.frozen {
            return ClaimStep::Fail { n: part.n, error: account_disconnected(), rule: None };
        }
    }
    if let Some(unmet) = overtaken(part, context) {
        return of_unmet(part, unmet);
    }
    let situation = context.situation(command, part, waits.auto_reply_max_age);
    let verdict = policy::judge(&situation, context.now);
    if is_closed(&verdict) && part.state == PartState::Planned {
        let age = context.now.since(command.created_at);
        match wait_for_news(age, context.cause_known, news) {
            NewsStep::Judge => {}
            NewsStep::Ask => return ClaimStep::AskForNews,
            NewsStep::Wait(pause) => {
                return ClaimStep::Wait { until: context.now.plus(pause), held: None };
            }
        }
    }
    if let Some(unmet) = scheduled(command, part, context, &situation) {
        return of_unmet(part, unmet);
    }
    let hold = hold(command, part, context);
    let journal = part.journal(command.created_at);
    let held_until = hold.map(|(until, _)| until);
    match decide::next_step(&journal, &verdict, held_until, retry_waits, context.now) {
        Step::Done => ClaimStep::Leave,
        Step::WaitUntil(until) => {
            let held = hold.filter(|_| part.state != PartState::Sending).map(|(_, why)| why);
            ClaimStep::Wait { until, held }
        }
        Step::Fail(refusal) => ClaimStep::Fail {
            n: part.n,
            error: OutcomeError::own(refusal.code, refusal.class, refusal.message),
            rule: Some(refusal.rule),
        },
        Step::Park => ClaimStep::Park { n: part.n, error: outcome_unknown() },
        Step::Look => ClaimStep::Look(Box::new(part.clone())),
        Step::Send { rule } => match wait_for_unrecorded(command, context, news) {
            NewsStep::Judge => ClaimStep::Send { part: Box::new(part.clone()), rule },
            NewsStep::Ask => ClaimStep::AskForNews,
            NewsStep::Wait(pause) => ClaimStep::Wait { until: context.now.plus(pause), held: None },
        },
    }
}

fn of_unmet(part: &PartRow, unmet: Unmet) -> ClaimStep {
    match unmet {
        Unmet::Refused { error, rule } => ClaimStep::Fail { n: part.n, error, rule: Some(rule) },
        Unmet::Wait { until, held } => ClaimStep::Wait { until, held },
    }
}

/// A command without an open part: `sync`, one about the account itself or another command, or one whose end was not written (which no path leaves behind).
fn without_open_part(read: Read<'_>) -> ClaimStep {
    let Read { command, parts, context } = read;
    if !parts.is_empty() {
        return ClaimStep::Conclude;
    }
    let disconnected = context.account_disconnected == Some(true);
    match (context.account_stopped, context.paused_until) {
        (None, _) => ClaimStep::Refuse(account_unknown()),
        _ if command.command == "account_disconnect" => ClaimStep::Work,
        // They ask Meta for nothing, and are wanted just when sending is held up.
        _ if matches!(command.command.as_str(), "reply_cancel" | "reply_resolve") => {
            ClaimStep::Work
        }
        _ if disconnected => ClaimStep::Refuse(account_disconnected()),
        // They mend what stopped it.
        _ if command.command.starts_with("account_") => ClaimStep::Work,
        (Some(true), _) => ClaimStep::Wait {
            until: context.now.plus(HELD_PAUSE),
            held: Some(Hold::AccountStopped),
        },
        (Some(false), Some(until)) => ClaimStep::Wait { until, held: Some(Hold::Paused) },
        (Some(false), None) => ClaimStep::Work,
    }
}

/// Why nothing may be sent now, and until when that holds at the longest.
fn hold(command: &CommandRow, part: &PartRow, context: &ClaimContext) -> Option<(Timestamp, Hold)> {
    let later = context.now.plus(HELD_PAUSE);
    if context.frozen {
        Some((later, Hold::Frozen))
    } else if context.account_stopped == Some(true) {
        Some((later, Hold::AccountStopped))
    } else if context.parked
        && command.requester == Requester::Automation
        && part.payload.repeat() == Repeat::AfterProof
    {
        Some((later, Hold::Parked))
    } else {
        context.paused_until.map(|until| (until, Hold::Paused))
    }
}

/// What to do about a window that looks closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NewsStep {
    Wait(Duration),
    Ask,
    Judge,
}

/// A closed window may only be news that has not arrived. Whoever answers has seen the message among the events, and the worker that
/// published it may have died before this database knew.
fn wait_for_news(age: Duration, cause_known: bool, news: News) -> NewsStep {
    let grace = if cause_known { NEWS_GRACE } else { CAUSE_GRACE };
    match news {
        // What is recorded in a moment is not waited for long.
        _ if age < grace => NewsStep::Wait(age.clamp(NEWS_PAUSE_MIN, NEWS_PAUSE)),
        _ if UNRECORDED_GRACE <= age => NewsStep::Judge,
        News::NotAsked => NewsStep::Ask,
        News::Unrecorded => NewsStep::Wait(UNRECORDED_PAUSE),
        News::None => NewsStep::Judge,
    }
}

/// What would overtake a reply may be published and not recorded yet: whoever published it has not come to its commit, or has died.
fn wait_for_unrecorded(command: &CommandRow, context: &ClaimContext, news: News) -> NewsStep {
    let since = command.not_before().max(Some(command.created_at));
    let age = since.map_or(Duration::ZERO, |since| context.now.since(since));
    match news {
        _ if command.based_on().is_none() => NewsStep::Judge,
        News::NotAsked => NewsStep::Ask,
        News::Unrecorded if age < UNRECORDED_GRACE => NewsStep::Wait(UNRECORDED_PAUSE),
        News::Unrecorded | News::None => NewsStep::Judge,
    }
}

fn account_unknown() -> OutcomeError {
    OutcomeError::own(
        "account_unknown",
        "auth",
        "no such account: connect it with `hookline accounts add`",
    )
}

fn account_disconnected() -> OutcomeError {
    OutcomeError::own(
        "account_disconnected",
        "auth",
        "the account is disconnected: connect it again with `hookline accounts add`, then ask anew",
    )
}

fn outcome_unknown() -> OutcomeError {
    OutcomeError::own(
        "outcome_unknown",
        "unknown",
        "it is not known whether Meta delivered it: look into the conversation, then `hookline replies resolve`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_in_a_moment_is_not_waited_for_long() {
        let pause =
            |millis, known| wait_for_news(Duration::from_millis(millis), known, News::NotAsked);
        for known in [true, false] {
            assert_eq!(pause(0, known), NewsStep::Wait(NEWS_PAUSE_MIN));
            assert_eq!(pause(40, known), NewsStep::Wait(Duration::from_millis(40)));
            assert_eq!(pause(1_000, known), NewsStep::Wait(NEWS_PAUSE));
        }
        assert_eq!(pause(2_001, true), NewsStep::Ask);
    }
}
