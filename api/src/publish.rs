//! Publishing commands and acts so that a repeated `Idempotency-Key` is one request, whatever crashes in between.
//!
//! With a key: row stored, message published under a derived id, row marked. A crash in between leaves a row without mark, and the
//! caller's next try publishes the stored message again under the same id, which the broker or the worker recognises.

use std::time::Duration;

use runtime::publish::{Outgoing, Stored};
use runtime::vouch;
use schemas::command::Requester;
use schemas::digest::Digest;
use schemas::{AccountId, Channel, Command, Event};
use serde::Serialize;

use crate::App;
use crate::auth::Caller;
use crate::problem::Problem;

/// How long the broker may take.
const ACK_WAIT: Duration = Duration::from_secs(5);

/// What is published.
pub enum Message<'a> {
    /// To INBOX_COMMANDS.
    Command(&'a Command),
    /// To INBOX_EVENTS.
    Act(&'a Event),
}

/// A request with an `Idempotency-Key`.
pub struct Request<'a> {
    /// The derived id.
    pub id: &'a str,
    /// `reply`, `command` or `act`.
    pub kind: &'static str,
    /// Who asks.
    pub caller: &'a Caller,
    /// On which channel.
    pub channel: Channel,
    /// For which account.
    pub account: &'a AccountId,
    /// In which conversation.
    pub conversation: Option<&'a str>,
    /// [`digest`] of what is asked for.
    pub digest: [u8; 32],
}

/// What is known of a key.
#[derive(Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing: a new request, which is to be published.
    New,
    /// Stored, but perhaps not published; what to publish.
    Unpublished(serde_json::Value),
    /// Published.
    Published,
}

/// sha256 over what is asked for: the parts that make another request of it.
pub fn digest(parts: &[&str]) -> [u8; 32] {
    Digest::of_texts(parts.iter().copied())
}

impl App {
    /// What is known of a key.
    ///
    /// # Errors
    /// 409 `key_reused` when it was used with something else; 503 when Postgres is away.
    pub async fn known(&self, id: &str, digest: &[u8; 32]) -> Result<Known, Problem> {
        let row: Option<(Vec<u8>, Option<serde_json::Value>, bool)> = sqlx::query_as(
            "select body_digest, message, published_at is not null from api.requests where id = $1",
        )
        .bind(id)
        .fetch_optional(&self.pool)
        .await?;
        match row {
            None => Ok(Known::New),
            Some((stored, _, _)) if stored != digest => Err(Problem::key_reused()),
            Some((_, Some(message), false)) => Ok(Known::Unpublished(message)),
            Some(_) => Ok(Known::Published),
        }
    }

    /// Stores a new request with what it publishes. [`Known::New`]: it is stored; anything else: another call with the same key was faster.
    ///
    /// # Errors
    /// As [`App::known`].
    pub async fn store(
        &self,
        request: &Request<'_>,
        message: &impl Serialize,
    ) -> Result<Known, Problem> {
        runtime::failpoint!("api.before_store");
        let stored = sqlx::query(
            "insert into api.requests (id, kind, token, channel, account_id, conversation_id, body_digest, message) \
             values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (id) do nothing",
        )
        .bind(request.id)
        .bind(request.kind)
        .bind(&request.caller.name)
        .bind(request.channel.as_str())
        .bind(request.account.as_str())
        .bind(request.conversation)
        .bind(request.digest.as_slice())
        .bind(sqlx::types::Json(message))
        .execute(&self.pool)
        .await?
        .rows_affected();
        if stored == 1 {
            return Ok(Known::New);
        }
        self.known(request.id, &request.digest).await
    }

    /// Notes that the broker has the message; its content is not needed here any more.
    ///
    /// # Errors
    /// 503 when Postgres is away: the caller's next try publishes again, which changes nothing.
    pub async fn published(&self, id: &str) -> Result<(), Problem> {
        sqlx::query("update api.requests set published_at = now(), message = null where id = $1 and published_at is null")
            .bind(id)
            .execute(&self.pool)
            .await?;
        runtime::failpoint!("api.after_mark");
        Ok(())
    }

    /// Publishes and waits for the durable ack.
    ///
    /// # Errors
    /// 503 when the broker is away or not durable, 413 when it is larger than the broker takes.
    pub async fn publish(&self, message: Message<'_>) -> Result<Stored, Problem> {
        self.broker.accepts().map_err(|reason| {
            Problem::unavailable(format!(
                "{reason}: repeat the request with the same Idempotency-Key"
            ))
        })?;
        let mut headers = async_nats::HeaderMap::new();
        runtime::telemetry::inject(&mut headers);
        let (subject, id, payload) = match &message {
            Message::Command(command) => {
                (command.nats_subject(), command.identity(), serde_json::to_vec(command))
            }
            Message::Act(event) => {
                (event.nats_subject(), event.nats_message_id(), serde_json::to_vec(event))
            }
        };
        let payload = payload.map_err(|error| {
            tracing::error!(%error, "A message could not be written");
            Problem::internal()
        })?;
        if matches!(message, Message::Command(command) if command.requested_by.kind == Requester::Person)
        {
            headers.insert(vouch::HEADER, self.vouch.of(&payload));
        }
        runtime::failpoint!("api.before_publish");
        let stored = self
            .broker
            .publish(Outgoing { subject, id, headers, payload: payload.into() }, ACK_WAIT)
            .await?;
        runtime::failpoint!("api.after_publish");
        Ok(stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_separate_their_parts() {
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_eq!(digest(&["ab", "c"]), digest(&["ab", "c"]));
    }
}
