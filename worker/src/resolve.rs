//! Messages told without their sender wait here until somebody tells: their own evidence, a later event, or Graph
//! (docs/contract.md 5, "Sender-less items"; docs/meta-platform.md 5). Waiting never blocks anything.
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
