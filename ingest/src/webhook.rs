//! A verified webhook on its way to the broker.

use async_nats::HeaderMap;
use async_nats::header::HeaderName;
use axum::body::Bytes;
use runtime::publish::Outgoing;
use schemas::Timestamp;
use schemas::raw::{RawPath, header};
use schemas::subjects;

use crate::queue::Key;

const RECEIVED_AT: HeaderName = HeaderName::from_static(header::RECEIVED_AT);
const SECRET: HeaderName = HeaderName::from_static(header::SECRET);
const PATH: HeaderName = HeaderName::from_static(header::PATH);
const TRACEPARENT: HeaderName = HeaderName::from_static(header::TRACEPARENT);

/// What META_RAW keeps of a request. Small beside the headers that it becomes, which are made only once it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Webhook {
    pub(crate) key: Key,
    pub(crate) path: RawPath,
    pub(crate) shard: u32,
    pub(crate) received_at: Timestamp,
    /// The name of the secret that signed it.
    pub(crate) secret: String,
    pub(crate) traceparent: String,
    pub(crate) body: Bytes,
}

impl From<Webhook> for Outgoing {
    fn from(webhook: Webhook) -> Self {
        let Webhook { key, path, shard, received_at, secret, traceparent, body } = webhook;
        let mut headers = HeaderMap::new();
        headers.insert(RECEIVED_AT, received_at.to_string());
        headers.insert(SECRET, secret);
        headers.insert(PATH, path.http_path());
        headers.insert(TRACEPARENT, traceparent);
        Self { subject: subjects::raw(path, shard), id: hex::encode(key), headers, payload: body }
    }
}
