//! Meters that every webhook moves, looked up once.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use schemas::raw::RawPath;

/// Made after the recorder is installed.
pub(crate) struct Meters {
    pub(crate) body_bytes: Histogram,
    pub(crate) signature_right: Counter,
    pub(crate) inflight: Gauge,
    pub(crate) store_seconds: Histogram,
    pub(crate) batch_messages: Histogram,
    /// Webhooks answered 200, by path.
    taken: [Counter; 3],
}

impl Meters {
    pub(crate) fn new() -> Self {
        let paths = [RawPath::Any, RawPath::Instagram, RawPath::Facebook];
        Self {
            body_bytes: histogram!("hookline_ingest_body_bytes"),
            signature_right: counter!("hookline_ingest_signature_total", "result" => "right"),
            inflight: gauge!("hookline_ingest_inflight"),
            store_seconds: histogram!("hookline_ingest_store_seconds"),
            batch_messages: histogram!("hookline_ingest_batch_messages"),
            taken: paths.map(|path| requests("200".to_owned(), path.as_str())),
        }
    }

    /// Counts a request that was answered.
    pub(crate) fn answered(&self, status: u16, path: RawPath) {
        match (status, path) {
            (200, RawPath::Any) => self.taken[0].increment(1),
            (200, RawPath::Instagram) => self.taken[1].increment(1),
            (200, RawPath::Facebook) => self.taken[2].increment(1),
            _ => requests(status.to_string(), path.as_str()).increment(1),
        }
    }
}

/// Requests by status and path.
pub(crate) fn requests(status: String, path: &'static str) -> Counter {
    counter!("hookline_ingest_requests_total", "status" => status, "path" => path)
}
