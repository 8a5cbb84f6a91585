//! ◆ Pure: the event that tests an endpoint. It is no event of the log, and says nothing about anybody.

use bytes::Bytes;
use schemas::Timestamp;
use serde_json::json;

/// Its `type`.
pub const TEST_TYPE: &str = "hookline.endpoint.test.v1";

/// A test.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Its id, which is its `webhook-id`.
    pub id: String,
    /// Its body: a CloudEvent.
    pub body: Bytes,
}

impl Probe {
    /// One for an endpoint.
    pub fn new(endpoint: &str, random: u128, now: Timestamp) -> Self {
        let id = format!("evt_test_{random:032x}");
        let event = json!({
            "specversion": "1.0",
            "id": id,
            "source": format!("/endpoints/{endpoint}"),
            "type": TEST_TYPE,
            "time": now,
            "datacontenttype": "application/json",
            "data": {"endpoint_id": endpoint},
        });
        Self { id, body: event.to_string().into() }
    }
}
