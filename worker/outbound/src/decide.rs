//! ◆ Pure: what happens next to one part of a command: nothing here waits, reads a clock or touches the network.
//!
//! A part in state `sending` may have reached Meta, whatever happened since. It is sent again only after its absence was proven: by
//! two agreeing reads of the thread, [`READS_APART`], the first at least `RECONCILE_AFTER` past the attempt's deadline, both reaching
//! back before the attempt and showing nothing that may be its effect (contract section 6). That proof is the one residual
//! risk: Meta could show the message later still.

use std::time::Duration;

use runtime::retry;
use schemas::Timestamp;

use super::policy::{Refusal, Verdict};

/// Attempts of one part whose request may have reached Meta.
pub const ATTEMPTS_MAX: u32 = 3;
/// Between the two reads that prove absence.
pub const READS_APART: Duration = Duration::from_secs(15);
/// Reads after one attempt before a person must look.
pub const LOOKS_MAX: u32 = 8;
/// How long past an attempt's deadline reads that get no answer are not counted: most outages of Graph are over by then, and what waits
/// behind the part in its lane must not wait for a day.
pub const OUTAGE_MAX: Duration = Duration::from_secs(3600);
/// A part that could not be sent for this long never will be; its words answer nothing any more.
pub const AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// The state of a part, as the ledger has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Not attempted.
    Planned,
    /// The request of the current attempt may leave or have left.
    Sending,
    /// Meta has it.
    Sent,
    /// Not executed, or proven absent: may be attempted again.
    Refused,
    /// It will not be sent.
    Failed,
    /// Nobody can tell: parked for a person.
    Unknown,
    /// An earlier part failed.
    Skipped,
}

impl State {
    /// As `worker.parts.state` has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Skipped => "skipped",
        }
    }

    /// Reads what [`State::as_str`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Planned,
            Self::Sending,
            Self::Sent,
            Self::Refused,
            Self::Failed,
            Self::Unknown,
            Self::Skipped,
        ]
        .into_iter()
        .find(|state| state.as_str() == text)
    }

    /// Nothing more will be done about it.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Sent | Self::Failed | Self::Unknown | Self::Skipped)
    }
}

/// How the absence of an effect can be proven, if at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// A message: by reading the thread twice.
    AfterProof,
    /// A comment or its moderation: never attempted again after an unknown outcome.
    Never,
    /// Typing, mark seen: harmless to lose, so not even looked for.
    OneTry,
}

/// The journal of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// Its state.
    pub state: State,
    /// How its outcome may be found out.
    pub repeat: Repeat,
    /// Attempts so far.
    pub attempt: u32,
    /// Of these, how many Meta said not to have executed, or that never reached it.
    pub refusals: u32,
    /// When the current attempt began.
    pub started_at: Option<Timestamp>,
    /// By when the request of the current attempt has ended.
    pub deadline: Option<Timestamp>,
    /// The current attempt ended without an answer that tells.
    pub lost: bool,
    /// Not before.
    pub not_before: Option<Timestamp>,
    /// Reads after the current attempt.
    pub looks: u32,
    /// The first read that showed nothing.
    pub absent_at: Option<Timestamp>,
    /// When the command was accepted.
    pub planned_at: Timestamp,
}

/// Waits the decision needs.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// `RECONCILE_AFTER`
    pub reconcile_after: Duration,
    /// `RETRY_MIN`
    pub retry_min: Duration,
    /// `RETRY_MAX`
    pub retry_max: Duration,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
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
    /// Nobody can tell: leave it to a person.
    Park,
    /// Nothing more to do.
    Done,
}

