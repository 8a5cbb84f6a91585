//! `POST /v1/ops/jobs/{id}/…`: stops a job for now, lets it go on, gives it up.

use axum::Json;
use ops::{Ask, JobWish};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::allow;
use super::send::REASON_MAX;
use crate::app::{App, State};
use crate::auth::Caller;
use crate::extract::{Body, Id, check_text};
use crate::problem::Problem;

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reason {
    /// Why; kept.
    pub reason: String,
}

/// The job.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Wished {
    /// Its id.
    pub id: String,
}

/// Stop a job for now
///
/// Whoever works on it stops within seconds; what is done stays done.
///
/// # Errors
/// 403 without the scope `admin`; 404 for an unknown id and for a token of some accounts; 409 `refused` for a job that has ended; 422; 503.
#[utoipa::path(post, path = "/v1/ops/jobs/{id}/pause", tag = "operators", request_body = Reason, params(("id" = String, Path, description = "Of the job")),
    responses((status = 200, body = Wished), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn pause(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Body(body): Body<Reason>,
) -> Result<Json<Wished>, Problem> {
    wish(&app, &caller, id, JobWish::Pause, body).await
}

/// Let a paused job go on
///
/// One of the role `ops`; others go on by their command, which `hookline jobs resume` prints.
///
/// # Errors
/// As of the pause; 409 `refused` for a job that is not paused, or carried out by the process of its verb.
#[utoipa::path(post, path = "/v1/ops/jobs/{id}/resume", tag = "operators", request_body = Reason, params(("id" = String, Path, description = "Of the job")),
    responses((status = 200, body = Wished), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn resume(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Body(body): Body<Reason>,
) -> Result<Json<Wished>, Problem> {
    wish(&app, &caller, id, JobWish::Resume, body).await
}

/// Give a job up
///
/// What is done stays done.
///
/// # Errors
/// As of the pause.
#[utoipa::path(post, path = "/v1/ops/jobs/{id}/cancel", tag = "operators", request_body = Reason, params(("id" = String, Path, description = "Of the job")),
    responses((status = 200, body = Wished), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn cancel(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Body(body): Body<Reason>,
) -> Result<Json<Wished>, Problem> {
    wish(&app, &caller, id, JobWish::Cancel, body).await
}

async fn wish(
    app: &App,
    caller: &Caller,
    id: String,
    wish: JobWish,
    body: Reason,
) -> Result<Json<Wished>, Problem> {
    allow(caller)?;
    check_text("reason", &body.reason, REASON_MAX)?;
    app.ask(caller, Ask::Job { id, wish, reason: body.reason }).await.map(Json)
}
