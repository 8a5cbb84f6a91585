//! What the normaliser works with.

use std::time::Duration;

use facts::FactStore;
use runtime::broker::Broker;
use runtime::health::Health;
use runtime::lease::Leases;

/// How long a shard may take to finish its batch when the process stops.
pub(super) const FINISH: Duration = Duration::from_secs(7);
/// The check of `/readyz` that says whether webhooks can be normalised.
pub(super) const CHECK: &str = "normalize";
/// Bytes of raw webhooks that go into one transaction.
pub(super) const BATCH_BYTES_MAX: usize = 2 << 20;

/// The normaliser of one worker.
#[derive(Clone)]
pub struct Inbound {
    /// Where raw webhooks come from.
    pub broker: Broker,
    /// Where events go.
    pub facts: FactStore,
    /// The leases of schema `worker`.
    pub leases: Leases,
    /// Where it is reported that somebody must act.
    pub health: Health,
    /// `TWIN_GRACE`
    pub twin_grace: Duration,
    /// `RETRY_MIN`: when parked work is first tried again.
    pub retry_min: Duration,
    /// `RETRY_MAX`
    pub retry_max: Duration,
}
