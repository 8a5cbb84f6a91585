//! Profiles of people, read from Graph off the message path: only in a messaging context, once per person at a time over all workers,
//! within the rate budget, each refusal by its own rule (docs/meta-platform.md 8.2).
//!
//! [`facts::follow_up::wants`] notes who wrote, [`freshness`] decides when to ask (again), [`profile`] reads the answer, [`enricher`] is the loop.

pub mod enricher;
pub mod freshness;
pub mod profile;
mod queue;

pub use enricher::Enricher;
