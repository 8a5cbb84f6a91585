//! What is known about the broker.

use crate::durability::Durability;
use crate::streams::StreamName;

/// What is known about the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerState {
    /// Connected, by the client's own account.
    pub connected: bool,
    /// The streams this process needs are there; `None` until looked at.
    pub streams: Option<Result<(), String>>,
    /// Durability; `None` until read.
    pub durability: Option<Durability>,
    /// The server's largest message, bytes; 0 until connected.
    pub max_payload: usize,
    /// Counted up with every (re)connect: readers open their consumers anew.
    pub generation: u64,
    /// [`super::Broker::connects`] when all this was read.
    pub checked_connects: u64,
}

/// Which streams a process needs, and whether it may fail to create them.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    /// The streams.
    pub streams: &'static [StreamName],
    /// `true`: a role with the permission to publish only cannot look at streams; publishing itself will show it.
    pub best_effort: bool,
}
