//! Publishing commands and acts so that a repeated `Idempotency-Key` is one request, whatever crashes in between.
//!
//! With a key: row stored, message published under a derived id, row marked. A crash in between leaves a row without mark, and the
//! caller's next try publishes the stored message again under the same id, which the broker or the worker recognises.

use std::borrow::Cow;
use std::time::Duration;

use runtime::publish::{Outgoing, Stored};
use runtime::vouch;
use schemas::command::Requester;
use schemas::{Command, Event};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::problem::Problem;
use crate::requests::{self, Known, Request};

/// How long the broker may take.
const ACK_WAIT: Duration = Duration::from_secs(5);

/// What the api publishes.
pub(crate) trait Message: Serialize + DeserializeOwned + Send + Sync {
    fn subject(&self) -> String;
    /// `Nats-Msg-Id`: a repeat has the same.
    fn id(&self) -> String;
    /// The media type of its body, where it is not JSON and no more.
    fn content_type(&self) -> Option<&'static str>;
    /// Whether the api vouches that a person asked for it.
    fn is_vouched_for(&self) -> bool;
}

/// To INBOX_COMMANDS.
impl Message for Command {
    fn subject(&self) -> String {
        self.nats_subject()
    }

    fn id(&self) -> String {
        self.identity()
    }

    fn content_type(&self) -> Option<&'static str> {
        None
    }

    fn is_vouched_for(&self) -> bool {
        self.requested_by.kind == Requester::Person
    }
}

/// To INBOX_EVENTS: an act of a person.
impl Message for Event {
    fn subject(&self) -> String {
        self.nats_subject()
    }

    fn id(&self) -> String {
        self.nats_message_id()
    }

    fn content_type(&self) -> Option<&'static str> {
        Some(schemas::event::CONTENT_TYPE)
    }

    fn is_vouched_for(&self) -> bool {
        false
    }
}

/// The text that the id of a request is derived from: the caller's key. Without a key the request cannot be repeated, so any text that is
/// never used again will do.
pub(crate) fn key_or_unique(key: Option<&str>) -> Cow<'_, str> {
    match key {
        Some(key) => Cow::Borrowed(key),
        None => Cow::Owned(format!("\0{}", uuid::Uuid::now_v7())),
    }
}

impl App {
    /// Publishes a message, once for a request with a key. `None`: an earlier try has published it.
    ///
    /// # Errors
    /// 409 `key_reused`; else as [`App::publish`].
    pub(crate) async fn publish_once<M: Message>(
        &self,
        request: Option<&Request<'_>>,
        message: &M,
    ) -> Result<Option<Stored>, Problem> {
        let Some(request) = request else { return self.publish(message).await.map(Some) };
        let stored = match requests::store(&self.pool, request, message).await? {
            Known::New => self.publish_marked(request.id, message).await?,
            // The first try's message, as it was: a repeat must not differ.
            Known::Unpublished(first) => self.publish_marked(request.id, &first).await?,
            Known::Published => return Ok(None),
        };
        Ok(Some(stored))
    }

    /// Publishes the message of a stored request, and marks the request.
    ///
    /// # Errors
    /// As [`App::publish`].
    pub(crate) async fn publish_marked<M: Message>(
        &self,
        request_id: &str,
        message: &M,
    ) -> Result<Stored, Problem> {
        let stored = self.publish(message).await?;
        requests::mark_published(&self.pool, request_id).await?;
        Ok(stored)
    }

    /// Publishes and waits for the durable ack.
    ///
    /// # Errors
    /// 503 when the broker is away or not durable, 413 when it is larger than the broker takes.
    async fn publish<M: Message>(&self, message: &M) -> Result<Stored, Problem> {
        self.broker.accepts().map_err(|reason| {
            Problem::unavailable(format!(
                "{reason}: repeat the request with the same Idempotency-Key"
            ))
        })?;
        let mut headers = async_nats::HeaderMap::new();
        runtime::telemetry::inject(&mut headers);
        let payload = serde_json::to_vec(message).map_err(|error| {
            tracing::error!(%error, "A message could not be written");
            Problem::internal()
        })?;
        if let Some(kind) = message.content_type() {
            headers.insert(schemas::raw::header::CONTENT_TYPE, kind);
        }
        if message.is_vouched_for() {
            headers.insert(vouch::HEADER, self.vouch.of(&payload));
        }
        runtime::failpoint!("api.before_publish");
        let (subject, id) = (message.subject(), message.id());
        let stored = self
            .broker
            .publish(Outgoing { subject, id, headers, payload: payload.into() }, ACK_WAIT)
            .await?;
        runtime::failpoint!("api.after_publish");
        Ok(stored)
    }
}
