//! One ordered, ack-free consumer after the other, as seen by its reader: batches of messages without a gap.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, Info, PullConsumer, pull};
use async_nats::jetstream::context::ConsumerInfoError;
use async_nats::jetstream::stream::{DirectGetErrorKind, Stream};
use bytes::Bytes;
use futures::StreamExt;
use schemas::Timestamp;

use crate::BoxFuture;
use crate::broker::{Broker, NotLooked, gone, made_anew};
use crate::lease::Position;
use crate::retry::Backoff;
use crate::streams::{self, Era, era_of};

const EXPIRES: Duration = Duration::from_secs(20);
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Silent for this long, the broker is asked whether something waits for us: a consumer may hang although its connection and its
/// heartbeats look well.
const DOUBT_AFTER: Duration = Duration::from_secs(8);
/// How long a stream may end before what was read of it already: a replica that was just made leader has to catch up first.
const CATCH_UP: Duration = Duration::from_secs(20);
/// Messages that the broker may send ahead: as many as any reader takes at once, so that the next batch is here when it is asked for.
const PULL_BATCH: usize = 4000;
const PULL_BYTES: usize = 8 << 20;
/// What the broker counts beside the body of a message: subject, headers.
const HEADROOM: usize = 64 << 10;

/// A message of the followed stream.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its position.
    pub sequence: u64,
    /// Its subject.
    pub subject: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub payload: Bytes,
    /// When the broker stored it.
    pub stored_at: Timestamp,
    /// How many of ours come after it, when it was delivered.
    pub pending: u64,
}

impl Received {
    /// Its position, in a stream of this era.
    pub const fn position(&self, era: Option<Era>) -> Position {
        Position { seq: self.sequence, era, at: Some(self.stored_at) }
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(async_nats::HeaderValue::as_str)
    }
}

/// Why a stream cannot be followed from a position.
#[derive(Debug, thiserror::Error)]
pub enum Unfollowable {
    /// It is another one.
    #[error(transparent)]
    Recreated(#[from] StreamRecreated),
    /// It was put back to an earlier state.
    #[error(transparent)]
    PutBack(#[from] StreamPutBack),
}

/// The stream is not the one the position belongs to; going on would skip or repeat. An operator must decide.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct StreamRecreated {
    /// What is there and what was expected, with what to do.
    pub reason: String,
}

/// The stream is the right one, and does not have the message at the position: it was restored from a backup that is older. What it gets
/// next has numbers that were used before, so it has to be read from its beginning.
#[derive(Debug, thiserror::Error)]
#[error(
    "stream {stream} was put back to a state before position {position}, which was read already; it has to be read again from its beginning"
)]
pub struct StreamPutBack {
    /// The stream.
    pub stream: &'static str,
    /// The position.
    pub position: u64,
}

/// Reads one stream, or the part of it that a filter names, in order.
pub struct Follower {
    broker: Broker,
    stream: &'static str,
    filter: String,
    at: Position,
    open: Option<Open>,
    buffer: VecDeque<Received>,
    backoff: Backoff,
    pending: u64,
    short_since: Option<Instant>,
}

struct Open {
    messages: Pin<Box<pull::Stream>>,
    consumer: PullConsumer,
    consumer_sequence: u64,
    generation: u64,
}

