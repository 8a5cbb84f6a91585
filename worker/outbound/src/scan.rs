//! Outcomes in INBOX_EVENTS: read through when the ledger is new, and from a time on when it was put back.

use std::time::Duration;

use anyhow::Context;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use futures::StreamExt;
use runtime::broker::Broker;
use schemas::Timestamp;
use schemas::subjects::INBOX_EVENTS;

use crate::ledger::mark::PlacedOutcome;

/// Subjects of outcomes.
const OUTCOMES: [&str; 6] = [
    "inbox.v1.event.*.*.*.reply-sent",
    "inbox.v1.event.*.*.*.reply-failed",
    "inbox.v1.event.*.*.*.reply-unknown",
    "inbox.v1.event.*.*.*.command-done",
    "inbox.v1.event.*.*.*.command-failed",
    "inbox.v1.event.*.*.*.command-unknown",
];

/// Every outcome that INBOX_EVENTS stored from `from` on; `None`: all.
///
/// # Errors
/// The broker did not answer: call again.
pub(crate) async fn find_outcomes(
    broker: &Broker,
    from: Option<Timestamp>,
) -> anyhow::Result<Vec<PlacedOutcome>> {
    // The client's type of a time is that of a crate which is not used here.
    let since = |from: Timestamp| serde_json::json!({"deliver_policy": "by_start_time", "opt_start_time": from});
    let deliver_policy = match from {
        Some(from) => serde_json::from_value::<DeliverPolicy>(since(from))?,
        None => DeliverPolicy::All,
    };
    let stream = broker.js().get_stream(INBOX_EVENTS).await.context("reading INBOX_EVENTS")?;
    let config = pull::Config {
        deliver_policy,
        ack_policy: AckPolicy::None,
        max_deliver: 1,
        filter_subjects: OUTCOMES.map(str::to_owned).to_vec(),
        headers_only: true,
        memory_storage: true,
        num_replicas: 1,
        inactive_threshold: Duration::from_secs(60),
        ..pull::Config::default()
    };
    let consumer = stream.create_consumer(config).await.context("reading INBOX_EVENTS")?;
    let count = usize::try_from(consumer.cached_info().num_pending)?;
    let mut found = Vec::with_capacity(count);
    if count == 0 {
        return Ok(found);
    }
    let mut messages = consumer.messages().await.context("reading INBOX_EVENTS")?.take(count);
    while let Some(message) = messages.next().await {
        let message = message.context("reading INBOX_EVENTS")?;
        let id = message.headers.as_ref().and_then(|headers| headers.get("Nats-Msg-Id"));
        let seq = message
            .info()
            .map_err(|error| anyhow::anyhow!("reading INBOX_EVENTS: {error}"))?
            .stream_sequence;
        if let Some(id) = id {
            // `<id>`, `<id>.r<N>` or `<id>.<job>`: ids have no dot.
            let id = id.as_str().split('.').next().unwrap_or_default();
            found.push(PlacedOutcome { event_id: id.to_owned(), event_seq: seq });
        }
    }
    Ok(found)
}
