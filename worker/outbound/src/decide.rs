//! ◆ Pure: what happens next to one part of a command.
//!
//! A part in state `sending` may have reached Meta, whatever happened since. It is sent again only after its absence was proven: by
//! two agreeing reads of the thread, 15 s apart, the first at least `RECONCILE_AFTER` past the attempt's deadline, both reaching
//! back before the attempt and showing nothing that may be its effect (docs/contract.md 6). That proof is the one residual
//! risk: Meta could show the message later still.

mod answer;
mod journal;
mod look;
mod next_step;
mod recall;

pub(crate) use answer::{AfterAnswer, Answer, after_answer};
#[cfg(test)]
pub(crate) use journal::ATTEMPTS_MAX;
pub(crate) use journal::{Journal, Repeat, RetryWaits};
#[cfg(test)]
pub(crate) use look::OUTAGE_MAX;
pub(crate) use look::{AfterLook, Look, after_look, read_again};
pub(crate) use next_step::{Step, next_step};
pub(crate) use recall::{LoggedAttempt, is_recalled};