impl Follower {
    /// Follows the messages after a position.
    pub fn new(
        broker: Broker,
        stream: &'static str,
        filter: impl Into<String>,
        at: Position,
    ) -> Self {
        Self {
            broker,
            stream,
            filter: filter.into(),
            at,
            open: None,
            buffer: VecDeque::new(),
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(5)),
            pending: 0,
            short_since: None,
        }
    }

    /// The era of the stream: to be stored with the position. `None` until it was opened once.
    pub const fn era(&self) -> Option<Era> {
        self.at.era
    }

    /// How many messages wait behind the last one handed out, as of its delivery.
    pub fn pending(&self) -> u64 {
        self.pending + self.buffer.len() as u64
    }

    /// Goes back to a position: what was handed out after it comes again.
    pub fn rewind(&mut self, to: Position) {
        self.at = to;
        self.open = None;
        self.buffer.clear();
    }

    /// Waits for at least one message and hands out what is there, at most `max`, in order. May be dropped while it waits without
    /// losing anything. Trouble with the broker is waited out here.
    ///
    /// # Errors
    /// [`Unfollowable`]: stop and report it.
    pub fn next_batch(&mut self, max: usize) -> BoxFuture<'_, Result<Vec<Received>, Unfollowable>> {
        Box::pin(async move {
            while self.buffer.is_empty() {
                if self.open.is_none() {
                    match self.try_open().await? {
                        Some(open) => self.open = Some(open),
                        None => {
                            tokio::time::sleep(self.backoff.next(rand::random())).await;
                            continue;
                        }
                    }
                }
                self.receive().await;
            }
            self.drain_ready(max);
            let count = max.min(self.buffer.len());
            let batch: Vec<Received> = self.buffer.drain(..count).collect();
            if let Some(last) = batch.last() {
                self.at = last.position(self.at.era);
                self.pending = last.pending.saturating_sub(self.buffer.len() as u64);
            }
            Ok(batch)
        })
    }

    /// Waits for one message and keeps it; closes the consumer on any trouble.
    async fn receive(&mut self) {
        let Some(open) = &mut self.open else { return };
        let mut state = self.broker.watch();
        let generation = open.generation;
        let consumer = &open.consumer;
        let received = tokio::select! {
            message = open.messages.next() => message,
            () = stuck(self.stream, consumer) => None,
            // After a reconnect the open pull is lost: start over rather than wait for missing heartbeats.
            _ = state.wait_for(|state| state.generation != generation) => None,
        };
        match received {
            Some(Ok(message)) => self.keep(&message),
            Some(Err(error)) => {
                tracing::debug!(stream = self.stream, %error, "Opening the consumer again");
                self.close();
            }
            None => self.close(),
        }
    }

    fn close(&mut self) {
        self.open = None;
        // What is buffered stays good: the next consumer starts after it.
    }

    fn keep(&mut self, message: &async_nats::jetstream::Message) {
        let Some(open) = &mut self.open else { return };
        let Ok(info) = message.info() else {
            self.close();
            return;
        };
        if info.consumer_sequence != open.consumer_sequence + 1 {
            tracing::warn!(
                stream = self.stream,
                "A gap in what the broker delivered; reading again from the position"
            );
            self.close();
            return;
        }
        open.consumer_sequence = info.consumer_sequence;
        self.backoff.reset();
        self.buffer.push_back(Received {
            sequence: info.stream_sequence,
            subject: message.subject.to_string(),
            headers: message.headers.clone().unwrap_or_default(),
            payload: message.payload.clone(),
            stored_at: Timestamp::from_nanos(info.published.unix_timestamp_nanos()),
            pending: info.pending,
        });
    }

    /// Takes what has arrived already, without waiting.
    fn drain_ready(&mut self, max: usize) {
        use futures::FutureExt;
        while self.buffer.len() < max {
            let Some(open) = &mut self.open else { return };
            // Tokio lets a task take some 128 messages and then reports that nothing is there, although it is: batches would end there.
            let next = tokio::task::unconstrained(open.messages.next());
            match next.now_or_never() {
                Some(Some(Ok(message))) => self.keep(&message),
                Some(Some(Err(_)) | None) => self.close(),
                None => return,
            }
        }
    }

    /// On the heap, so that the readers of other crates do not compile it anew.
    fn try_open(&mut self) -> BoxFuture<'_, Result<Option<Open>, Unfollowable>> {
        Box::pin(self.open_consumer())
    }

    async fn open_consumer(&mut self) -> Result<Option<Open>, Unfollowable> {
        let generation = self.broker.state().generation;
        let Some(stream) = self.right_stream().await? else { return Ok(None) };
        let held = self.at.seq;
        let config = pull::Config {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: held + 1 },
            ack_policy: AckPolicy::None,
            max_deliver: 1,
            filter_subject: self.filter.clone(),
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: Duration::from_secs(60),
            ..pull::Config::default()
        };
        let consumer = match stream.create_consumer(config).await {
            Ok(consumer) => consumer,
            Err(error) => {
                tracing::debug!(stream = self.stream, %error, "The consumer cannot be made yet");
                return Ok(None);
            }
        };
        // A pull that the largest message does not fit into would be refused for ever.
        let largest = self.broker.client().server_info().max_payload;
        let messages = consumer
            .stream()
            .max_messages_per_batch(PULL_BATCH)
            .max_bytes_per_batch(PULL_BYTES.max(largest + HEADROOM))
            .expires(EXPIRES)
            .heartbeat(HEARTBEAT)
            .messages()
            .await;
        Ok(messages.ok().map(|messages| Open {
            messages: Box::pin(messages),
            consumer,
            consumer_sequence: 0,
            generation,
        }))
    }

    /// The stream, where it is the one that the position is of and has what was read of it. `None`: not now; ask again.
    async fn right_stream(&mut self) -> Result<Option<Stream>, Unfollowable> {
        let Ok(known) = self.known_era() else { return Ok(None) };
        let stream = match streams::find(self.broker.js(), self.stream).await {
            Ok(Some(stream)) => stream,
            Ok(None) if known.is_some() => {
                return Err(StreamRecreated { reason: gone(self.stream) }.into());
            }
            Ok(None) => return Ok(None),
            Err(error) => {
                tracing::debug!(stream = self.stream, %error, "The stream cannot be read yet");
                return Ok(None);
            }
        };
        let info = stream.cached_info();
        let era = era_of(info);
        if let Some(known) = known.filter(|known| *known != era) {
            return Err(StreamRecreated { reason: made_anew(self.stream, era, known) }.into());
        }
        let (last, replicas) = (info.state.last_sequence, info.config.num_replicas);
        let put_back = || StreamPutBack { stream: self.stream, position: self.at.seq };
        if last < self.at.seq {
            let since = *self.short_since.get_or_insert_with(Instant::now);
            if replicas > 1 && since.elapsed() < CATCH_UP {
                tracing::debug!(
                    stream = self.stream,
                    last,
                    position = self.at.seq,
                    "The stream ends before what was read of it; waiting for its leader to catch up"
                );
                return Ok(None);
            }
            return Err(put_back().into());
        }
        self.short_since = None;
        match self.has_what_was_read(&stream).await {
            Some(true) => {}
            Some(false) => return Err(put_back().into()),
            None => return Ok(None),
        }
        self.at.era = Some(era);
        Ok(Some(stream))
    }

    /// The era of the position; before the first one, that of the other positions of the stream.
    fn known_era(&self) -> Result<Option<Era>, NotLooked> {
        match self.at.era {
            Some(era) => Ok(Some(era)),
            None => self.broker.known_era(self.stream),
        }
    }

    /// Whether the message at the position is the one that was read; one that is not kept any more counts as that. `None`: not known now.
    async fn has_what_was_read(&self, stream: &Stream) -> Option<bool> {
        let Some(at) = self.at.at else { return Some(true) };
        let info = stream.cached_info();
        if !info.config.allow_direct || self.at.seq < info.state.first_sequence {
            return Some(true);
        }
        match stream.direct_get(self.at.seq).await {
            Ok(message) => Some(Timestamp::from_nanos(message.time.unix_timestamp_nanos()) == at),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Some(true),
            Err(error) => {
                tracing::debug!(stream = self.stream, %error, "The message at the position cannot be read now");
                None
            }
        }
    }
}

fn info(consumer: &PullConsumer) -> BoxFuture<'_, Result<Info, ConsumerInfoError>> {
    Box::pin(consumer.get_info())
}

/// Returns when nothing has come for a while although the broker holds something for this consumer, or does not know it any more.
async fn stuck(stream: &'static str, consumer: &PullConsumer) {
    loop {
        tokio::time::sleep(DOUBT_AFTER).await;
        match info(consumer).await {
            Ok(info) if info.num_pending == 0 => {}
            Ok(info) => {
                tracing::warn!(
                    stream,
                    waiting = info.num_pending,
                    "Nothing comes although messages wait; opening the consumer again"
                );
                metrics::counter!("hookline_follow_stuck_total", "stream" => stream).increment(1);
                return;
            }
            Err(error) => {
                tracing::debug!(stream, %error, "The consumer does not answer; opening it again");
                return;
            }
        }
    }
}
