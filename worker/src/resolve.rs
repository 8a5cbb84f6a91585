//! Queue of messages whose webhook named no sender; retried until evidence names one: their own, a later event's, or Graph's
//! (docs/contract.md 5, "Sender-less items"; docs/meta-platform.md 5). Nothing else waits for them.
//!
//! [`facts::follow_up::waiting`] is the queue, [`evidence`] what is known about one item, [`ladder`] the decision, [`outcome`] the facts that
//! follow, `publisher` publishes them, [`resolver`] is the loop.

mod error;
pub mod evidence;
mod graph_lookup;
pub mod ladder;
pub mod outcome;
mod publisher;
pub mod resolver;
mod rows;
#[cfg(test)]
mod testing;

pub(crate) use evidence::Author;
pub use resolver::Resolver;
pub(crate) use rows::{Resolution, store_resolution};
