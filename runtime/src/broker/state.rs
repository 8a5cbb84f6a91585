//! What is known about the broker.

use std::collections::BTreeMap;

use crate::durability::Durability;
use crate::streams::{Era, StreamName};

/// What is known about the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerState {
    /// Connected, by the client's own account.
    pub connected: bool,
    /// The streams this process needs are there; `None` until looked at.
    pub streams: Option<Result<(), String>>,
    /// The needed streams that were looked at, with the era that is known of each.
    pub eras: BTreeMap<StreamName, KnownEra>,
    /// Durability; `None` until read.
    pub durability: Option<Durability>,
    /// The server's largest message, bytes; 0 until connected.
    pub max_payload: usize,
    /// [`super::Broker::connects`] when all this was read.
    pub checked_connects: u64,
}

/// The era that is known of a stream: the stored one, else the first that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownEra {
    /// The era.
    pub era: Era,
    /// Why the stream is not this one, with what to do; `None`: it is.
    pub foreign: Option<String>,
}

/// Which streams a process needs, and whether it may fail to create them.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    /// The streams.
    pub streams: &'static [StreamName],
    /// `true`: a role with the permission to publish only cannot look at streams; publishing itself will show it.
    pub best_effort: bool,
}
