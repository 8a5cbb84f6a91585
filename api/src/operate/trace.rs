//! `GET /v1/ops/trace/{id}`: what `hookline trace` shows.

use axum::Json;
use ops::Ask;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::allow;
use super::send::REASON_MAX;
use crate::app::State;
use crate::auth::Caller;
use crate::extract::{Id, Query, check_text};
use crate::problem::Problem;

/// With what people wrote, or without.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TraceQuery {
    /// `true`: with raw bodies and events as they are. Needs `reason`, and is recorded in the audit before anything is shown.
    #[serde(default)]
    pub contents: bool,
    /// Why the contents must be seen; kept.
    pub reason: Option<String>,
}

/// As `hookline trace --output json` prints it: raw webhooks, events, resolution, rows, replies with their parts and Meta's ids, echoes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub(crate) struct Trace(Value);

/// Show the whole story of one id
///
/// Of an event, a message, a reply, a command, or a parked row.
///
/// # Errors
/// 403 without the scope `admin`; 404 for an id that nobody knows and for a token of some accounts; 413 where contents are larger than the
/// broker takes; 422 naming `reason`; 503 where the role `ops` does not answer.
#[utoipa::path(get, path = "/v1/ops/trace/{id}", tag = "operators",
    params(("id" = String, Path, description = "An event id, Meta's message id, a reply or command id, or the number of a parked row"), TraceQuery),
    responses((status = 200, body = Trace), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 413, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn show(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<TraceQuery>,
) -> Result<Json<Trace>, Problem> {
    allow(&caller)?;
    let reveal = match (query.contents, query.reason) {
        (false, _) => None,
        (true, None) => {
            return Err(Problem::invalid("reason", "say why the contents must be seen"));
        }
        (true, Some(reason)) => {
            check_text("reason", &reason, REASON_MAX)?;
            Some(reason)
        }
    };
    Ok(Json(Trace(app.ask(&caller, Ask::Trace { id, reveal }).await?)))
}
