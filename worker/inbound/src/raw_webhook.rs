//! A raw webhook as it is normalised: as META_RAW has it, or as it is kept with parked rows.

use bytes::Bytes;
use runtime::follow::Received;
use schemas::raw::{RawMeta, header};

/// A raw webhook.
#[derive(Clone, Debug)]
pub(super) struct RawWebhook {
    /// What ingest noted beside the bytes.
    pub(super) meta: RawMeta,
    /// The bytes.
    pub(super) body: Bytes,
}

impl RawWebhook {
    /// As META_RAW has it.
    pub(super) fn of(raw: &Received) -> Self {
        Self { meta: raw_meta(raw), body: raw.payload.clone() }
    }
}

/// What ingest stored beside the bytes.
pub(super) fn raw_meta(raw: &Received) -> RawMeta {
    let text = |name: &str| raw.header(name).map(str::to_owned);
    RawMeta {
        stream_sequence: raw.sequence,
        received_at: raw
            .header(header::RECEIVED_AT)
            .and_then(|time| time.parse().ok())
            .unwrap_or(raw.stored_at),
        secret: text(header::SECRET),
        path: text(header::PATH),
        traceparent: raw.traceparent().map(str::to_owned),
        flaw: raw.flaw,
    }
}

#[cfg(test)]
mod tests {
    use schemas::Timestamp;

    use super::*;

    #[test]
    fn headers_tell_when_and_by_whom_and_may_be_missing() {
        let mut message = Received {
            sequence: 7,
            subject: String::new(),
            headers: async_nats::HeaderMap::new(),
            flaw: None,
            payload: Bytes::new(),
            stored_at: Timestamp::from_millis(5),
            pending: 0,
        };
        assert_eq!(raw_meta(&message).received_at, Timestamp::from_millis(5));
        message.headers.insert(header::RECEIVED_AT, "2026-11-18T11:10:00.007Z");
        message.headers.insert(header::SECRET, "shop");
        let meta = raw_meta(&message);
        assert_eq!(
            (meta.received_at.as_millis(), meta.secret.as_deref()),
            (1_795_000_200_007, Some("shop"))
        );
    }
}
