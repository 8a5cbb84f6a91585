//! Erases a person or messages: everywhere, and so that nothing of it returns (docs/decisions/43).
//!
//! An erasure is a row of `worker.erasures`. Its steps follow each other; each is idempotent, and where it stands is stored after its effect.
//! So any process may go on with it at any time, also two at once: the verb that asked for it, and the worker that holds the lease.

mod carry_out;
mod deletions;
mod events;
mod heard;
mod rows;
mod scrub;
mod steps;
mod turn;
mod work;
mod worker;

use runtime::broker::Needs;
use runtime::streams::StreamName;

pub use carry_out::plan;
pub use work::{Moved, Work, may_erase};

pub(crate) use heard::{FILTER as WITHDRAWALS, NAME as HEARD};
pub(crate) use worker::Eraser;

/// The streams an erasure reads and writes.
pub const NEEDS: Needs = Needs { streams: &StreamName::ALL, best_effort: false };
