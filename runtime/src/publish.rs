//! Publishing so that success means durable: single messages, and atomic batches with derived ids.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::PublishErrorKind as ClientErrorKind;
use async_nats::header::{
    NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL, NATS_BATCH_ID, NATS_BATCH_SEQUENCE, NATS_MESSAGE_ID,
};
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;

pub use crate::broker::PublishFailure;

use crate::BoxFuture;
use crate::broker::Broker;

/// Most messages in one atomic batch (contract: at most 500; the broker takes 1000).
pub const BATCH_MAX: usize = 500;
/// Most bytes in one atomic batch.
pub const BATCH_BYTES_MAX: usize = 16 << 20;

/// A message to publish.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The subject.
    pub subject: String,
    /// `Nats-Msg-Id`: derived, so that a repeat is recognised.
    pub id: String,
    /// Further headers.
    pub headers: HeaderMap,
    /// The body.
    pub payload: Bytes,
}

/// Where a message is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its position in the stream.
    pub sequence: u64,
    /// It was there before: this is the position of the first.
    pub duplicate: bool,
}

const ALREADY_STORED: u64 = 10071;
/// A limit of the stream, of the server's disk (`max_file_store`), or of the account is reached.
const NO_ROOM: [u64; 4] = [10077, 10023, 10047, 10002];
/// The message is larger than its stream allows.
const OVER_STREAM_LIMIT: u64 = 10054;
const BATCH_KNOWN_ID: u64 = 10201;
const BATCH_INCOMPLETE: u64 = 10176;
const BATCH_TOO_MANY: u64 = 10210;
const BATCH_DISABLED: u64 = 10174;

/// How a batch ended that was not stored.
enum BatchEnd {
    /// Publish each message on its own.
    Singles,
    /// Give up.
    Failed(PublishFailure),
}