/// Decides about a part. `verdict` is what the policy says about sending it now; `held_until` is set while a freeze, a pause, a stopped
/// account or a parked predecessor keeps it from being sent (a look is a read and goes on).
pub fn next_step(
    journal: &Journal,
    verdict: &Verdict,
    held_until: Option<Timestamp>,
    waits: &Waits,
    now: Timestamp,
) -> Step {
    match journal.state {
        State::Sent | State::Failed | State::Unknown | State::Skipped => Step::Done,
        State::Sending => after_sending(journal, waits, now),
        State::Planned | State::Refused => {
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

fn after_sending(journal: &Journal, waits: &Waits, now: Timestamp) -> Step {
    // The table demands a deadline of every `sending` row; without one nothing could be proven.
    let Some(deadline) = journal.deadline else { return Step::Park };
    if !journal.lost && now < deadline {
        return Step::WaitUntil(deadline);
    }
    if journal.repeat == Repeat::OneTry {
        return Step::Fail(lost());
    }
    let first = deadline.plus(waits.reconcile_after);
    let next = match journal.absent_at {
        Some(absent_at) => first.max(absent_at.plus(READS_APART)),
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

/// What reading back gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// An equal item that nobody else claims.
    Found {
        /// Its id; comments may be settled without one.
        item_id: Option<String>,
        /// When, by Meta's clock.
        time: Option<Timestamp>,
    },
    /// It reaches back before the attempt and shows no such item.
    Absent,
    /// It proves nothing: refused, too short, or it shows something that may be the effect all the same.
    Inconclusive,
}

/// What follows from a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AfterLook {
    /// It is there.
    Sent {
        /// Its id.
        item_id: Option<String>,
        /// When.
        time: Option<Timestamp>,
    },
    /// Look again later.
    Again {
        /// When.
        at: Timestamp,
        /// The first read that showed nothing.
        absent_at: Option<Timestamp>,
    },
    /// Proven absent: it may be attempted again.
    Repeat,
    /// Nobody can tell.
    Park,
}

/// Decides after reading back. `begun_at` is when the read began: what it shows is at least that new.
pub fn after_look(
    journal: &Journal,
    look: Look,
    begun_at: Timestamp,
    waits: &Waits,
    now: Timestamp,
) -> AfterLook {
    let looks = journal.looks.saturating_add(1);
    let earliest = journal.deadline.map(|deadline| deadline.plus(waits.reconcile_after));
    let late_enough = earliest.is_some_and(|earliest| earliest <= begun_at);
    match look {
        Look::Found { item_id, time } => AfterLook::Sent { item_id, time },
        Look::Absent if late_enough => match journal.absent_at {
            Some(first) if first.plus(READS_APART) <= begun_at => match journal.repeat {
                Repeat::AfterProof
                    if journal.attempt.saturating_sub(journal.refusals) < ATTEMPTS_MAX =>
                {
                    AfterLook::Repeat
                }
                _ => AfterLook::Park,
            },
            Some(first) => AfterLook::Again { at: first.plus(READS_APART), absent_at: Some(first) },
            None => AfterLook::Again { at: now.plus(READS_APART), absent_at: Some(now) },
        },
        // A read that fails between two that agree breaks nothing, but reads do not go on for ever.
        Look::Absent | Look::Inconclusive if looks < LOOKS_MAX => {
            let pause = retry::delay(
                waits.retry_min,
                waits.retry_max.min(Duration::from_secs(60)),
                looks,
                1.0,
            );
            AfterLook::Again { at: now.plus(pause), absent_at: journal.absent_at }
        }
        Look::Absent | Look::Inconclusive => AfterLook::Park,
    }
}

/// The pause after a read that got no answer: half of what has passed since the attempt's deadline, so that it grows with the outage.
/// `None`: it has gone on for [`OUTAGE_MAX`], and the read counts as one that told nothing.
pub fn read_again(journal: &Journal, waits: &Waits, now: Timestamp) -> Option<Duration> {
    let passed = now.since(journal.deadline?);
    (passed < OUTAGE_MAX).then(|| (passed / 2).max(waits.retry_min).min(waits.retry_max))
}

/// What Meta's answer to a send says, whatever its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
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
        /// Not before this time, where Meta or the account tells.
        until: Option<Timestamp>,
    },
    /// Executed or not, nobody knows.
    Lost,
    /// Never, as it is.
    Refused,
}

/// What follows from an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AfterAnswer {
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
    /// It failed.
    Failed,
}

/// Decides after an answer.
pub fn after_answer(
    journal: &Journal,
    answer: Answer,
    waits: &Waits,
    jitter: f64,
    now: Timestamp,
) -> AfterAnswer {
    match answer {
        // A message that nobody names cannot be told from one that was never made; its echo or its thread can tell.
        Answer::Sent { item_id: None } if journal.repeat == Repeat::AfterProof => AfterAnswer::Lost,
        Answer::Sent { item_id } => AfterAnswer::Sent { item_id },
        // Typing and mark seen make nothing that could be named.
        Answer::Unnamed if journal.repeat == Repeat::OneTry => AfterAnswer::Sent { item_id: None },
        Answer::Unnamed => AfterAnswer::Lost,
        // Ours only if there was an attempt before this one; else somebody else was quicker.
        Answer::Already if 1 < journal.attempt => AfterAnswer::Sent { item_id: None },
        Answer::Already => AfterAnswer::Failed,
        Answer::NotExecuted { .. } if journal.repeat == Repeat::OneTry => AfterAnswer::Failed,
        Answer::NotExecuted { until } => {
            let pause = retry::delay(waits.retry_min, waits.retry_max, journal.refusals, jitter);
            let own = now.plus(pause);
            AfterAnswer::Refused { not_before: until.map_or(own, |until| until.max(now)) }
        }
        Answer::Lost if journal.repeat == Repeat::OneTry => AfterAnswer::Failed,
        Answer::Lost => AfterAnswer::Lost,
        Answer::Refused => AfterAnswer::Failed,
    }
}
