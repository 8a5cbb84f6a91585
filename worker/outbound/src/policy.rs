//! ◆ Pure: what Meta's rules allow, judged before Meta is asked (docs/meta-platform.md 11).

mod rules;
mod situation;
#[cfg(test)]
mod tests;

pub(crate) use rules::{QUIET_AFTER_PERSON, judge};
pub(crate) use situation::{Refusal, SendKind, Situation, Verdict};
