//! ◆ Pure: what follows from reading back what Meta has.

use std::time::Duration;

use runtime::retry;
use schemas::Timestamp;

use super::journal::{ATTEMPTS_MAX, Journal, Repeat, RetryWaits};

/// Reads after one attempt before a person must look.
const LOOKS_MAX: u32 = 8;
/// How long past an attempt's deadline reads that get no answer are not counted: most outages of Graph are over by then, and what waits
/// behind the part in its lane must not wait for a day.
pub(crate) const OUTAGE_MAX: Duration = Duration::from_secs(3600);

/// What reading back gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Look {
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
pub(crate) enum AfterLook {
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
    /// The outcome stays unknown: leave it to a person.
    Park,
}

/// Decides after reading back. `begun_at` is when the read began: what it shows is at least that new.
pub(crate) fn after_look(
    journal: &Journal,
    look: Look,
    begun_at: Timestamp,
    waits: &RetryWaits,
    now: Timestamp,
) -> AfterLook {
    let looks = journal.looks.saturating_add(1);
    let earliest = journal.deadline.map(|deadline| deadline.plus(waits.reconcile_after));
    let late_enough = earliest.is_some_and(|earliest| earliest <= begun_at);
    match look {
        Look::Found { item_id, time } => AfterLook::Sent { item_id, time },
        Look::Absent if late_enough => match journal.absent_at {
            Some(first) if first.plus(waits.reads_apart) <= begun_at => match journal.repeat {
                Repeat::AfterProof
                    if journal.attempt.saturating_sub(journal.refusals) < ATTEMPTS_MAX =>
                {
                    AfterLook::Repeat
                }
                _ => AfterLook::Park,
            },
            Some(first) => {
                AfterLook::Again { at: first.plus(waits.reads_apart), absent_at: Some(first) }
            }
            None => AfterLook::Again { at: now.plus(waits.reads_apart), absent_at: Some(now) },
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
/// `None`: it has gone on for [`OUTAGE_MAX`], and the read counts as one that proves nothing.
pub(crate) fn read_again(
    journal: &Journal,
    waits: &RetryWaits,
    now: Timestamp,
) -> Option<Duration> {
    let passed = now.since(journal.deadline?);
    (passed < OUTAGE_MAX).then(|| (passed / 2).max(waits.retry_min).min(waits.retry_max))
}
