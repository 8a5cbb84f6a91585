//! Where a replay may publish: events as events, or one subject outside of the system. There is no way from here to a command.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context;
use async_nats::HeaderMap;
use futures::{StreamExt, TryStreamExt};
use runtime::broker::Broker;
use runtime::follow::{Received, stored};
use runtime::publish::{Outgoing, PublishFailure};
use schemas::{Event, EventId, raw, subjects};

use facts::{Draft, Place, outgoing};

const ACK_WAIT: Duration = Duration::from_secs(10);
/// Stored events read at once.
const READS_AT_ONCE: usize = 16;
/// The subjects of INBOX_EVENTS begin so.
const EVENTS: &str = "inbox.v1.event.";

/// Where the events of a slice go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To INBOX_EVENTS: what differs is recorded as facts.
    Events,
    /// To a subject outside of hookline; nothing is recorded.
    Subject(String),
}

/// Why a subject cannot be a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    /// It is no subject to publish on.
    #[error("no subject to publish on: use words with dots between them, without * and >")]
    NotASubject,
    /// It belongs to hookline or to the broker.
    #[error(
        "belongs to hookline or the broker itself: use a subject of your own, such as replay.shop"
    )]
    Ours,
}

impl Target {
    /// Reads `events` or a subject.
    ///
    /// # Errors
    /// [`BadTarget`].
    pub fn parse(text: &str) -> Result<Self, BadTarget> {
        if text == "events" {
            return Ok(Self::Events);
        }
        let word = |word: &str| {
            !word.is_empty()
                && word.chars().all(|c| !c.is_whitespace() && !c.is_control() && !"*>".contains(c))
        };
        if !text.split('.').all(word) || text.len() > 256 {
            return Err(BadTarget::NotASubject);
        }
        let first = text.split('.').next().unwrap_or_default();
        let ours = ["meta", "inbox"].contains(&first.to_ascii_lowercase().as_str());
        if ours || first.starts_with(['$', '_']) {
            return Err(BadTarget::Ours);
        }
        Ok(Self::Subject(text.to_owned()))
    }
}

/// Publishes events again, as they are stored.
pub(super) struct Outlet {
    broker: Broker,
    target: Target,
    job: String,
    /// Whether a stream takes the subject of a target; `None` until tried.
    acked: Option<bool>,
}

impl Outlet {
    pub(super) fn new(broker: &Broker, target: Target, job: &str) -> Self {
        Self { broker: broker.clone(), target, job: job.to_owned(), acked: None }
    }

    /// Publishes the newest stored reading of each draft's event, or the draft where the stream has it no more. `stored`: by event id.
    pub(super) async fn again(
        &mut self,
        drafts: &[Draft],
        stored: &HashMap<EventId, Place>,
    ) -> anyhow::Result<u64> {
        let mut messages: Vec<Outgoing> = futures::stream::iter(drafts.iter().map(|draft| {
            let place = stored.get(&draft.event.id).copied();
            read(&self.broker, &draft.event, place)
        }))
        .buffered(READS_AT_ONCE)
        .try_collect()
        .await?;
        for message in &mut messages {
            message.headers.insert(raw::header::REPLAY, self.job.as_str());
            message.id =
                format!("{}.{}", message.id.split('.').next().unwrap_or_default(), self.job);
            if let Target::Subject(subject) = &self.target {
                message.subject = subject.clone();
            }
            anyhow::ensure!(
                self.permits(&message.subject),
                "a replay never publishes on {}",
                message.subject
            );
        }
        let count = messages.len() as u64;
        self.publish(messages).await?;
        Ok(count)
    }

    fn permits(&self, subject: &str) -> bool {
        match &self.target {
            Target::Events => subject.starts_with(EVENTS),
            Target::Subject(target) => subject == target,
        }
    }

    async fn publish(&mut self, mut messages: Vec<Outgoing>) -> anyhow::Result<()> {
        if matches!(self.target, Target::Subject(_)) && self.acked.is_none() && !messages.is_empty()
        {
            // No stream has to take it; where one does, its ack is worth waiting for.
            let first = messages.remove(0);
            match self.broker.publish(first.clone(), Duration::from_secs(2)).await {
                Ok(_) => self.acked = Some(true),
                Err(PublishFailure::NoStream | PublishFailure::TimedOut) => {
                    self.acked = Some(false);
                    messages.insert(0, first);
                }
                Err(error) => return Err(error.into()),
            }
        }
        if matches!(self.target, Target::Events) || self.acked == Some(true) {
            self.broker.publish_all(messages, ACK_WAIT).await?;
            return Ok(());
        }
        for message in messages {
            let mut headers = message.headers;
            headers.insert(async_nats::header::NATS_MESSAGE_ID, message.id.as_str());
            self.broker
                .client()
                .publish_with_headers(message.subject, headers, message.payload)
                .await?;
        }
        self.broker.client().flush().await.context("the broker does not take events")?;
        Ok(())
    }
}

/// Whether a stored message is a reading of this event.
fn is_of(stored: &[u8], event: &Event) -> bool {
    serde_json::from_slice::<Event>(stored).is_ok_and(|stored| stored.id == event.id)
}

/// An event as INBOX_EVENTS has it, else as it is read today.
async fn read(broker: &Broker, event: &Event, place: Option<Place>) -> anyhow::Result<Outgoing> {
    let message = match place {
        Some(Place { event_seq, .. }) => {
            stored::at(broker.js(), subjects::INBOX_EVENTS, event_seq).await?
        }
        None => None,
    };
    // One of no client of ours, or another one under the number, is not passed on as it is.
    let is_it = |message: &Received| message.flaw.is_none() && is_of(&message.payload, event);
    if let Some(message) = message.filter(is_it) {
        let mut headers = HeaderMap::new();
        headers.insert(raw::header::CONTENT_TYPE, schemas::event::CONTENT_TYPE);
        if let Some(trace) = message.traceparent() {
            headers.insert(raw::header::TRACEPARENT, trace);
        }
        let Received { subject, payload, .. } = message;
        return Ok(Outgoing { subject, id: event.id.to_string(), headers, payload });
    }
    let mut event = event.clone();
    event.data.origin.revision = place.map_or(0, |place| place.revision);
    Ok(outgoing(&event)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_subjects_of_somebody_else_are_targets() {
        assert_eq!(Target::parse("events"), Ok(Target::Events));
        assert_eq!(Target::parse("replay.shop"), Ok(Target::Subject("replay.shop".to_owned())));
        for ours in [
            "inbox.v1.command.00.instagram.1.reply",
            "inbox.v1.event.00.instagram.1.message-received",
            "inbox.v1.dead.x",
            "meta.v1.raw.any.00",
            "INBOX.x",
            "$JS.API.INFO",
            "_INBOX.x",
        ] {
            assert_eq!(Target::parse(ours), Err(BadTarget::Ours), "{ours}");
        }
        for wrong in ["", "a..b", "a.*", "a.>", "a b", ".a"] {
            assert_eq!(Target::parse(wrong), Err(BadTarget::NotASubject), "{wrong}");
        }
    }
}
