//! Publishing a plan to INBOX_EVENTS, and finding out what a `duplicate` answer stands for.

use std::time::Duration;

use async_nats::HeaderMap;
use runtime::broker::Broker;
use runtime::failpoint;
use runtime::follow::Received;
use runtime::follow::stored::{self, LookUpError};
use runtime::publish::Outgoing;
use schemas::{Event, raw, subjects};

use crate::decide::Planned;
use crate::digest::digest;
use crate::draft::Draft;
use crate::error::PublishError;
use crate::published::{Placed, PublishPlan, Published};

/// How long one batch may take before the whole call is repeated with the same ids.
const WAIT: Duration = Duration::from_secs(10);

/// How publishing a plan ended.
pub(super) enum Attempt {
    /// All are in the stream.
    Done(Published),
    /// Under some ids the stream holds other readings that are not recorded: plan again with these.
    Found(Vec<Placed>),
}

/// Publishes a plan; `replay`: the id of the replay job it is published for.
pub(super) async fn publish_plan(
    broker: &Broker,
    replay: Option<&str>,
    plan: PublishPlan,
) -> Result<Attempt, PublishError> {
    let PublishPlan { decision, mut adopted } = plan;
    let outgoing = decision
        .publish
        .iter()
        .map(|planned| {
            let mut message = outgoing(&planned.draft.event)?;
            if let Some(job) = replay {
                message.headers.insert(raw::header::REPLAY, job);
            }
            Ok(message)
        })
        .collect::<Result<Vec<_>, serde_json::Error>>()?;
    failpoint!("facts.before_publish");
    let stored = broker.publish_all(outgoing, WAIT).await?;
    failpoint!("facts.after_publish");
    let mut placed = Vec::with_capacity(stored.len());
    let mut found = Vec::new();
    for (planned, stored) in decision.publish.into_iter().zip(stored) {
        // Published before: by us, before a crash, or by somebody else who read the fact at the same moment.
        if stored.duplicate
            && let Some(event) = read_back(broker, stored.sequence).await?
            && event.id == planned.draft.event.id
            && differs(&event, &planned)
        {
            let planned =
                Planned { digest: digest(&event), draft: Draft::of(event), merged: false };
            found.push(Placed { planned, event_seq: stored.sequence, stored_at: None });
            continue;
        }
        placed.push(Placed { planned, event_seq: stored.sequence, stored_at: None });
    }
    if found.is_empty() {
        let (known, refused, reports) = (decision.known, decision.refused, decision.reports);
        return Ok(Attempt::Done(Published { placed, known, refused, reports, adopted }));
    }
    adopted.append(&mut found);
    Ok(Attempt::Found(adopted))
}

/// Whether a stored reading is another one than was planned. A time of delivery and the source are not in the digest, but decide which of
/// two readings is kept.
fn differs(stored: &Event, planned: &Planned) -> bool {
    let event = &planned.draft.event;
    digest(stored) != planned.digest
        || stored.time != event.time
        || stored.data.origin.via.rank() != event.data.origin.via.rank()
}

/// The newest event of a subject.
pub(super) async fn newest(broker: &Broker, subject: &str) -> Result<Option<Event>, PublishError> {
    event_of(stored::last(broker.js(), subjects::INBOX_EVENTS, subject).await, 0)
}

/// The event at a position; `None` when it was erased meanwhile or is no event.
pub(super) async fn read_back(
    broker: &Broker,
    sequence: u64,
) -> Result<Option<Event>, PublishError> {
    event_of(stored::at(broker.js(), subjects::INBOX_EVENTS, sequence).await, sequence)
}

/// The event of a stored message; `None` where there is none, or it is no event.
fn event_of(
    message: Result<Option<Received>, LookUpError>,
    sequence: u64,
) -> Result<Option<Event>, PublishError> {
    match message {
        Ok(message) => {
            Ok(message.and_then(|message| serde_json::from_slice(&message.payload).ok()))
        }
        Err(error) => Err(PublishError::ReadBack { sequence, reason: error.to_string() }),
    }
}

/// An event as the broker gets it.
///
/// # Errors
/// When it has no JSON form, which does not happen for events built here.
pub fn outgoing(event: &Event) -> Result<Outgoing, serde_json::Error> {
    let mut headers = HeaderMap::new();
    headers.insert(raw::header::CONTENT_TYPE, schemas::event::CONTENT_TYPE);
    if let Some(trace) = event.traceparent.as_deref().and_then(schemas::trace::traceparent) {
        headers.insert(raw::header::TRACEPARENT, trace);
    }
    Ok(Outgoing {
        subject: event.nats_subject(),
        id: event.nats_message_id(),
        headers,
        payload: serde_json::to_vec(event)?.into(),
    })
}
