//! ◆ Pure: what a job publishes, how far it is, and how work on it ends.

use ops::Wish;
use serde::{Deserialize, Serialize};

use super::bounds::Bounds;
use super::outlet::Target;
use super::tally::Tally;

/// How far a job is; stored with it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Progress {
    /// The slice, as it was fixed when the job was planned.
    pub bounds: Bounds,
    /// The next position to read.
    pub next: u64,
    /// What is done.
    pub done: Tally,
}

impl Progress {
    /// At the beginning.
    pub fn new(bounds: Bounds) -> Self {
        Self { next: bounds.from, bounds, done: Tally::default() }
    }
}

/// How the work on a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything is done.
    Done,
    /// An operator wishes it.
    Stopped(Wish),
    /// Another process works on it.
    Lost,
}

/// What a job publishes, and where to.
#[derive(Clone, Debug)]
pub struct ApplyOptions {
    /// Where to.
    pub target: Target,
    /// Not only the difference.
    pub all: bool,
}
