//! Publishing so that success means durable: single messages, pipelined where nothing speaks against it, and atomic batches. Ids are derived.

mod answer;
mod batch;
mod message;
mod order;

use std::time::Duration;

use async_nats::jetstream::context::PublishError;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::publish::PublishAck;
use tokio::time::Instant;

pub use self::message::{BATCH_BYTES_MAX, BATCH_FROM, BATCH_MAX, Outgoing, Stored};
pub use crate::broker::PublishFailure;

use self::batch::BatchEnd;
use crate::BoxFuture;
use crate::broker::Broker;

/// What became of one message.
type End = Result<Stored, PublishFailure>;

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
            self.refuse_foreign(&message.subject)?;
            let begun = Instant::now();
            let Some((subject, message)) = single(message) else {
                return Err(PublishFailure::Refused(BAD_ID.to_owned()));
            };
            let send = async { self.js().send_publish(subject, message).await?.await };
            self.ended(tokio::time::timeout(wait, send).await.ok(), begun)
        })
    }

    /// Publishes messages so that those of one lane (a subject without its last token, so one conversation) are stored in their order,
    /// also where this fails in part and is repeated. Few go out in runs, each pipelined and with a lane only once; many as one atomic
    /// batch, and in runs where the broker knows one of the ids already. Answers in the order of the messages.
    ///
    /// # Errors
    /// [`PublishFailure`]; some or all may be stored nevertheless, so repeat all of them with the same ids.
    pub fn publish_all(
        &self,
        messages: Vec<Outgoing>,
        wait: Duration,
    ) -> BoxFuture<'_, Result<Vec<Stored>, PublishFailure>> {
        Box::pin(async move {
            if order::runs_are_quicker(&messages, self.syncs_each()) {
                return self.publish_runs(messages, wait).await;
            }
            let mut stored = Vec::with_capacity(messages.len());
            for batch in order::batches(messages) {
                let first = match batch.len() {
                    1 => Err(BatchEnd::Singles),
                    _ => self.publish_batch(&batch, wait).await,
                };
                match first {
                    Ok(first) => stored.extend(positions(first, batch.len())),
                    Err(BatchEnd::Singles) => stored.extend(self.publish_runs(batch, wait).await?),
                    Err(BatchEnd::Failed(failure)) => return Err(failure),
                }
            }
            Ok(stored)
        })
    }

    async fn publish_runs(
        &self,
        messages: Vec<Outgoing>,
        wait: Duration,
    ) -> Result<Vec<Stored>, PublishFailure> {
        let mut stored = Vec::with_capacity(messages.len());
        for run in order::runs(messages) {
            for end in self.publish_pipelined(run, wait).await {
                stored.push(end?);
            }
        }
        Ok(stored)
    }

    /// Publishes messages that do not depend on each other and returns how each ended: few, and all of them where the broker does not
    /// sync for each, pipelined; many as atomic batches ([`Broker::publish_together`]).
    pub fn publish_each(
        &self,
        messages: Vec<Outgoing>,
        wait: Duration,
    ) -> BoxFuture<'_, Vec<Result<Stored, PublishFailure>>> {
        Box::pin(async move {
            let mut ends = Vec::with_capacity(messages.len());
            for batch in order::batches(messages) {
                if batch.len() < BATCH_FROM || !self.syncs_each() {
                    ends.extend(self.publish_pipelined(batch, wait).await);
                } else {
                    ends.extend(self.publish_together(batch, wait).await);
                }
            }
            ends
        })
    }

    /// Publishes messages that do not depend on each other as one atomic batch and returns how each ended. Where the batch is refused, they
    /// are sent on their own, so that one of them cannot hold up or spoil the others. The caller keeps to [`BATCH_MAX`] and
    /// [`BATCH_BYTES_MAX`].
    pub async fn publish_together<M: Clone + Into<Outgoing>>(
        &self,
        batch: Vec<M>,
        wait: Duration,
    ) -> Vec<Result<Stored, PublishFailure>> {
        match self.publish_batch(&batch, wait).await {
            Ok(first) => positions(first, batch.len()).map(Ok).collect(),
            // Nobody knows what became of it, or nothing can be stored now.
            Err(BatchEnd::Failed(
                failure @ (PublishFailure::TimedOut
                | PublishFailure::NotConnected
                | PublishFailure::NoStream
                | PublishFailure::OtherEra(_)
                | PublishFailure::Full(_)),
            )) => vec![Err(failure); batch.len()],
            Err(BatchEnd::Singles | BatchEnd::Failed(_)) => {
                self.publish_pipelined(batch, wait).await
            }
        }
    }

    /// Sends messages in their order without waiting in between, and then waits for all acks. Each has an end of its own.
    async fn publish_pipelined<M: Into<Outgoing>>(
        &self,
        messages: Vec<M>,
        wait: Duration,
    ) -> Vec<End> {
        let begun = Instant::now();
        let deadline = begun + wait;
        let mut acks = Vec::with_capacity(messages.len());
        for message in messages {
            if !self.is_connected() {
                acks.push(Err(PublishFailure::NotConnected));
                continue;
            }
            let message: Outgoing = message.into();
            if let Err(failure) = self.refuse_foreign(&message.subject) {
                acks.push(Err(failure));
                continue;
            }
            let Some((subject, message)) = single(message) else {
                acks.push(Err(PublishFailure::Refused(BAD_ID.to_owned())));
                continue;
            };
            let send = self.js().send_publish(subject, message);
            acks.push(match tokio::time::timeout_at(deadline, send).await {
                Ok(Ok(ack)) => Ok(ack),
                Ok(Err(error)) => Err(self.failure(&error, begun.into_std())),
                Err(_) => Err(self.silent(begun.into_std())),
            });
        }
        let mut ends = Vec::with_capacity(acks.len());
        // One after the other: the broker answers in the order in which it was asked.
        for ack in acks {
            ends.push(match ack {
                Ok(ack) => {
                    let end = tokio::time::timeout_at(deadline, ack.into_future()).await;
                    self.ended(end.ok(), begun)
                }
                Err(failure) => Err(failure),
            });
        }
        ends
    }

    /// How a publish ended; `None`: not in time.
    fn ended(&self, end: Option<Result<PublishAck, PublishError>>, begun: Instant) -> End {
        let begun = begun.into_std();
        match end {
            None => Err(self.silent(begun)),
            Some(Ok(ack)) => {
                self.note_room(Ok(()), begun);
                Ok(Stored { sequence: ack.sequence, duplicate: ack.duplicate })
            }
            Some(Err(error)) => Err(self.failure(&error, begun)),
        }
    }
}

