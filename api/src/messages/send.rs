//! `POST /v1/conversations/{id}/messages`: answering.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemas::command::{Action, ReplyData, Requester};
use schemas::{Command, CommandId, Timestamp};
use serde::Deserialize;
use tokio::time::Instant;
use utoipa::IntoParams;

use super::new::NewMessage;
use super::{outcome, window};
use crate::app::{App, State};
use crate::auth::Caller;
use crate::contacts::{self, Target};
use crate::etag::{self, IfMatch};
use crate::extract::{Body, Id, IdempotencyKey, Query, wait_of};
use crate::problem::Problem;
use crate::replies::Reply;
use crate::requests::{self, Known, Request, digest};
use crate::status::ReplyStatus;

/// How to wait.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct WaitQuery {
    /// How long to wait for the outcome, such as `5s`; at most `30s`.
    #[param(example = "5s")]
    pub wait: Option<String>,
}

/// Answer
///
/// With `If-Match` the reply is refused with `overtaken` where the conversation has something later than the author saw: an act of the person, or
/// a reply of a person or another app. An automation must send it.
///
/// The same `Idempotency-Key` with the same body is the same reply, however often it is sent: the answer is the state of the first.
///
/// # Errors
/// 403 `window_closed`, `window_will_close` or `human_agent_person_only`, 404, 409 `key_reused`, 422, 503: repeat with the same key.
#[utoipa::path(post, path = "/v1/conversations/{id}/messages", tag = "messages", request_body = NewMessage,
    params(("id" = String, Path, description = "`cnv_…`"), WaitQuery,
        ("Idempotency-Key" = String, Header, description = "1 to 255 visible characters of your own."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the conversation or of its messages, as its author saw them.")),
    responses((status = 200, description = "The outcome is known", body = Reply), (status = 202, description = "On its way", body = Reply),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 413, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn send(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<WaitQuery>,
    IfMatch(based_on): IfMatch,
    key: IdempotencyKey,
    Body(body): Body<NewMessage>,
) -> Result<Response, Problem> {
    let wait = wait_of(query.wait.as_deref())?;
    let key = key.required()?;
    let data = body.into_data(based_on)?;
    let target = contacts::target(&app.pool, &caller, &id).await?;
    let asked = Asked { caller: &caller, conversation_id: &id, target: &target, key: &key };
    let reply_id = asked.publish(&app, data).await?;
    let deadline = Instant::now() + wait;
    let reply = outcome::settled_by(&app, reply_id.as_str(), deadline).await?;
    let sent = reply.as_ref().is_some_and(|reply| reply.status == ReplyStatus::Sent);
    if !wait.is_zero() && sent {
        outcome::listed_by(&app, reply_id.as_str(), deadline).await?;
    }
    let reply = reply.unwrap_or_else(|| {
        let Target { channel, account_id, contact_id, .. } = target;
        Reply::queued(reply_id.as_str(), channel, account_id, Some(id), Some(contact_id))
    });
    let status = if reply.is_settled() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(reply)).into_response())
}

/// A reply that is asked for.
struct Asked<'a> {
    caller: &'a Caller,
    conversation_id: &'a str,
    target: &'a Target,
    key: &'a str,
}

impl Asked<'_> {
    /// Publishes it, once for a key.
    async fn publish(&self, app: &App, data: ReplyData) -> Result<CommandId, Problem> {
        let Self { caller, conversation_id, target, key } = *self;
        let id = CommandId::of_request(target.channel, &target.account_id, &caller.name, key);
        // What its author had seen is no part of it: a repeat may have seen more, and is the same reply.
        let body = ReplyData { based_on: None, ..data.clone() };
        let text = serde_json::to_string(&body).map_err(|_| Problem::internal())?;
        let asked = digest(&["reply", conversation_id, &text]);
        let stored = match requests::known(&app.pool, id.as_str(), &asked).await? {
            Known::Published => None,
            // The first try's command, as it was: a repeat must not differ.
            Known::Unpublished(command) => {
                Some(app.publish_marked::<Command>(id.as_str(), &command).await?)
            }
            // A repeat is not judged again: it answers with the state of the first.
            Known::New => {
                let now = runtime::now();
                let expires_at = target.window_expires_at.map(Timestamp::to_datetime);
                let check = |at: Timestamp| {
                    window::check(expires_at, data.tag.as_deref(), caller.kind, at.to_datetime())
                };
                check(now)?;
                if let Some(later) = data.not_before.filter(|later| now < *later) {
                    check(later).map_err(|_| Problem::window_will_close())?;
                }
                if data.based_on.is_none() && caller.kind == Requester::Automation {
                    return Err(etag::missing());
                }
                let command = Command {
                    id: id.clone(),
                    channel: target.channel,
                    account_id: target.account_id.clone(),
                    contact_id: Some(target.contact_id.clone()),
                    action: Action::Reply(data),
                    requested_by: caller.requested_by(),
                    requested_at: now,
                };
                command.check()?;
                let request = Request {
                    id: id.as_str(),
                    kind: "reply",
                    token: &caller.name,
                    channel: target.channel,
                    account: &target.account_id,
                    conversation: Some(conversation_id),
                    digest: asked,
                };
                app.publish_once(Some(&request), &command).await?
            }
        };
        if stored.is_some() {
            tracing::info!(reply.id = %id, conversation.id = %conversation_id, "Queued reply `{id}`");
        }
        Ok(id)
    }
}
