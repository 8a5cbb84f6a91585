//! Raw webhooks through today's normaliser again (docs/contract.md 9, `replay`): first a plan, then only the difference.
//!
//! A replay cannot send. What is given to it has no way to Meta, to the ledger or to commands: it reads META_RAW, compares with the facts,
//! and publishes events, all with header `Hookline-Replay`, which automations ignore.
//!
//! `diff` compares, `tally` counts, `source` and `reader` read, `outlet` publishes again what is stored; [`plan`] compares without writing,
//! [`apply`] publishes the difference.

pub mod apply;
mod bounds;
mod diff;
mod outlet;
pub mod plan;
mod progress;
mod reader;
mod rows;
mod source;
mod survey;
mod tally;
mod work;

pub use self::bounds::{Bounds, OtherEra, Scope, Slice};
pub use self::outlet::{BadTarget, Target};
pub use self::reader::{NEEDS, Replay};
pub(crate) use self::rows::positions;
pub use self::tally::{Counts, ReplayPlan, Sample, Tally, Verdict};
