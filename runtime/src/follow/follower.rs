//! One ordered, ack-free consumer after the other, as seen by its reader: batches of messages without a gap.

mod look_up;
mod unfollowable;
mod up_to;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::Stream;
use futures::StreamExt;
use schemas::Timestamp;

use super::care::Care;
use super::open::{Ended, Open, PULL_BATCH, Wanted, info, open, stuck};
use super::received::Received;
use super::stored;
use crate::BoxFuture;
use crate::broker::{Broker, NotLooked, gone, made_anew};
use crate::lease::Position;
use crate::retry::Backoff;
use crate::streams::{self, Era, era_of};
pub use unfollowable::{StreamPutBack, StreamRecreated, Unfollowable};

/// How long a stream may end before what was read of it already: a replica that was just made leader has to catch up first.
const CATCH_UP: Duration = Duration::from_secs(20);
/// Messages that are looked up one after the other before they are handed out.
const LOOKED_UP_MAX: usize = 64;
/// How long the broker may take to say how many messages wait.
const COUNTED_WITHIN: Duration = Duration::from_secs(2);

/// Reads one stream, or the part of it that a filter names, in order.
pub struct Follower {
    broker: Broker,
    stream: &'static str,
    filters: Vec<String>,
    headers_only: bool,
    ahead: usize,
    at: Position,
    open: Option<Open>,
    buffer: VecDeque<Received>,
    backoff: Backoff,
    pending: u64,
    short_since: Option<Instant>,
    is_right: Arc<AtomicBool>,
    care: Care,
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
            filters: vec![filter.into()],
            headers_only: false,
            ahead: PULL_BATCH,
            at,
            open: None,
            buffer: VecDeque::new(),
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(5)),
            pending: 0,
            short_since: None,
            is_right: Arc::default(),
            care: Care::default(),
        }
    }

    /// Follows the messages of any of these subjects after `position`.
    pub fn over(broker: Broker, stream: &'static str, filters: Vec<String>, position: u64) -> Self {
        Self {
            filters,
            ..Self::new(broker, stream, "", Position { seq: position, ..Position::default() })
        }
    }

    /// Without bodies, which save their way here.
    #[must_use]
    pub fn headers_only(mut self) -> Self {
        self.headers_only = true;
        self
    }

    /// With no more than so many messages sent ahead: for somebody who reads a few and stops.
    #[must_use]
    pub fn ahead(mut self, messages: usize) -> Self {
        self.ahead = messages.clamp(1, PULL_BATCH);
        self
    }

    /// The era of the stream: to be stored with the position. `None` until it was opened once.
    pub const fn era(&self) -> Option<Era> {
        self.at.era
    }

    /// Whether the stream was last found to be the one that the position is of, as it changes.
    pub(super) fn is_right(&self) -> Arc<AtomicBool> {
        self.is_right.clone()
    }

    /// How many messages wait behind the last one handed out, as of its delivery.
    pub fn pending(&self) -> u64 {
        self.pending + self.buffer.len() as u64
    }

    /// As [`Follower::pending`], as of now where the broker answers.
    pub fn waiting(&mut self) -> BoxFuture<'_, u64> {
        Box::pin(async move {
            let Some(open) = &self.open else { return self.pending() };
            let counted = tokio::time::timeout(COUNTED_WITHIN, info(&open.consumer)).await;
            let Ok(Ok(info)) = counted else { return self.pending() };
            let on_the_way =
                info.delivered.consumer_sequence.saturating_sub(open.consumer_sequence);
            info.num_pending + on_the_way + self.buffer.len() as u64
        })
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
                if self.care.is_careful() {
                    self.look_up_next(max.min(LOOKED_UP_MAX)).await?;
                    continue;
                }
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
        let (consumer, connection) = (&open.consumer, open.connection.clone());
        let losses = open.losses;
        let received = tokio::select! {
            message = open.messages.next() => message.ok_or(Ended::Closed),
            ended = stuck(self.stream, consumer, open.consumer_sequence) => Err(ended),
            // After a reconnect the open pull is lost: start over rather than wait for missing heartbeats.
            died = connection.lost(losses) => Err(if died { Ended::Broken } else { Ended::Closed }),
        };
        match received {
            Ok(Ok(message)) => self.keep(&message),
            Ok(Err(error)) => {
                tracing::debug!(stream = self.stream, %error, "Opening the consumer again");
                self.close(&Ended::Closed);
            }
            Err(ended) => self.close(&ended),
        }
    }

    /// What is buffered stays good: the next consumer starts after it.
    fn close(&mut self, ended: &Ended) {
        let Some(open) = self.open.take() else { return };
        if matches!(ended, Ended::Broken) || open.consumer_sequence == 0 {
            self.care.doubt();
        }
    }

    fn keep(&mut self, message: &async_nats::jetstream::Message) {
        let Some(open) = &mut self.open else { return };
        let Ok(info) = message.info() else {
            self.close(&Ended::Broken);
            return;
        };
        if info.consumer_sequence != open.consumer_sequence + 1 {
            tracing::warn!(
                stream = self.stream,
                "A gap in what the broker delivered; reading again from the position"
            );
            self.close(&Ended::Broken);
            return;
        }
        open.consumer_sequence = info.consumer_sequence;
        self.backoff.reset();
        self.buffer.push_back(Received {
            sequence: info.stream_sequence,
            subject: message.subject.to_string(),
            headers: message.headers.clone().unwrap_or_default(),
            flaw: None,
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
                Some(Some(Err(_)) | None) => self.close(&Ended::Closed),
                None => return,
            }
        }
    }

    fn wanted(&self, largest: usize) -> Wanted<'_> {
        let Self { filters, headers_only, ahead, .. } = self;
        let (headers_only, ahead) = (*headers_only, *ahead);
        Wanted { filters, headers_only, ahead, held: self.held(), largest }
    }

    /// The position of the last message that was handed out or is buffered.
    fn held(&self) -> u64 {
        self.buffer.back().map_or(self.at.seq, |message| message.sequence)
    }

    /// On the heap, so that the readers of other crates do not compile it anew.
    fn try_open(&mut self) -> BoxFuture<'_, Result<Option<Open>, Unfollowable>> {
        Box::pin(self.open_consumer())
    }

    async fn open_consumer(&mut self) -> Result<Option<Open>, Unfollowable> {
        let connection = match self.broker.reading().await {
            Ok(connection) => connection,
            Err(error) => {
                tracing::warn!(%error, "Cannot connect for reading");
                return Ok(None);
            }
        };
        let losses = connection.losses();
        let largest = self.broker.client().server_info().max_payload;
        let opening = async {
            let Some(stream) = self.right_stream(connection.js()).await? else {
                return Ok::<_, Unfollowable>(None);
            };
            let opened = open(&stream, self.wanted(largest)).await;
            Ok(opened
                .inspect_err(|error| {
                    tracing::debug!(stream = self.stream, %error, "The consumer cannot be made yet");
                })
                .ok())
        };
        // What was asked for on a connection that is lost gets no answer.
        let opened = tokio::select! {
            opened = opening => opened?,
            _ = connection.lost(losses) => None,
        };
        Ok(opened.map(|(messages, consumer)| Open {
            messages,
            consumer,
            consumer_sequence: 0,
            connection,
            losses,
        }))
    }

    /// The stream, where it is the one that the position is of and has what was read of it. `None`: not now; ask again.
    async fn right_stream(&mut self, js: &Context) -> Result<Option<Stream>, Unfollowable> {
        self.is_right.store(false, Ordering::Relaxed);
        let Ok(known) = self.known_era() else { return Ok(None) };
        let stream = match streams::find(js, self.stream).await {
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
        match self.has_what_was_read(js, &stream).await {
            Some(true) => {}
            Some(false) => return Err(put_back().into()),
            None => return Ok(None),
        }
        self.at.era = Some(era);
        self.is_right.store(true, Ordering::Relaxed);
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
    async fn has_what_was_read(&self, js: &Context, stream: &Stream) -> Option<bool> {
        let Some(at) = self.at.at else { return Some(true) };
        if self.at.seq < stream.cached_info().state.first_sequence {
            return Some(true);
        }
        match stored::at(js, self.stream, self.at.seq).await {
            Ok(Some(message)) => Some(message.stored_at == at),
            Ok(None) => Some(true),
            Err(error) => {
                tracing::debug!(stream = self.stream, %error, "The message at the position cannot be read now");
                None
            }
        }
    }
}