impl Broker {
    /// Publishes one message and waits, at most `wait`, for the durable ack.
    ///
    /// # Errors
    /// [`PublishFailure`]; after [`PublishFailure::TimedOut`] the message may be stored.
    pub fn publish(
        &self,
        message: Outgoing,
        wait: Duration,
    ) -> BoxFuture<'_, Result<Stored, PublishFailure>> {
        Box::pin(async move {
            if !self.is_connected() {
                return Err(PublishFailure::NotConnected);
            }
            let publish = PublishMessage::build()
                .payload(message.payload)
                .headers(message.headers)
                .message_id(&message.id);
            let send = async {
                let ack = self.js().send_publish(message.subject, publish).await?;
                ack.await
            };
            match tokio::time::timeout(wait, send).await {
                Err(_) => Err(self.silent()),
                Ok(Ok(ack)) => {
                    self.note_room(Ok(()));
                    Ok(Stored { sequence: ack.sequence, duplicate: ack.duplicate })
                }
                Ok(Err(error)) => Err(self.failure(&error)),
            }
        })
    }

    /// What went wrong; a stream without room is remembered for whoever operates.
    fn failure(&self, error: &async_nats::jetstream::context::PublishError) -> PublishFailure {
        let failure = failure(error);
        self.note_room(Err(&failure));
        failure
    }

    /// No answer in time: remembered for whoever operates, as long as the connection stands.
    fn silent(&self) -> PublishFailure {
        self.note_room(Err(&PublishFailure::TimedOut));
        PublishFailure::TimedOut
    }

    /// Publishes messages in order: as one atomic batch where there are several (one sync for all), each on its own where the broker
    /// knows one of the ids already. Answers in the order of the messages.
    ///
    /// # Errors
    /// [`PublishFailure`]; some or all may be stored nevertheless, so repeat with the same ids.
    pub fn publish_all(
        &self,
        messages: Vec<Outgoing>,
        wait: Duration,
    ) -> BoxFuture<'_, Result<Vec<Stored>, PublishFailure>> {
        Box::pin(async move {
            let mut stored = Vec::with_capacity(messages.len());
            for batch in batches(messages) {
                let [message] = batch.as_slice() else {
                    match self.publish_batch(&batch, wait).await {
                        Ok(first) => {
                            stored.extend(
                                (first..)
                                    .take(batch.len())
                                    .map(|sequence| Stored { sequence, duplicate: false }),
                            );
                        }
                        Err(BatchEnd::Singles) => {
                            for message in batch {
                                stored.push(self.publish(message, wait).await?);
                            }
                        }
                        Err(BatchEnd::Failed(failure)) => return Err(failure),
                    }
                    continue;
                };
                stored.push(self.publish(message.clone(), wait).await?);
            }
            Ok(stored)
        })
    }

    /// Publishes messages as atomic batches like [`Broker::publish_all`], but returns how each message ended. Where a batch is refused,
    /// its messages are sent on their own, all at once and in order, so that one of them cannot hold up or spoil the others.
    pub fn publish_each(
        &self,
        messages: Vec<Outgoing>,
        wait: Duration,
    ) -> BoxFuture<'_, Vec<Result<Stored, PublishFailure>>> {
        Box::pin(async move {
            let mut ends = Vec::with_capacity(messages.len());
            for batch in batches(messages) {
                let stored = match batch.len() {
                    1 => Err(BatchEnd::Singles),
                    _ => self.publish_batch(&batch, wait).await,
                };
                match stored {
                    Ok(first) => ends.extend(
                        (first..)
                            .take(batch.len())
                            .map(|sequence| Ok(Stored { sequence, duplicate: false })),
                    ),
                    // Nobody knows what became of it, or nothing can be stored now.
                    Err(BatchEnd::Failed(
                        failure @ (PublishFailure::TimedOut
                        | PublishFailure::NotConnected
                        | PublishFailure::NoStream
                        | PublishFailure::Full(_)),
                    )) => ends.extend(batch.iter().map(|_| Err(failure.clone()))),
                    Err(BatchEnd::Singles | BatchEnd::Failed(_)) => {
                        let singles = batch.into_iter().map(|message| self.publish(message, wait));
                        ends.extend(futures::future::join_all(singles).await);
                    }
                }
            }
            ends
        })
    }

    /// One atomic batch: all or nothing. Answers with the position of the first message.
    async fn publish_batch(&self, batch: &[Outgoing], wait: Duration) -> Result<u64, BatchEnd> {
        if !self.is_connected() {
            return Err(BatchEnd::Failed(PublishFailure::NotConnected));
        }
        let batch_id = uuid::Uuid::new_v4().simple().to_string();
        let send = async {
            let Some((last, others)) = batch.split_last() else { return Ok(None) };
            for (index, message) in others.iter().enumerate() {
                let mut headers = message.headers.clone();
                headers.insert(NATS_MESSAGE_ID, message.id.as_str());
                headers.insert(NATS_BATCH_ID, batch_id.as_str());
                headers.insert(NATS_BATCH_SEQUENCE, (index + 1).to_string().as_str());
                self.client()
                    .publish_with_headers(message.subject.clone(), headers, message.payload.clone())
                    .await
                    .map_err(|error| {
                        BatchEnd::Failed(match error.kind() {
                            // Said by the client, before anything is sent: no other try helps.
                            ClientErrorKind::MaxPayloadExceeded => PublishFailure::TooLarge,
                            _ => PublishFailure::Refused(error.to_string()),
                        })
                    })?;
            }
            let publish = PublishMessage::build()
                .payload(last.payload.clone())
                .headers(last.headers.clone())
                .message_id(&last.id)
                .header(NATS_BATCH_ID, batch_id.as_str())
                .header(NATS_BATCH_SEQUENCE, batch.len().to_string().as_str())
                .header(NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL);
            let ack = async { self.js().send_publish(last.subject.clone(), publish).await?.await };
            ack.await.map(Some).map_err(|error| match code(&error) {
                Some(
                    BATCH_KNOWN_ID | BATCH_INCOMPLETE | BATCH_TOO_MANY | BATCH_DISABLED
                    | ALREADY_STORED,
                ) => BatchEnd::Singles,
                _ => BatchEnd::Failed(self.failure(&error)),
            })
        };
        match tokio::time::timeout(wait, send).await {
            Err(_) => Err(BatchEnd::Failed(self.silent())),
            Ok(Err(end)) => Err(end),
            Ok(Ok(None)) => Ok(0),
            Ok(Ok(Some(ack))) if ack.duplicate => Err(BatchEnd::Singles),
            Ok(Ok(Some(ack))) => {
                self.note_room(Ok(()));
                Ok((ack.sequence + 1).saturating_sub(batch.len() as u64))
            }
        }
    }
}

