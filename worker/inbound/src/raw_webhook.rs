//! A raw webhook as it is normalised: as META_RAW has it, or as it is kept with parked rows.

use std::borrow::Cow;

use bytes::Bytes;
use runtime::follow::Received;
use schemas::Timestamp;
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
    let redacted = first_position(raw);
    RawMeta {
        stream_sequence: redacted.unwrap_or(raw.sequence),
        redacted: redacted.and_then(|_| text(header::BODY)),
        received_at: received_at(raw),
        secret: text(header::SECRET),
        path: text(header::PATH),
        traceparent: raw.traceparent().map(str::to_owned),
        flaw: raw.flaw,
    }
}

fn received_at(raw: &Received) -> Timestamp {
    raw.header(header::RECEIVED_AT).and_then(|time| time.parse().ok()).unwrap_or(raw.stored_at)
}

/// The position that a redacted raw webhook had at first.
pub(super) fn first_position(raw: &Received) -> Option<u64> {
    raw.header(header::REDACTED)?.parse().ok()
}

/// Raw webhooks under the positions that they had at first, and as if stored when they were received: what is known of them is under these.
pub(super) fn at_first(batch: &[Received]) -> Cow<'_, [Received]> {
    if batch.iter().all(|raw| first_position(raw).is_none()) {
        return batch.into();
    }
    let first = |raw: &Received| match first_position(raw) {
        Some(sequence) => Received { sequence, stored_at: received_at(raw), ..raw.clone() },
        None => raw.clone(),
    };
    batch.iter().map(first).collect()
}

#[cfg(test)]
mod tests {
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
        assert!(
            meta.redacted.is_none()
                && matches!(at_first(std::slice::from_ref(&message)), Cow::Borrowed(_))
        );
        message.headers.insert(header::REDACTED, "3");
        message.headers.insert(header::BODY, "ab");
        let meta = raw_meta(&message);
        assert_eq!((meta.stream_sequence, meta.redacted.as_deref()), (3, Some("ab")));
        let batch = [message];
        let first = at_first(&batch);
        assert_eq!((first[0].sequence, first[0].stored_at.as_millis()), (3, 1_795_000_200_007));
    }
}
