//! A read model made again from the beginning of INBOX_EVENTS, beside the one that serves; compared; swapped in.
//!
//! The process of the verb folds, with the same code as the projector and into a schema of its own, never further than the serving model
//! has come. So both can be brought to one position for a moment, under the lock that every projector writes under: there they are
//! compared, and there the views change over. Nobody reads the new schema before, and the old one is kept for `revert`.
//!
//! Read in this order: `live`, `build`, `meet`, `compare`, `swap`, `job`.

mod build;
mod compare;
mod error;
mod heartbeat;
mod job;
mod live;
mod log;
mod meet;
mod models;
mod place;
mod swap;

pub(crate) use build::Builder;
pub use compare::{Comparison, Differing, Maker, Table};
pub(crate) use compare::{Reader, composed};
pub use error::RebuildError;
pub(crate) use heartbeat::Heartbeat;
pub use heartbeat::{Seen, Show};
pub use job::{Outcome, Preview, RebuildPlan, preview, work};
pub(crate) use live::Live;
pub(crate) use log::{event_at, holds_between};
pub(crate) use meet::meet;
pub use place::Place;
