//! `/v1/ops/send`: the outbound kill switch, as `hookline send`.

use axum::Json;
use ops::{Ask, Sending};
use schemas::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::allow;
use crate::app::{App, State};
use crate::auth::Caller;
use crate::extract::{Body, check_text};
use crate::problem::Problem;

/// Longest reason, characters.
pub(super) const REASON_MAX: usize = 500;

/// What is stopped or goes on: everything where neither account nor conversation is named.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scope {
    /// One account, as `ID` or `CHANNEL/ID`.
    pub account_id: Option<String>,
    /// One conversation, by its id; with `account_id` it must be one of that account.
    pub conversation: Option<String>,
    /// Why; kept.
    #[schema(example = "wrong automatic replies")]
    pub reason: String,
}

/// What it did.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Switched {
    /// `*`, `account:<channel>/<account>` or `conversation:<conversation id>`.
    pub scope: String,
    /// Whether this scope is frozen now.
    pub frozen: bool,
    /// `false`: it was so before.
    pub changed: bool,
    /// Commands that wait, or go on.
    pub waiting: i64,
    /// Other scopes that stay frozen; of a thaw.
    #[serde(default)]
    pub other_freezes: Vec<String>,
}

/// A freeze in force.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Freeze {
    /// `*`, `account:<channel>/<account>` or `conversation:<conversation id>`.
    pub scope: String,
    /// Who froze it.
    pub by: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Why; null where nobody said.
    pub reason: Option<String>,
}

/// All freezes in force.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Freezes {
    /// By scope.
    pub freezes: Vec<Freeze>,
}

/// Show what is frozen
///
/// # Errors
/// 403 without the scope `admin`; 404 for a token of some accounts; 503 where the role `ops` does not answer.
#[utoipa::path(get, path = "/v1/ops/send", tag = "operators",
    responses((status = 200, body = Freezes), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn list(
    axum::extract::State(app): State,
    caller: Caller,
) -> Result<Json<Freezes>, Problem> {
    allow(&caller)?;
    app.ask(&caller, Ask::Freezes {}).await.map(Json)
}

/// Stop sending
///
/// Within 2 s nothing in this scope is sent: what is asked for waits in order. What is at Meta already is still followed up. There is no plan
/// before it: a kill switch is one step.
///
/// # Errors
/// 403 without the scope `admin`; 404 for a token of some accounts; 422 naming the field; 503: whether it is frozen is unknown, repeat it.
#[utoipa::path(post, path = "/v1/ops/send/freeze", tag = "operators", request_body = Scope,
    responses((status = 200, body = Switched), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem)))]
pub(crate) async fn freeze(
    axum::extract::State(app): State,
    caller: Caller,
    Body(scope): Body<Scope>,
) -> Result<Json<Switched>, Problem> {
    switch(&app, &caller, scope, Ask::Freeze).await
}

/// Let sending go on
///
/// Ends a freeze of exactly this scope; what waits goes out in order, if the rules still allow it.
///
/// # Errors
/// As of the freeze.
#[utoipa::path(post, path = "/v1/ops/send/thaw", tag = "operators", request_body = Scope,
    responses((status = 200, body = Switched), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem)))]
pub(crate) async fn thaw(
    axum::extract::State(app): State,
    caller: Caller,
    Body(scope): Body<Scope>,
) -> Result<Json<Switched>, Problem> {
    switch(&app, &caller, scope, Ask::Thaw).await
}

async fn switch(
    app: &App,
    caller: &Caller,
    scope: Scope,
    ask: fn(Sending) -> Ask,
) -> Result<Json<Switched>, Problem> {
    allow(caller)?;
    let Scope { account_id, conversation, reason } = scope;
    check_text("reason", &reason, REASON_MAX)?;
    for (field, value) in [("account_id", &account_id), ("conversation", &conversation)] {
        if let Some(value) = value {
            check_text(field, value, 255)?;
        }
    }
    app.ask(caller, ask(Sending { account_id, conversation, reason })).await.map(Json)
}
