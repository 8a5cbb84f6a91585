//! Reads INBOX_ATTEMPTS.

use std::time::Duration;

use anyhow::Context;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::stream::RawMessageErrorKind;
use futures::StreamExt;
use runtime::broker::Broker;
use runtime::streams::{Era, era_of};
use schemas::subjects::{self, INBOX_ATTEMPTS, INBOX_COMMANDS};
use schemas::{Timestamp, subjects::COMMAND_ALL};

use super::entry::Batch;
use super::fold::Placed;

/// How a stream stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) era: Era,
    /// Its last position; 0 where it has none.
    pub(super) last: u64,
}

/// How the log stands.
///
/// # Errors
/// The broker did not answer: call again.
pub(super) async fn head(broker: &Broker) -> anyhow::Result<Head> {
    let stream = broker.js().get_stream(INBOX_ATTEMPTS).await.context("reading INBOX_ATTEMPTS")?;
    let info = stream.cached_info();
    Ok(Head { era: era_of(info), last: info.state.last_sequence })
}

/// How INBOX_COMMANDS stands: its last command that is still there.
///
/// # Errors
/// The broker did not answer: call again.
pub(super) async fn commands_head(broker: &Broker) -> anyhow::Result<Head> {
    let stream = broker.js().get_stream(INBOX_COMMANDS).await.context("reading INBOX_COMMANDS")?;
    let era = era_of(stream.cached_info());
    let last = match stream.get_last_raw_message_by_subject(COMMAND_ALL).await {
        Ok(message) => message.sequence,
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => 0,
        Err(error) => return Err(error).context("reading INBOX_COMMANDS"),
    };
    Ok(Head { era, last })
}

/// The last position of a shard; 0 where it has none.
///
/// # Errors
/// The broker did not answer: call again.
pub(super) async fn last_of(broker: &Broker, shard: u32) -> anyhow::Result<u64> {
    let stream = broker.js().get_stream_no_info(INBOX_ATTEMPTS).await;
    let stream = stream.context("reading INBOX_ATTEMPTS")?;
    match stream.get_last_raw_message_by_subject(&subjects::attempt(shard)).await {
        Ok(message) => Ok(message.sequence),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(0),
        Err(error) => Err(error).context("reading INBOX_ATTEMPTS"),
    }
}

/// When the message at a position was stored; `None` where there is none.
///
/// # Errors
/// The broker did not answer: call again.
pub(super) async fn stored_at(broker: &Broker, seq: u64) -> anyhow::Result<Option<Timestamp>> {
    let stream = broker.js().get_stream_no_info(INBOX_ATTEMPTS).await;
    match stream.context("reading INBOX_ATTEMPTS")?.get_raw_message(seq).await {
        Ok(message) => Ok(Some(Timestamp::from_nanos(message.time.unix_timestamp_nanos()))),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(error).context("reading INBOX_ATTEMPTS"),
    }
}

/// What the log has behind these marks, `(shard, mark, last)` each, in order.
///
/// # Errors
/// The broker did not answer: call again.
pub(super) async fn gap(
    broker: &Broker,
    shards: &[(u32, u64, u64)],
) -> anyhow::Result<Vec<Placed>> {
    let Some(from) = shards.iter().map(|(_, mark, _)| mark + 1).min() else {
        return Ok(Vec::new());
    };
    let stream = broker.js().get_stream_no_info(INBOX_ATTEMPTS).await;
    let config = pull::Config {
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: from },
        ack_policy: AckPolicy::None,
        max_deliver: 1,
        filter_subjects: shards.iter().map(|(shard, _, _)| subjects::attempt(*shard)).collect(),
        memory_storage: true,
        num_replicas: 1,
        inactive_threshold: Duration::from_secs(60),
        ..pull::Config::default()
    };
    let consumer = stream.context("reading INBOX_ATTEMPTS")?.create_consumer(config).await;
    let consumer = consumer.context("reading INBOX_ATTEMPTS")?;
    let count = usize::try_from(consumer.cached_info().num_pending)?;
    let mut gap = Vec::new();
    if count == 0 {
        return Ok(gap);
    }
    let mut messages = consumer.messages().await.context("reading INBOX_ATTEMPTS")?.take(count);
    while let Some(message) = messages.next().await {
        let message = message.context("reading INBOX_ATTEMPTS")?;
        let info = message.info().map_err(|error| anyhow::anyhow!("INBOX_ATTEMPTS: {error}"))?;
        let seq = info.stream_sequence;
        let named = |(shard, mark, last): &&(u32, u64, u64)| {
            message.subject.as_str() == subjects::attempt(*shard) && *mark < seq && seq <= *last
        };
        let Some((shard, _, _)) = shards.iter().find(named) else { continue };
        match serde_json::from_slice::<Batch>(&message.payload) {
            Ok(batch) => gap.push(Placed { shard: *shard, batch }),
            Err(error) => {
                // Nobody but a worker may write there.
                metrics::counter!("hookline_attempt_log_unreadable_total").increment(1);
                tracing::error!(sequence = seq, %error, "Message {seq} of INBOX_ATTEMPTS is no batch of attempts");
            }
        }
    }
    Ok(gap)
}