/// Cuts messages into batches of at most [`BATCH_MAX`] and [`BATCH_BYTES_MAX`], in order; no id twice in one batch.
fn batches(messages: Vec<Outgoing>) -> Vec<Vec<Outgoing>> {
    let mut batches: Vec<Vec<Outgoing>> = Vec::new();
    let mut bytes = 0;
    let mut ids = std::collections::HashSet::new();
    for message in messages {
        let size = message.payload.len() + message.subject.len() + 512;
        let full = batches.last().is_none_or(|batch| {
            batch.len() >= BATCH_MAX || bytes + size > BATCH_BYTES_MAX || ids.contains(&message.id)
        });
        if full {
            batches.push(Vec::new());
            bytes = 0;
            ids.clear();
        }
        bytes += size;
        ids.insert(message.id.clone());
        if let Some(batch) = batches.last_mut() {
            batch.push(message);
        }
    }
    batches
}

fn jetstream_error(
    error: &async_nats::jetstream::context::PublishError,
) -> Option<async_nats::jetstream::Error> {
    use std::error::Error;
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<async_nats::jetstream::Error>() {
            return Some(error.clone());
        }
        source = cause.source();
    }
    None
}

fn code(error: &async_nats::jetstream::context::PublishError) -> Option<u64> {
    jetstream_error(error).map(|error| error.error_code().0)
}

fn failure(error: &async_nats::jetstream::context::PublishError) -> PublishFailure {
    match error.kind() {
        PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe => PublishFailure::TimedOut,
        // Without a responder the stream is missing or between two leaders.
        PublishErrorKind::StreamNotFound => PublishFailure::NoStream,
        PublishErrorKind::MaxPayloadExceeded => PublishFailure::TooLarge,
        _ => match jetstream_error(error) {
            Some(cause) if NO_ROOM.contains(&cause.error_code().0) => {
                PublishFailure::Full(cause.to_string())
            }
            Some(cause) if cause.error_code().0 == OVER_STREAM_LIMIT => PublishFailure::TooLarge,
            Some(cause) => PublishFailure::Refused(cause.to_string()),
            None => PublishFailure::Refused(error.to_string()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_broker_that_is_away_is_waited_for() {
        let said = || "said so".to_owned();
        let waits =
            [PublishFailure::NotConnected, PublishFailure::TimedOut, PublishFailure::NoStream];
        assert!(waits.iter().all(PublishFailure::is_away));
        let goes_on = [
            PublishFailure::Full(said()),
            PublishFailure::TooLarge,
            PublishFailure::Refused(said()),
        ];
        assert!(!goes_on.iter().any(PublishFailure::is_away));
    }

    fn message(id: &str, bytes: usize) -> Outgoing {
        Outgoing {
            subject: "a".into(),
            id: id.into(),
            headers: HeaderMap::new(),
            payload: vec![0; bytes].into(),
        }
    }

    #[test]
    fn batches_keep_order_and_limits() {
        let many: Vec<_> = (0..1_201).map(|n| message(&n.to_string(), 1)).collect();
        let cut = batches(many);
        assert_eq!(cut.iter().map(Vec::len).collect::<Vec<_>>(), [500, 500, 201]);
        assert_eq!(cut[1][0].id, "500");
        let large = batches(vec![message("a", 9 << 20), message("b", 9 << 20), message("c", 1)]);
        assert_eq!(large.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2]);
        let twice = batches(vec![message("a", 1), message("a", 1), message("b", 1)]);
        assert_eq!(twice.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2]);
        assert!(batches(Vec::new()).is_empty());
    }
}