/// Why a message is refused whose id comes from what a stranger wrote.
const BAD_ID: &str = "its id cannot be a header";

/// A message on its own as the client takes it, and its subject; `None`: its id cannot be a header.
fn single(message: Outgoing) -> Option<(String, PublishMessage)> {
    let id = message.header_id()?;
    let Outgoing { subject, mut headers, payload, .. } = message;
    headers.insert(async_nats::header::NATS_MESSAGE_ID, id);
    Some((subject, PublishMessage::build().payload(payload).headers(headers)))
}

/// The positions of a batch that was stored.
fn positions(first: u64, count: usize) -> impl Iterator<Item = Stored> {
    (first..).take(count).map(|sequence| Stored { sequence, duplicate: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_broker_that_is_away_is_waited_for() {
        let said = || "said so".to_owned();
        let waits = [
            PublishFailure::NotConnected,
            PublishFailure::TimedOut,
            PublishFailure::NoStream,
            PublishFailure::OtherEra("META_RAW"),
        ];
        assert!(waits.iter().all(PublishFailure::is_away));
        let goes_on = [
            PublishFailure::Full(said()),
            PublishFailure::TooLarge,
            PublishFailure::Refused(said()),
        ];
        assert!(!goes_on.iter().any(PublishFailure::is_away));
    }
}
