//! ◆ Pure: what Meta's rules allow, judged before Meta is asked (docs/meta-platform.md 11).
//!
//! The worker judges every part of a command by it; the api asks it what the worker would say now (docs/decisions/45). Read in this order:
//! `situation`, `rules`, `advice`.

mod advice;
mod rules;
mod situation;
#[cfg(test)]
mod tests;

pub use advice::{Advice, Stops, advise};
pub use rules::{QUIET_AFTER_PERSON, judge};
pub use situation::{Refusal, SendKind, Situation, Verdict};
