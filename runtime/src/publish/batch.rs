//! One atomic batch: all of it is stored or nothing, with one sync for all.

use std::time::{Duration, Instant};

use async_nats::PublishErrorKind as ClientErrorKind;
use async_nats::header::{
    HeaderValue, NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL, NATS_BATCH_ID, NATS_BATCH_SEQUENCE,
    NATS_MESSAGE_ID,
};
use async_nats::jetstream::message::PublishMessage;

use super::answer::{self, code};
use super::message::Outgoing;
use crate::broker::{Broker, PublishFailure};

const BATCH_KNOWN_ID: u64 = 10201;
const BATCH_INCOMPLETE: u64 = 10176;
const BATCH_TOO_MANY: u64 = 10210;
const BATCH_DISABLED: u64 = 10174;

/// How a batch ended that was not stored.
pub(super) enum BatchEnd {
    /// Publish each message on its own.
    Singles,
    /// Give up.
    Failed(PublishFailure),
}

impl Broker {
    /// One atomic batch: all or nothing. Answers with the position of the first message.
    pub(super) async fn publish_batch<M: Clone + Into<Outgoing>>(
        &self,
        batch: &[M],
        wait: Duration,
    ) -> Result<u64, BatchEnd> {
        if !self.is_connected() {
            return Err(BatchEnd::Failed(PublishFailure::NotConnected));
        }
        let begun = Instant::now();
        match tokio::time::timeout(wait, self.send_batch(batch)).await {
            Err(_) => Err(BatchEnd::Failed(self.silent(begun))),
            Ok(Err(end)) => Err(end),
            Ok(Ok(last)) => Ok((last + 1).saturating_sub(batch.len() as u64)),
        }
    }

    /// Answers with the position of the last message.
    async fn send_batch<M: Clone + Into<Outgoing>>(&self, batch: &[M]) -> Result<u64, BatchEnd> {
        let Some((last, others)) = batch.split_last() else { return Ok(0) };
        let begun = Instant::now();
        let batch_id = uuid::Uuid::new_v4().simple().to_string();
        let numbered = |message: &M, number: usize| {
            let mut message: Outgoing = message.clone().into();
            // The client would panic over it; on its own it is refused.
            let id = message.header_id().ok_or(BatchEnd::Singles)?;
            message.headers.insert(NATS_MESSAGE_ID, id);
            message.headers.insert(NATS_BATCH_ID, batch_id.as_str());
            message.headers.insert(NATS_BATCH_SEQUENCE, HeaderValue::from(number));
            Ok(message)
        };
        // Before the first is sent.
        let last = numbered(last, batch.len())?;
        self.refuse_foreign(&last.subject).map_err(BatchEnd::Failed)?;
        for (index, message) in others.iter().enumerate() {
            let message = numbered(message, index + 1)?;
            self.client()
                .publish_with_headers(message.subject, message.headers, message.payload)
                .await
                .map_err(|error| {
                    BatchEnd::Failed(match error.kind() {
                        // Said by the client, before anything is sent: no other try helps.
                        ClientErrorKind::MaxPayloadExceeded => PublishFailure::TooLarge,
                        _ => PublishFailure::Refused(error.to_string()),
                    })
                })?;
        }
        let mut message = last;
        message.headers.insert(NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL);
        let publish = PublishMessage::build().payload(message.payload).headers(message.headers);
        let ack = async { self.js().send_publish(message.subject, publish).await?.await };
        match ack.await {
            Ok(ack) if ack.duplicate => Err(BatchEnd::Singles),
            Ok(ack) => {
                self.note_room(Ok(()), begun);
                Ok(ack.sequence)
            }
            Err(error) => Err(match code(&error) {
                Some(
                    BATCH_KNOWN_ID
                    | BATCH_INCOMPLETE
                    | BATCH_TOO_MANY
                    | BATCH_DISABLED
                    | answer::ALREADY_STORED,
                ) => BatchEnd::Singles,
                _ => BatchEnd::Failed(self.failure(&error, begun)),
            }),
        }
    }
}
