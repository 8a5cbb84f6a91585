//! A consumer, from when it is made until it delivers no more.

use std::pin::Pin;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, Info, PullConsumer, pull};
use async_nats::jetstream::context::ConsumerInfoError;
use async_nats::jetstream::stream::Stream;

use crate::BoxFuture;
use crate::broker::ReadConnection;

const EXPIRES: Duration = Duration::from_secs(20);
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Silent for this long, the broker is asked whether something waits for us: a consumer may hang although its connection and its
/// heartbeats look well.
const DOUBT_AFTER: Duration = Duration::from_secs(8);
/// Messages that the broker may send ahead: as many as any reader takes at once, so that the next batch is here when it is asked for.
pub(super) const PULL_BATCH: usize = 4000;
const PULL_BYTES: usize = 8 << 20;
/// What the broker counts beside the body of a message: subject, headers.
const HEADROOM: usize = 64 << 10;

/// What is delivered.
pub(super) type Messages = Pin<Box<pull::Stream>>;

/// A consumer that delivers.
pub(super) struct Open {
    pub(super) messages: Messages,
    pub(super) consumer: PullConsumer,
    /// Of the last message that came; 0 before the first.
    pub(super) consumer_sequence: u64,
    pub(super) connection: ReadConnection,
    /// How often the connection was lost before.
    pub(super) losses: u64,
}

/// How delivery ended.
pub(super) enum Ended {
    /// By what anybody may cause: suspicious where it brought no message.
    Closed,
    /// By what came.
    Broken,
}

/// What is to be delivered.
pub(super) struct Wanted<'a> {
    pub(super) filters: &'a [String],
    pub(super) headers_only: bool,
    /// Messages that the broker may send ahead.
    pub(super) ahead: usize,
    /// The position before the first.
    pub(super) held: u64,
    /// The broker's largest message, bytes.
    pub(super) largest: usize,
}

/// Makes a consumer and has it deliver.
pub(super) async fn open(
    stream: &Stream,
    Wanted { filters, headers_only, ahead, held, largest }: Wanted<'_>,
) -> Result<(Messages, PullConsumer), async_nats::Error> {
    let one = filters.first().filter(|_| filters.len() == 1);
    let config = pull::Config {
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: held + 1 },
        ack_policy: AckPolicy::None,
        max_deliver: 1,
        filter_subject: one.cloned().unwrap_or_default(),
        filter_subjects: if one.is_some() { Vec::new() } else { filters.to_vec() },
        headers_only,
        memory_storage: true,
        num_replicas: 1,
        inactive_threshold: Duration::from_secs(60),
        ..pull::Config::default()
    };
    let consumer = stream.create_consumer(config).await?;
    // A pull that the largest message does not fit into would be refused for ever.
    let messages = consumer
        .stream()
        .max_messages_per_batch(ahead)
        .max_bytes_per_batch(PULL_BYTES.max(largest + HEADROOM))
        .expires(EXPIRES)
        .heartbeat(HEARTBEAT)
        .messages()
        .await?;
    Ok((Box::pin(messages), consumer))
}

pub(super) fn info(consumer: &PullConsumer) -> BoxFuture<'_, Result<Info, ConsumerInfoError>> {
    Box::pin(consumer.get_info())
}

/// Returns when nothing has come for a while although the broker holds something for this consumer, has delivered more than the `received`,
/// or does not know it any more.
pub(super) async fn stuck(stream: &'static str, consumer: &PullConsumer, received: u64) -> Ended {
    loop {
        tokio::time::sleep(DOUBT_AFTER).await;
        match info(consumer).await {
            // A message that looks like an answer of the broker is swallowed by the client library.
            Ok(info) if received < info.delivered.consumer_sequence => return Ended::Broken,
            Ok(info) if info.num_pending == 0 => {}
            Ok(info) => {
                tracing::warn!(
                    stream,
                    waiting = info.num_pending,
                    "Nothing comes although messages wait; opening the consumer again"
                );
                metrics::counter!("hookline_follow_stuck_total", "stream" => stream).increment(1);
                return Ended::Closed;
            }
            Err(error) => {
                tracing::debug!(stream, %error, "The consumer does not answer; opening it again");
                return Ended::Closed;
            }
        }
    }
}
