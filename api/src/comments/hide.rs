//! `POST /v1/comments/hide`: hides or shows several comments, each by a command of its own.

use std::collections::BTreeSet;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use schemas::command::{Action, CommentRef};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::ToSchema;

use super::write::{TargetQuery, on_comment};
use crate::app::State;
use crate::auth::Caller;
use crate::commands::CommandState;
use crate::extract::{Body, IdempotencyKey, Query, wait_of};
use crate::problem::Problem;
use crate::status::CommandStatus;

/// Most comments of one request.
const IDS_MAX: usize = 50;
/// Comments that are dealt with at once.
const AT_ONCE: usize = 12;

/// Which comments, and how they are to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HideMany {
    /// Meta's ids; at most 50.
    pub ids: Vec<String>,
    /// Whether they are hidden.
    pub hidden: bool,
}

/// What came of one comment: its command, or why there is none.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HideOutcome {
    /// The comment.
    pub id: String,
    /// Where its command stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub command: Option<CommandState>,
    /// Why none was stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub problem: Option<Problem>,
}

/// What came of each.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HideOutcomes {
    /// In the order of the request.
    pub outcomes: Vec<HideOutcome>,
}

/// Hide several comments, or show them again
///
/// Each comment is a command of its own and has an outcome of its own; one that is unknown or refused keeps no other back.
///
/// # Errors
/// 422 naming `ids`; 503: repeat with the same `Idempotency-Key`.
#[utoipa::path(post, path = "/v1/comments/hide", tag = "comments", request_body = HideMany, params(TargetQuery),
    responses((status = 200, description = "All outcomes are known", body = HideOutcomes), (status = 202, description = "On their way", body = HideOutcomes),
        (status = 403, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn hide(
    axum::extract::State(app): State,
    caller: Caller,
    Query(query): Query<TargetQuery>,
    IdempotencyKey(key): IdempotencyKey,
    Body(body): Body<HideMany>,
) -> Result<Response, Problem> {
    check(&body.ids)?;
    let deadline = Instant::now() + wait_of(query.wait.as_deref())?;
    let one = async |id: &String| {
        let act = if body.hidden { Action::CommentHide } else { Action::CommentUnhide };
        let action = act(CommentRef { comment_id: id.clone() });
        // One key for the request, and one for each of its commands.
        let key = IdempotencyKey(key.as_ref().map(|key| format!("{key}/{id}")));
        // One wait for all: what comes to its turn later is published, and not waited for.
        let wait = deadline.saturating_duration_since(Instant::now());
        on_comment(&app, &caller, id, &query, wait, key, action).await
    };
    // A few at once: each takes a connection, and others need some, too.
    let came: Vec<_> =
        futures::stream::iter(body.ids.iter().map(one)).buffered(AT_ONCE).collect().await;
    let mut outcomes = Vec::new();
    for (id, came) in body.ids.iter().zip(came) {
        let (command, problem) = match came {
            Ok(command) => (Some(command), None),
            Err(problem) if problem.is_of_server() => return Err(problem),
            Err(problem) => (None, Some(problem)),
        };
        outcomes.push(HideOutcome { id: id.clone(), command, problem });
    }
    let is_open = |one: &HideOutcome| {
        one.command.as_ref().is_some_and(|command| command.status == CommandStatus::Queued)
    };
    let status = match outcomes.iter().any(is_open) {
        true => StatusCode::ACCEPTED,
        false => StatusCode::OK,
    };
    Ok((status, Json(HideOutcomes { outcomes })).into_response())
}

fn check(ids: &[String]) -> Result<(), Problem> {
    if ids.is_empty() || IDS_MAX < ids.len() {
        return Err(Problem::invalid("ids", format!("1 to {IDS_MAX}")));
    }
    let usable = |id: &String| !id.is_empty() && id.len() <= 512 && !id.contains(char::is_control);
    if !ids.iter().all(usable) {
        return Err(Problem::invalid("ids", "an id is a text of Meta's, not empty"));
    }
    if ids.iter().collect::<BTreeSet<_>>().len() < ids.len() {
        return Err(Problem::invalid("ids", "name each comment once"));
    }
    Ok(())
}
