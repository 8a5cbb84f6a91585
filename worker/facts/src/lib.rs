//! The one way by which the worker publishes events, so that deduplication, revisions, digests and withdrawals are in one place.
//!
//! Reports of one fact are merged ([`merge`]), so that what one of them says is not lost when another comes ([`decide`]).
//!
//! The order is always the same: *plan* (compare with `worker.facts`) → *publish* (atomic batches with derived ids) → one
//! transaction that *records* the facts together with whatever belongs to them. A crash before the commit repeats all of it: the
//! broker's window answers `duplicate`, and subscribers drop by id and revision what came twice.
//!
//! ```text
//! let mut emission = facts.begin(drafts).await?;          // planned, published, recorded in an open transaction
//! sqlx::query("…").execute(&mut *emission.tx).await?;     // what must be true together with it
//! emission.commit().await?;
//! ```

pub mod accounts;
pub mod decide;
pub mod digest;
pub mod draft;
pub mod eras;
pub mod erase;
pub mod erased;
mod error;
pub mod follow_up;
pub mod ids;
pub mod merge;
mod messages;
pub mod news;
mod publish;
mod published;
mod recorded;
pub mod regain;
pub mod rekey;
mod reports;
mod rows;
mod secrets;
mod store;
pub mod templates;

pub use decide::{Decision, Known, Planned, Stored};
pub use draft::{Direction, Draft, MessageFact, Secret};
pub use error::{FactError, PublishError};
pub use publish::outgoing;
pub use published::{Placed, PublishPlan, Published};
pub use recorded::{Place, RecordedFact};
pub use runtime::seal;
pub use store::{Emission, FactStore};
