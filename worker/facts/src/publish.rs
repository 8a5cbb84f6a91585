//! Publishing a plan to INBOX_EVENTS, and finding out what a `duplicate` answer stands for.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{RawMessageError, RawMessageErrorKind, Stream};
use runtime::failpoint;
use runtime::publish::{Outgoing, PublishFailure};
use schemas::{Event, raw, subjects};

use super::decide::Planned;
use super::digest::digest;
use super::draft::Draft;
use super::{FactError, FactStore, Placed, Plan, Published};

/// How long one batch may take before the whole call is repeated with the same ids.
const WAIT: Duration = Duration::from_secs(10);

/// Why events may not be in the stream. All of them pass: repeat with the same drafts.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The broker did not store them, or did not say so.
    #[error("the broker does not take events")]
    Broker(#[from] PublishFailure),
    /// An event has no JSON form.
    #[error("an event cannot be written as JSON")]
    Encode(#[from] serde_json::Error),
    /// An event that was stored earlier could not be read back.
    #[error("reading back position {sequence} of INBOX_EVENTS: {reason}")]
    ReadBack {
        /// The position.
        sequence: u64,
        /// What the broker said.
        reason: String,
    },
}

/// How publishing a plan ended.
pub(super) enum Attempt {
    /// All are in the stream.
    Done(Published),
    /// Under some ids the stream holds other readings which nobody has recorded: plan again, knowing these.
    Found(Vec<Placed>),
}

impl FactStore {
    pub(super) async fn publish_plan(&self, plan: Plan) -> Result<Attempt, PublishError> {
        let Plan { decision, mut adopted } = plan;
        let outgoing = decision
            .publish
            .iter()
            .map(|planned| {
                let mut message = outgoing(&planned.draft.event)?;
                if let Some(job) = self.replay() {
                    message.headers.insert(raw::header::REPLAY, job);
                }
                Ok(message)
            })
            .collect::<Result<Vec<_>, serde_json::Error>>()?;
        failpoint!("facts.before_publish");
        let stored = self.broker.publish_all(outgoing, WAIT).await?;
        failpoint!("facts.after_publish");
        let mut placed = Vec::with_capacity(stored.len());
        let mut found = Vec::new();
        for (planned, stored) in decision.publish.into_iter().zip(stored) {
            // Published before: by us, before a crash, or by somebody else who read the fact at the same moment. A time of delivery
            // is not in the digest, but decides which of two is kept.
            if stored.duplicate
                && let Some(event) = self.read_back(stored.sequence).await?
                && event.id == planned.draft.event.id
                && (digest(&event) != planned.digest || event.time != planned.draft.event.time)
            {
                let planned = Planned { digest: digest(&event), draft: Draft::of(event) };
                found.push(Placed { planned, event_seq: stored.sequence });
                continue;
            }
            placed.push(Placed { planned, event_seq: stored.sequence });
        }
        if found.is_empty() {
            let (known, refused) = (decision.known, decision.refused);
            return Ok(Attempt::Done(Published { placed, known, refused, adopted }));
        }
        adopted.append(&mut found);
        Ok(Attempt::Found(adopted))
    }

    /// Whether the newest event of a subject is published and not recorded yet: whoever published it has not come to its commit, or has
    /// died before it. `false` where there is none.
    ///
    /// # Errors
    /// When broker or database do not answer.
    pub async fn newest_unrecorded(&self, subject: &str) -> Result<bool, FactError> {
        let stream = self.events(0).await?;
        let newest = event_of(stream.get_last_raw_message_by_subject(subject).await, 0)?;
        let Some(event) = newest else { return Ok(false) };
        let recorded: bool =
            sqlx::query_scalar("select exists (select from worker.facts where event_id = $1)")
                .bind(event.id.as_str())
                .fetch_one(&self.pool)
                .await?;
        Ok(!recorded)
    }

    /// The event at a position; `None` when it was erased meanwhile or is no event.
    async fn read_back(&self, sequence: u64) -> Result<Option<Event>, PublishError> {
        event_of(self.events(sequence).await?.get_raw_message(sequence).await, sequence)
    }

    /// The stream of events; `sequence` is what is to be read, for the error.
    async fn events(&self, sequence: u64) -> Result<Stream<()>, PublishError> {
        let stream = self.broker.js().get_stream_no_info(subjects::INBOX_EVENTS).await;
        stream.map_err(|error| PublishError::ReadBack { sequence, reason: error.to_string() })
    }
}

/// The event of a stored message; `None` where there is none, or it is no event.
fn event_of(
    message: Result<StreamMessage, RawMessageError>,
    sequence: u64,
) -> Result<Option<Event>, PublishError> {
    match message {
        Ok(message) => Ok(serde_json::from_slice(&message.payload).ok()),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(PublishError::ReadBack { sequence, reason: error.to_string() }),
    }
}

/// An event as the broker gets it.
///
/// # Errors
/// When it has no JSON form, which does not happen for events built here.
pub fn outgoing(event: &Event) -> Result<Outgoing, serde_json::Error> {
    let mut headers = HeaderMap::new();
    if let Some(traceparent) = &event.traceparent {
        headers.insert(raw::header::TRACEPARENT, traceparent.as_str());
    }
    Ok(Outgoing {
        subject: event.nats_subject(),
        id: event.nats_message_id(),
        headers,
        payload: serde_json::to_vec(event)?.into(),
    })
}
