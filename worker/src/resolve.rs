//! Messages told without their sender wait here until somebody tells: their own evidence, a later event, or Graph (contract
//! section 5, "Sender-less items"; `meta-platform.md` section 5). Waiting never blocks anything.
//!
//! [`facts::follow_up::waiting`] is the queue, [`evidence`] what is known about one item, [`ladder`] the decision, [`outcome`] the facts that
//! follow, [`resolver`] the loop.

pub mod evidence;
pub mod ladder;
mod lookups;
pub mod outcome;
pub mod resolver;
mod rows;
#[cfg(test)]
mod testing;

pub use resolver::Resolver;
