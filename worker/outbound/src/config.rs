//! The waits of sending, as the worker's configuration sets them.

use std::time::Duration;

/// Durations named by docs/contract.md 2; tests shorten them.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// `SEND_LEASE`: how long one attempt to send may take.
    pub send_lease: Duration,
    /// `RECONCILE_AFTER`: from an attempt's deadline to the first read of the thread.
    pub reconcile_after: Duration,
    /// `RETRY_MIN`: the first pause before another try.
    pub retry_min: Duration,
    /// `RETRY_MAX`: the longest pause before another try.
    pub retry_max: Duration,
    /// `AUTO_REPLY_MAX_AGE`: an older message is never answered automatically.
    pub auto_reply_max_age: Duration,
    /// `GRAPH_CLOCK_MAX_SKEW`: beyond it nothing is concluded from times that Graph reports.
    pub graph_clock_max_skew: Duration,
    /// `GRAPH_TIMEOUT`: one Graph call, connect included.
    pub graph_timeout: Duration,
    /// Between the two reads that prove absence (`runtime::waits`).
    pub reads_apart: Duration,
}
