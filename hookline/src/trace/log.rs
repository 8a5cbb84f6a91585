//! Reads raw webhooks and events of a story from the streams.

use async_nats::jetstream;
use runtime::follow::{Received, stored};
use schemas::raw::{RawMeta, header};
use schemas::{Timestamp, subjects};
use serde_json::Value;
use sqlx::PgPool;
use worker::trace::{Story, structure};

use super::document::RawWebhook;
use crate::connect;

/// One message of a stream; `None` where it is no longer stored.
async fn message(
    js: &jetstream::Context,
    stream: &str,
    seq: i64,
) -> anyhow::Result<Option<Received>> {
    let Ok(seq) = u64::try_from(seq) else { return Ok(None) };
    stored::at(js, stream, seq).await.map_err(|error| connect::broker_error(&error))
}

/// One raw webhook with what the normaliser makes of it; its body only with `reveal`.
pub(crate) async fn raw_webhook(
    pool: &PgPool,
    js: &jetstream::Context,
    seq: i64,
    reveal: bool,
) -> anyhow::Result<RawWebhook> {
    let Some(message) = message(js, subjects::META_RAW, seq).await? else {
        return Ok(RawWebhook {
            seq,
            kept: false,
            received_at: None,
            path: None,
            verified_by: None,
            bytes: 0,
            structure: Value::Null,
            body: None,
            readings: Some(Vec::new()),
        });
    };
    let text = |name: &str| message.header(name).map(str::to_owned);
    let received_at = text(header::RECEIVED_AT)
        .and_then(|time| time.parse::<Timestamp>().ok())
        .unwrap_or(message.stored_at);
    let meta = RawMeta {
        stream_sequence: u64::try_from(seq).unwrap_or(0),
        received_at,
        secret: text(header::SECRET),
        path: text(header::PATH),
        traceparent: message.traceparent().map(str::to_owned),
        flaw: message.flaw,
    };
    Ok(RawWebhook {
        seq,
        kept: true,
        received_at: Some(received_at),
        readings: worker::trace::readings(pool, &message.payload, &meta).await?,
        path: meta.path,
        verified_by: meta.secret,
        bytes: message.payload.len(),
        structure: structure::of_body(&message.payload),
        body: reveal.then(|| String::from_utf8_lossy(&message.payload).into_owned()),
    })
}

/// The events of the story's facts, as INBOX_EVENTS still has them.
pub(crate) async fn events(js: &jetstream::Context, story: &Story) -> anyhow::Result<Vec<Value>> {
    let mut events = Vec::new();
    let facts = story.facts.iter().chain(&story.outcomes);
    let mut seqs: Vec<i64> = facts.filter_map(|fact| fact["event_seq"].as_i64()).collect();
    seqs.sort_unstable();
    seqs.dedup();
    for seq in seqs {
        let Some(message) = message(js, subjects::INBOX_EVENTS, seq).await? else { continue };
        events.push(serde_json::from_slice(&message.payload).unwrap_or(Value::Null));
    }
    Ok(events)
}
