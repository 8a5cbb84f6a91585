//! Outcomes in INBOX_EVENTS: read through once, when the ledger is new.

use std::time::Duration;

use anyhow::Context;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use futures::StreamExt;
use runtime::broker::Broker;
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

/// Every outcome in INBOX_EVENTS.
///
/// # Errors
/// The broker did not answer: call again.
pub(super) async fn find_outcomes(broker: &Broker) -> anyhow::Result<Vec<PlacedOutcome>> {
    let stream = broker.js().get_stream(INBOX_EVENTS).await.context("reading INBOX_EVENTS")?;
    let config = pull::Config {
        deliver_policy: DeliverPolicy::All,
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
