//! `api.requests`: what callers asked for with an `Idempotency-Key`, and the statements over it.

use std::time::Duration;

use schemas::digest::Digest;
use schemas::facts::OutcomeError;
use schemas::{AccountId, Channel, ContactId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::types::Json;
use sqlx::{FromRow, PgPool};

use crate::problem::Problem;

/// A request with an `Idempotency-Key`.
pub(crate) struct Request<'a> {
    /// Derived from the key.
    pub id: &'a str,
    /// `reply`, `command` or `act`.
    pub kind: &'static str,
    /// The name of the caller's token.
    pub token: &'a str,
    pub channel: Channel,
    pub account: &'a AccountId,
    pub conversation: Option<&'a str>,
    /// [`digest`] of what is asked for.
    pub digest: [u8; 32],
}

/// What is known of a key whose request publishes an `M`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Known<M> {
    /// Nothing: a new request, which is to be published.
    New,
    /// Stored, but perhaps not published; what to publish.
    Unpublished(M),
    Published,
}

/// sha256 over what is asked for: the parts that make another request of it.
pub(crate) fn digest(parts: &[&str]) -> [u8; 32] {
    Digest::of_texts(parts.iter().copied())
}

#[derive(FromRow)]
struct KnownRow {
    body_digest: Vec<u8>,
    message: Option<Value>,
    published: bool,
}

/// What is known of a key.
///
/// # Errors
/// 409 `key_reused` when it was used with something else; 503 when Postgres is away.
pub(crate) async fn known<M: DeserializeOwned>(
    pool: &PgPool,
    id: &str,
    digest: &[u8; 32],
) -> Result<Known<M>, Problem> {
    let row: Option<KnownRow> = sqlx::query_as(
        "select body_digest, message, published_at is not null as published from api.requests where id = $1",
    )
    .bind(id)
    .fetch_optional(pool)
    .await?;
    match row {
        None => Ok(Known::New),
        Some(row) if row.body_digest != digest => Err(Problem::key_reused()),
        Some(KnownRow { message: Some(message), published: false, .. }) => {
            let message = serde_json::from_value(message).map_err(|error| {
                tracing::error!(%error, "A stored request cannot be read");
                Problem::internal()
            })?;
            Ok(Known::Unpublished(message))
        }
        Some(_) => Ok(Known::Published),
    }
}

/// Stores a new request with what it publishes. [`Known::New`]: it is stored; anything else: another call with the same key was faster.
///
/// # Errors
/// As [`known`].
pub(crate) async fn store<M: Serialize + DeserializeOwned>(
    pool: &PgPool,
    request: &Request<'_>,
    message: &M,
) -> Result<Known<M>, Problem> {
    runtime::failpoint!("api.before_store");
    let stored = sqlx::query(
        "insert into api.requests (id, kind, token, channel, account_id, conversation_id, body_digest, message)
         values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (id) do nothing",
    )
    .bind(request.id)
    .bind(request.kind)
    .bind(request.token)
    .bind(request.channel)
    .bind(request.account)
    .bind(request.conversation)
    .bind(request.digest.as_slice())
    .bind(Json(message))
    .execute(pool)
    .await?
    .rows_affected();
    if stored == 1 {
        return Ok(Known::New);
    }
    known(pool, request.id, &request.digest).await
}

/// Records that the broker has the message; its content is not needed here any more.
///
/// # Errors
/// 503 when Postgres is away: the caller's next try publishes again, which changes nothing.
pub(crate) async fn mark_published(pool: &PgPool, id: &str) -> Result<(), Problem> {
    sqlx::query(
        "update api.requests set published_at = now(), message = null where id = $1 and published_at is null",
    )
    .bind(id)
    .execute(pool)
    .await?;
    runtime::failpoint!("api.after_mark");
    Ok(())
}

/// A reply that was asked for here.
#[derive(FromRow)]
pub(crate) struct AskedReply {
    pub channel: Channel,
    pub account_id: AccountId,
    pub conversation_id: Option<String>,
    pub contact_id: Option<ContactId>,
    /// It was never published, and is too old to be published by itself.
    pub given_up: bool,
    /// The person was erased.
    pub erased: bool,
}

/// What was stored and perhaps not published is published by the api itself within this time; later only by the caller, who may have
/// changed their mind meanwhile.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(3600);

/// Why a reply failed that was never published.
pub(crate) fn not_published() -> OutcomeError {
    let message = "the request was stored and never reached the broker; the same request with the same Idempotency-Key publishes it";
    OutcomeError::own("not_published", "unavailable", message.to_owned())
}

/// Why a reply failed to somebody who was erased before a worker accepted it.
pub(crate) fn erased() -> OutcomeError {
    let message = "the person was erased: nothing is sent to them";
    OutcomeError::own("erased", "permanent", message.to_owned())
}

/// A request that is stored and perhaps not published.
#[derive(FromRow)]
pub(crate) struct Unpublished {
    pub id: String,
    /// As [`Request::kind`].
    pub kind: String,
    pub message: Value,
}

/// The oldest requests that are perhaps not published, at least `age` old: a younger one is in the hands of whoever
/// stored it.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn unpublished(pool: &PgPool, age: Duration) -> sqlx::Result<Vec<Unpublished>> {
    sqlx::query_as(
        "select id, kind, message from api.requests
          where published_at is null and message is not null
            and created_at between now() - make_interval(secs => $1) and now() - make_interval(secs => $2)
          order by created_at limit 500",
    )
    .bind(PUBLISHED_WITHIN.as_secs_f64())
    .bind(age.as_secs_f64())
    .fetch_all(pool)
    .await
}

/// The reply with this id, if it was asked for here.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn asked_reply(pool: &PgPool, id: &str) -> sqlx::Result<Option<AskedReply>> {
    sqlx::query_as(
        "select r.channel, r.account_id, r.conversation_id, c.id as contact_id,
                r.published_at is null and r.created_at < now() - make_interval(secs => $2) as given_up, r.erased
         from api.requests r left join inbox.contacts c on c.conversation_id = r.conversation_id
         where r.id = $1 and r.kind = 'reply'",
    )
    .bind(id)
    .bind(PUBLISHED_WITHIN.as_secs_f64())
    .fetch_optional(pool)
    .await
}

/// Whether a reply was asked for here and may still be published.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn is_unpublished(pool: &PgPool, id: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select from api.requests
                         where id = $1 and kind = 'reply' and published_at is null and message is not null
                           and created_at > now() - make_interval(secs => $2))",
    )
    .bind(id)
    .bind(PUBLISHED_WITHIN.as_secs_f64())
    .fetch_one(pool)
    .await
}

/// A command that was asked for here.
#[derive(FromRow)]
pub(crate) struct AskedCommand {
    pub channel: Channel,
    pub account_id: AccountId,
}

/// The command with this id, if it was asked for here with a key.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn asked_command(pool: &PgPool, id: &str) -> sqlx::Result<Option<AskedCommand>> {
    sqlx::query_as(
        "select channel, account_id from api.requests where id = $1 and kind = 'command'",
    )
    .bind(id)
    .fetch_optional(pool)
    .await
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
