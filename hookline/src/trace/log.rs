//! Reads raw webhooks and events of a story from the streams.

use async_nats::jetstream;
use runtime::follow::{Received, stored};
use runtime::streams::StreamName;
use schemas::raw::{RawMeta, header};
use schemas::{Timestamp, subjects};
use serde_json::Value;
use sqlx::PgPool;
use worker::facts::eras::ForeignStream;
use worker::trace::{Story, structure};

use super::document::RawWebhook;
use crate::connect;

/// Raw webhooks of one story that are read from META_RAW at most.
const RAWS_MAX: usize = 20;

/// One message of a stream; `None` where it is no longer stored.
async fn message(
    js: &jetstream::Context,
    stream: &str,
    seq: i64,
) -> anyhow::Result<Option<Received>> {
    let Ok(seq) = u64::try_from(seq) else { return Ok(None) };
    stored::at(js, stream, seq).await.map_err(|error| connect::broker_error(&error))
}

/// Whether what stands in a stream under stored positions is what stood there: not in one that was made anew.
async fn is_known(
    pool: &PgPool,
    js: &jetstream::Context,
    name: StreamName,
) -> anyhow::Result<bool> {
    match worker::facts::eras::open(js, pool, name).await {
        Ok(_) => Ok(true),
        Err(error) if error.downcast_ref::<ForeignStream>().is_some() => Ok(false),
        Err(error) => Err(error),
    }
}

/// The raw webhooks of a story. Those of a META_RAW that was lost are not kept: others may have their positions now.
pub(crate) async fn raw_webhooks(
    pool: &PgPool,
    js: &jetstream::Context,
    story: &Story,
    reveal: bool,
) -> anyhow::Result<Vec<RawWebhook>> {
    let known = story.raw_seqs.is_empty() || is_known(pool, js, StreamName::Raw).await?;
    let (here, lost) = (story.raw_seqs.iter(), story.lost_raw_seqs.iter());
    let seqs = here.map(|seq| (*seq, known)).chain(lost.map(|seq| (*seq, false)));
    let mut raws = Vec::new();
    for (seq, known) in seqs.take(RAWS_MAX) {
        raws.push(match known {
            true => raw_webhook(pool, js, seq, reveal).await?,
            false => not_kept(seq),
        });
    }
    Ok(raws)
}

fn not_kept(seq: i64) -> RawWebhook {
    RawWebhook {
        seq,
        kept: false,
        received_at: None,
        path: None,
        verified_by: None,
        bytes: 0,
        structure: Value::Null,
        body: None,
        readings: Some(Vec::new()),
    }
}

/// One raw webhook with what the normaliser makes of it; its body only with `reveal`.
async fn raw_webhook(
    pool: &PgPool,
    js: &jetstream::Context,
    seq: i64,
    reveal: bool,
) -> anyhow::Result<RawWebhook> {
    let now = worker::facts::erase::place_of(pool, seq).await?;
    let Some(message) = message(js, subjects::META_RAW, now).await? else {
        return Ok(not_kept(seq));
    };
    let text = |name: &str| message.header(name).map(str::to_owned);
    let received_at = text(header::RECEIVED_AT)
        .and_then(|time| time.parse::<Timestamp>().ok())
        .unwrap_or(message.stored_at);
    let meta = RawMeta {
        redacted: message.header(header::REDACTED).and_then(|_| text(header::BODY)),
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
pub(crate) async fn events(
    pool: &PgPool,
    js: &jetstream::Context,
    story: &Story,
) -> anyhow::Result<Vec<Value>> {
    let mut events = Vec::new();
    if !is_known(pool, js, StreamName::Events).await? {
        return Ok(events);
    }
    let ids = story.event_ids();
    let facts = story.facts.iter().chain(&story.outcomes);
    let mut seqs: Vec<i64> = facts.filter_map(|fact| fact["event_seq"].as_i64()).collect();
    seqs.sort_unstable();
    seqs.dedup();
    for seq in seqs {
        let Some(message) = message(js, subjects::INBOX_EVENTS, seq).await? else { continue };
        let event: Value = serde_json::from_slice(&message.payload).unwrap_or_default();
        // Of a stream that was lost another event has the position.
        let outcome = || story.outcomes.iter().any(|fact| fact["event_id"] == event["id"]);
        if event["id"].as_str().is_some_and(|id| ids.iter().any(|one| one == id)) || outcome() {
            events.push(event);
        }
    }
    Ok(events)
}
