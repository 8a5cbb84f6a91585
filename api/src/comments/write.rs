//! Answering, hiding, deleting and writing comments: each is a command to the worker.

use std::time::Duration;

use schemas::Channel;
use schemas::command::{Action, CommentCreateData, CommentRef, CommentTextData};
use serde::Deserialize;
use sqlx::PgPool;
use utoipa::{IntoParams, ToSchema};

use super::rows::{self, Owner};
use crate::accounts;
use crate::app::{App, State};
use crate::auth::Caller;
use crate::commands::{CommandState, NewCommand};
use crate::extract::{Body, Id, IdempotencyKey, Nothing, Query, check_text, wait_of};
use crate::problem::{Problem, only};
use crate::worker_views;

/// Longest text of a comment (docs/meta-platform.md 8.3, 12 have no shorter one that holds for both channels).
const TEXT_MAX: usize = 8000;

/// Whose comment, and how long to wait.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TargetQuery {
    /// The channel, where several accounts know the id or none does yet.
    #[param(value_type = Option<String>)]
    pub channel: Option<Channel>,
    /// The account, likewise.
    pub account_id: Option<String>,
    /// How long to wait for the outcome, such as `5s`; at most `30s`.
    pub wait: Option<String>,
}

/// A text.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewText {
    /// What to say.
    pub text: String,
}

/// What to change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    /// Whether it is hidden.
    pub hidden: bool,
}

/// Answer a comment in public
///
/// # Errors
/// 404, 409, 422, 503.
#[utoipa::path(post, path = "/v1/comments/{id}/replies", tag = "comments", request_body = NewText,
    params(("id" = String, Path, description = "Meta's id of the comment"), TargetQuery),
    responses((status = 200, description = "The outcome is known", body = CommandState), (status = 202, description = "On its way", body = CommandState),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn reply(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<TargetQuery>,
    key: IdempotencyKey,
    Body(body): Body<NewText>,
) -> Result<CommandState, Problem> {
    check_text("text", &body.text, TEXT_MAX)?;
    let action = Action::CommentReply(CommentTextData { comment_id: id.clone(), text: body.text });
    let wait = wait_of(query.wait.as_deref())?;
    on_comment(&app, &caller, &id, &query, wait, key, action).await
}

/// Answer a comment by a message to its author
///
/// # Errors
/// 404, 409, 422, 503.
#[utoipa::path(post, path = "/v1/comments/{id}/private_reply", tag = "comments", request_body = NewText,
    params(("id" = String, Path, description = "Meta's id of the comment"), TargetQuery),
    responses((status = 200, description = "The outcome is known", body = CommandState), (status = 202, description = "On its way", body = CommandState),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn private_reply(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<TargetQuery>,
    key: IdempotencyKey,
    Body(body): Body<NewText>,
) -> Result<CommandState, Problem> {
    check_text("text", &body.text, TEXT_MAX)?;
    let action =
        Action::CommentPrivateReply(CommentTextData { comment_id: id.clone(), text: body.text });
    let wait = wait_of(query.wait.as_deref())?;
    on_comment(&app, &caller, &id, &query, wait, key, action).await
}

/// Hide a comment, or show it again
///
/// # Errors
/// 404, 409, 422, 503.
#[utoipa::path(patch, path = "/v1/comments/{id}", tag = "comments", request_body = Change,
    params(("id" = String, Path, description = "Meta's id of the comment"), TargetQuery),
    responses((status = 200, description = "The outcome is known", body = CommandState), (status = 202, description = "On its way", body = CommandState),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn change(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<TargetQuery>,
    key: IdempotencyKey,
    Body(body): Body<Change>,
) -> Result<CommandState, Problem> {
    let act = if body.hidden { Action::CommentHide } else { Action::CommentUnhide };
    let action = act(CommentRef { comment_id: id.clone() });
    let wait = wait_of(query.wait.as_deref())?;
    on_comment(&app, &caller, &id, &query, wait, key, action).await
}

/// Delete a comment
///
/// # Errors
/// 404, 409, 503.
#[utoipa::path(delete, path = "/v1/comments/{id}", tag = "comments",
    params(("id" = String, Path, description = "Meta's id of the comment"), TargetQuery),
    responses((status = 200, description = "The outcome is known", body = CommandState), (status = 202, description = "On its way", body = CommandState),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn delete(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<TargetQuery>,
    key: IdempotencyKey,
    Body(Nothing {}): Body<Nothing>,
) -> Result<CommandState, Problem> {
    let action = Action::CommentDelete(CommentRef { comment_id: id.clone() });
    let wait = wait_of(query.wait.as_deref())?;
    on_comment(&app, &caller, &id, &query, wait, key, action).await
}

/// Comment on a media or post
///
/// # Errors
/// 404 where neither the media nor the account is known, 409, 422, 503.
#[utoipa::path(post, path = "/v1/media/{id}/comments", tag = "comments", request_body = NewText,
    params(("id" = String, Path, description = "Meta's id of the media or post"), TargetQuery),
    responses((status = 200, description = "The outcome is known", body = CommandState), (status = 202, description = "On its way", body = CommandState),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn create(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<TargetQuery>,
    key: IdempotencyKey,
    Body(body): Body<NewText>,
) -> Result<CommandState, Problem> {
    check_text("text", &body.text, TEXT_MAX)?;
    let wait = wait_of(query.wait.as_deref())?;
    let Owner { channel, account_id: account } =
        owner_of_media(&app.pool, &caller, &id, &query).await?;
    let action = Action::CommentCreate(CommentCreateData { media_id: id, text: body.text });
    let new = NewCommand { caller: &caller, key: key.0, channel, account, contact: None, action };
    app.command(new, wait).await
}

pub(super) async fn on_comment(
    app: &App,
    caller: &Caller,
    id: &str,
    query: &TargetQuery,
    wait: Duration,
    key: IdempotencyKey,
    action: Action,
) -> Result<CommandState, Problem> {
    let found = rows::owners_of_comment(&app.pool, id).await?;
    let Owner { channel, account_id: account } =
        owner(&app.pool, caller, found, "comment", query).await?;
    let new = NewCommand { caller, key: key.0, channel, account, contact: None, action };
    app.command(new, wait).await
}

/// The account whose media or post it is, or that knows it.
pub(super) async fn owner_of_media(
    pool: &PgPool,
    caller: &Caller,
    id: &str,
    query: &TargetQuery,
) -> Result<Owner, Problem> {
    let mut found = rows::owners_of_media(pool, id).await?;
    for owner in worker_views::media::owners(pool, id).await? {
        if !found.contains(&owner) {
            found.push(owner);
        }
    }
    owner(pool, caller, found, "media or post", query).await
}

/// The account that knows the thing, or the one the caller names where none does yet.
async fn owner(
    pool: &PgPool,
    caller: &Caller,
    mut found: Vec<Owner>,
    what: &str,
    query: &TargetQuery,
) -> Result<Owner, Problem> {
    let named = (query.channel, query.account_id.as_deref());
    found.retain(|owner| caller.means(named, owner.channel, &owner.account_id));
    let name = |owner: &Owner| format!("{}/{}", owner.channel, owner.account_id);
    if let Some(owner) = only("things", found, name)? {
        return Ok(owner);
    }
    match (query.channel, &query.account_id) {
        (Some(channel), Some(account)) => {
            let account = accounts::find(pool, caller, account, Some(channel)).await?;
            Ok(Owner { channel, account_id: account.id.into() })
        }
        _ => Err(Problem::not_found(format!(
            "no {what} with this id is known here: name its `channel` and `account_id` if Meta knows it"
        ))),
    }
}
