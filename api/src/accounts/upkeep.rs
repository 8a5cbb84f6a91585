//! Acts on the connection of an account: commands that the worker carries out.

use schemas::command::{AccountData, Action};

use super::{AccountQuery, ask};
use crate::app::State;
use crate::auth::Caller;
use crate::commands::CommandState;
use crate::extract::{Body, Id, IdempotencyKey, Nothing, Query};
use crate::problem::Problem;

/// Ask Meta for the webhook fields of an account
///
/// All that the product understands; none is taken away that is there. The outcome names what Meta refused.
///
/// # Errors
/// 404, 409, 422, 503.
#[utoipa::path(post, path = "/v1/accounts/{id}/subscribe", tag = "accounts", params(("id" = String, Path, description = "The account's id"), AccountQuery),
    responses((status = 200, description = "The outcome is known", body = CommandState), (status = 202, description = "On its way", body = CommandState),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn subscribe(
    state: State,
    caller: Caller,
    id: Id,
    query: Query<AccountQuery>,
    key: IdempotencyKey,
    Body(Nothing {}): Body<Nothing>,
) -> Result<CommandState, Problem> {
    ask(state, &caller, id, query, key, Action::AccountSubscribe(AccountData {})).await
}

/// Exchange the token of an account now
///
/// The old token stays in use until the new one has answered.
///
/// # Errors
/// 404, 409, 422, 503.
#[utoipa::path(post, path = "/v1/accounts/{id}/refresh", tag = "accounts", params(("id" = String, Path, description = "The account's id"), AccountQuery),
    responses((status = 200, description = "The outcome is known", body = CommandState), (status = 202, description = "On its way", body = CommandState),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn refresh(
    state: State,
    caller: Caller,
    id: Id,
    query: Query<AccountQuery>,
    key: IdempotencyKey,
    Body(Nothing {}): Body<Nothing>,
) -> Result<CommandState, Problem> {
    ask(state, &caller, id, query, key, Action::AccountRefresh(AccountData {})).await
}

/// Disconnect an account
///
/// The webhook fields are taken away and the token is destroyed; what is queued ends with `account_disconnected`, the history stays.
///
/// # Errors
/// 404, 409, 422, 503.
#[utoipa::path(post, path = "/v1/accounts/{id}/disconnect", tag = "accounts", params(("id" = String, Path, description = "The account's id"), AccountQuery),
    responses((status = 200, description = "The outcome is known", body = CommandState), (status = 202, description = "On its way", body = CommandState),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn disconnect(
    state: State,
    caller: Caller,
    id: Id,
    query: Query<AccountQuery>,
    key: IdempotencyKey,
    Body(Nothing {}): Body<Nothing>,
) -> Result<CommandState, Problem> {
    ask(state, &caller, id, query, key, Action::AccountDisconnect(AccountData {})).await
}
