//! `/v1/endpoints`. For administrators of all accounts: whoever sees some accounts only would send themselves the events of the others.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use runtime::streams;
use schemas::Timestamp;
use schemas::subjects::INBOX_EVENTS;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Endpoint, EndpointChange, EndpointError, EndpointTest, Endpoints, NewEndpoint, rows};
use crate::app::{App, State};
use crate::auth::Caller;
use crate::extract::{Body, Id, Nothing, Query};
use crate::list::{Page, scope};
use crate::operate::{PageQuery, allow};
use crate::problem::Problem;

/// A page of endpoints.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndpointList {
    /// Newest first.
    pub endpoints: Vec<Endpoint>,
    /// For the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// A new endpoint, and its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NewlyMade {
    #[serde(flatten)]
    pub endpoint: Endpoint,
    /// `whsec_…`: it signs what is sent. It is shown this once.
    pub secret: String,
}

/// A new secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Rotated {
    /// The endpoint.
    pub endpoint_id: String,
    /// `whsec_…`: shown this once. For 24 hours the secret before signs, too.
    pub secret: String,
}

/// From when on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayFrom {
    /// Events that were published then or later are delivered again.
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00Z")]
    pub from: Timestamp,
}

impl From<EndpointError> for Problem {
    fn from(error: EndpointError) -> Self {
        match error {
            EndpointError::Unknown(id) => Self::unknown("endpoint", &id),
            EndpointError::Wrong(wrong) => Self::invalid(wrong.field, wrong.reason),
            EndpointError::Database(error) => error.into(),
            EndpointError::Seal(error) => {
                tracing::error!(%error, "The secret of an endpoint cannot be used");
                Self::internal()
            }
        }
    }
}

fn manager(app: &App) -> Endpoints {
    Endpoints::new(app.pool.clone(), app.browser.seal.clone(), app.delivery.clone())
}

/// The last position of INBOX_EVENTS, where the broker says it.
async fn head(app: &App) -> Option<u64> {
    let stream = streams::find(app.broker.js(), INBOX_EVENTS).await.ok()??;
    Some(stream.cached_info().state.last_sequence)
}

/// List the endpoints of outgoing webhooks
///
/// # Errors
/// 403 without the scope `admin`; 404 for a token of some accounts; 422 naming the parameter.
#[utoipa::path(get, path = "/v1/endpoints", tag = "endpoints", params(PageQuery),
    responses((status = 200, body = EndpointList), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem)))]
pub(crate) async fn list(
    axum::extract::State(app): State,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> Result<Json<EndpointList>, Problem> {
    allow(&caller)?;
    let cursor = query.cursor.as_deref();
    let page = Page::read(&app.cursors, &caller, scope("endpoints", &[]), cursor, query.limit)?;
    let rows = rows::page(&app.pool, page.after_time(), page.after_id(), page.fetch()).await?;
    let page = page.cut(&app.cursors, rows);
    let endpoints = manager(&app).with_status(page.rows, head(&app).await).await?;
    Ok(Json(EndpointList { endpoints, next_cursor: page.next_cursor }))
}

/// Show an endpoint
///
/// # Errors
/// 403 without the scope `admin`; 404.
#[utoipa::path(get, path = "/v1/endpoints/{id}", tag = "endpoints", params(("id" = String, Path, description = "The endpoint")),
    responses((status = 200, body = Endpoint), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn show(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Endpoint>, Problem> {
    allow(&caller)?;
    Ok(Json(manager(&app).show(&id, head(&app).await).await?))
}

/// Make an endpoint
///
/// Events that are published from now on are sent to it. The answer has its secret, this once.
///
/// # Errors
/// 403 without the scope `admin`; 404 for a token of some accounts; 422 naming the field.
#[utoipa::path(post, path = "/v1/endpoints", tag = "endpoints", request_body = NewEndpoint,
    responses((status = 201, description = "Made", body = NewlyMade), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn create(
    axum::extract::State(app): State,
    caller: Caller,
    Body(new): Body<NewEndpoint>,
) -> Result<Response, Problem> {
    allow(&caller)?;
    let (endpoint, secret) = manager(&app).add(&new, &caller.name).await?;
    let made = NewlyMade { endpoint, secret: secret.expose() };
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

/// Change an endpoint
///
/// `paused: false` also resumes one that is disabled. What is held is tried again at once.
///
/// # Errors
/// 403 without the scope `admin`; 404; 422 naming the field.
#[utoipa::path(patch, path = "/v1/endpoints/{id}", tag = "endpoints", params(("id" = String, Path, description = "The endpoint")), request_body = EndpointChange,
    responses((status = 200, body = Endpoint), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem)))]
pub(crate) async fn change(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Body(change): Body<EndpointChange>,
) -> Result<Json<Endpoint>, Problem> {
    allow(&caller)?;
    Ok(Json(manager(&app).change(&id, &change).await?))
}

/// Remove an endpoint
///
/// With everything that is held for it.
///
/// # Errors
/// 403 without the scope `admin`; 404.
#[utoipa::path(delete, path = "/v1/endpoints/{id}", tag = "endpoints", params(("id" = String, Path, description = "The endpoint")),
    responses((status = 204, description = "Removed"), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn remove(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
) -> Result<StatusCode, Problem> {
    allow(&caller)?;
    manager(&app).remove(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give an endpoint a new secret
///
/// Shown this once. For 24 hours what is sent has both signatures.
///
/// # Errors
/// 403 without the scope `admin`; 404.
#[utoipa::path(post, path = "/v1/endpoints/{id}/rotate", tag = "endpoints", params(("id" = String, Path, description = "The endpoint")),
    responses((status = 200, body = Rotated), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem)))]
pub(crate) async fn rotate(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Json<Rotated>, Problem> {
    allow(&caller)?;
    let secret = manager(&app).rotate(&id).await?.expose();
    Ok(Json(Rotated { endpoint_id: id, secret }))
}

/// Deliver again from a time on
///
/// The position of the endpoint moves back; receivers know what they have by `webhook-id`.
///
/// # Errors
/// 403 without the scope `admin`; 404; 422 naming the field.
#[utoipa::path(post, path = "/v1/endpoints/{id}/replay", tag = "endpoints", params(("id" = String, Path, description = "The endpoint")), request_body = ReplayFrom,
    responses((status = 202, description = "Begins within seconds", body = Endpoint), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn replay(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Body(ReplayFrom { from }): Body<ReplayFrom>,
) -> Result<Response, Problem> {
    allow(&caller)?;
    let manager = manager(&app);
    manager.replay(&id, from).await?;
    let shown = manager.show(&id, head(&app).await).await?;
    Ok((StatusCode::ACCEPTED, Json(shown)).into_response())
}

/// Send a test event
///
/// A signed event `hookline.endpoint.test.v1`, once, now. The answer has the class of the receiver's status and nothing else of its answer.
///
/// # Errors
/// 403 without the scope `admin`; 404; 422 where the URL is not allowed any more.
#[utoipa::path(post, path = "/v1/endpoints/{id}/test", tag = "endpoints", params(("id" = String, Path, description = "The endpoint")),
    responses((status = 200, body = EndpointTest), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem)))]
pub(crate) async fn test(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Json<EndpointTest>, Problem> {
    allow(&caller)?;
    Ok(Json(manager(&app).test(&id).await?))
}
