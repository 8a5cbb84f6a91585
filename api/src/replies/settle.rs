//! `DELETE /v1/replies/{reply_id}` and `POST /v1/replies/{reply_id}/resolve`: commands about a reply, which the worker carries out in its ledger.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemas::Channel;
use schemas::command::{Action, ReplyRef, Requester, ResolveData};
use schemas::facts::OutcomeError;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{Reply, ReplyQuery, find};
use crate::app::{App, State};
use crate::auth::Caller;
use crate::commands::NewCommand;
use crate::extract::{Body, Id, IdempotencyKey, Nothing, Query, check_text, wait_of};
use crate::problem::Problem;
use crate::projected::ACT_WAIT;
use crate::requests;
use crate::status::{CommandStatus, ReplyStatus};

/// Which account, and how long to wait.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SettleQuery {
    /// Of this channel, where several accounts have a reply with this id.
    #[param(value_type = Option<String>)]
    pub channel: Option<Channel>,
    /// Of this account, likewise.
    pub account_id: Option<String>,
    /// How long to wait for the outcome, such as `5s`; at most `30s`; 2 s unless set.
    pub wait: Option<String>,
}

impl SettleQuery {
    fn wait(&self) -> Result<Duration, Problem> {
        self.wait.as_deref().map_or(Ok(ACT_WAIT), |wait| wait_of(Some(wait)))
    }

    fn whose(&self) -> ReplyQuery {
        ReplyQuery { channel: self.channel, account_id: self.account_id.clone() }
    }
}

/// What was found at Meta.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resolve {
    /// `sent`: the person has it. `not_sent`: they do not; it is not sent again by itself.
    #[serde(rename = "as")]
    #[schema(example = "not_sent")]
    pub found: String,
    /// Why: kept with the command.
    pub reason: String,
    /// Meta's id of what was delivered, where known.
    pub message_id: Option<String>,
}

/// Cancel a reply
///
/// One that is queued or held. What is under way may have reached Meta and is not cancelled; parts that were sent stay sent. A reply that is
/// cancelled already answers as the first time.
///
/// # Errors
/// 404; 409 `under_way`, `already_ended` or `ambiguous`; 503.
#[utoipa::path(delete, path = "/v1/replies/{reply_id}", tag = "messages",
    params(("reply_id" = String, Path, description = "`rpl_…` or `auto:…`"), SettleQuery),
    responses((status = 200, description = "Cancelled", body = Reply), (status = 202, description = "On its way", body = Reply),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem)))]
pub(crate) async fn cancel(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<SettleQuery>,
    key: IdempotencyKey,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Response, Problem> {
    let wait = query.wait()?;
    let reply = find(&app.pool, &caller, &id, &query.whose()).await?;
    if is_cancelled(&reply) {
        return Ok((StatusCode::OK, Json(reply)).into_response());
    }
    if reply.is_settled() {
        return Err(ended(&reply));
    }
    // Else it would be published after the command that cancels it.
    if requests::is_unpublished(&app.pool, &id).await? {
        return Err(Problem::unavailable("the reply is being stored: repeat this in a moment"));
    }
    let action = Action::ReplyCancel(ReplyRef { reply_id: id });
    settle(&app, &caller, reply, key, action, wait).await
}

/// Say what came of a reply whose outcome is unknown
///
/// Nothing is sent by this; a later echo from Meta still overrules. Only a person can find out: an automation's token is refused.
///
/// # Errors
/// 403 `person_only`; 404; 409 `not_parked`, `message_taken` or `ambiguous`; 422; 503.
#[utoipa::path(post, path = "/v1/replies/{reply_id}/resolve", tag = "messages", request_body = Resolve,
    params(("reply_id" = String, Path, description = "`rpl_…` or `auto:…`"), SettleQuery),
    responses((status = 200, description = "Settled", body = Reply), (status = 202, description = "On its way", body = Reply),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem)))]
pub(crate) async fn resolve(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<SettleQuery>,
    key: IdempotencyKey,
    Body(body): Body<Resolve>,
) -> Result<Response, Problem> {
    let wait = query.wait()?;
    check_text("reason", &body.reason, 500)?;
    if caller.kind != Requester::Person {
        return Err(Problem::person_only());
    }
    let reply = find(&app.pool, &caller, &id, &query.whose()).await?;
    let action = Action::ReplyResolve(ResolveData {
        found: body.found,
        message_id: body.message_id,
        reason: body.reason,
        reply_id: id,
    });
    settle(&app, &caller, reply, key, action, wait).await
}

async fn settle(
    app: &App,
    caller: &Caller,
    reply: Reply,
    key: IdempotencyKey,
    action: Action,
    wait: Duration,
) -> Result<Response, Problem> {
    let cancels = matches!(action, Action::ReplyCancel(_));
    let new = NewCommand {
        caller,
        key: key.0,
        channel: reply.channel,
        account: reply.account_id.clone(),
        contact: None,
        action,
    };
    let state = app.command(new, wait).await?;
    let whose = ReplyQuery {
        channel: Some(reply.channel),
        account_id: Some(reply.account_id.as_str().to_owned()),
    };
    let reply = find(&app.pool, caller, &reply.reply_id, &whose).await?;
    let status = match state.status {
        CommandStatus::Done => StatusCode::OK,
        CommandStatus::Queued | CommandStatus::Unknown => StatusCode::ACCEPTED,
        // Another one was quicker, and it is as was asked.
        CommandStatus::Failed if cancels && is_cancelled(&reply) => StatusCode::OK,
        CommandStatus::Failed => return Err(refused(state.error)),
    };
    Ok((status, Json(reply)).into_response())
}

fn is_cancelled(reply: &Reply) -> bool {
    reply.error.as_ref().is_some_and(|error| error["code"] == "cancelled")
}

fn ended(reply: &Reply) -> Problem {
    let detail = match reply.status {
        ReplyStatus::Unknown => {
            "whether it was sent is unknown: find out, then resolve it".to_owned()
        }
        status => format!("the reply has ended: it is `{status}`"),
    };
    Problem::not_now("already_ended", detail)
}

fn refused(error: Option<OutcomeError>) -> Problem {
    let Some(error) = error else { return Problem::internal() };
    match error.code.as_str() {
        "not_found" => Problem::not_found(error.message),
        "person_only" => Problem::person_only(),
        "under_way" => Problem::not_now("under_way", error.message),
        "not_parked" => Problem::not_now("not_parked", error.message),
        "message_taken" => Problem::not_now("message_taken", error.message),
        "already_ended" => Problem::not_now("already_ended", error.message),
        _ => Problem::not_now("refused", error.message),
    }
}
