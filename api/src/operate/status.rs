//! `GET /v1/ops/status`: what `hookline status` shows.

use axum::Json;
use ops::Ask;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::allow;
use crate::app::State;
use crate::auth::Caller;
use crate::problem::Problem;

/// As `hookline status --output json` prints it: `stages` with lag and oldest age, parked work by cause, unknown sends, what is held and why,
/// durability, clocks, tokens that end, freezes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub(crate) struct Status(Value);

/// Show how far each stage is behind, and what waits for somebody
///
/// Read by the role `ops`; one look a second, shared by all who ask.
///
/// # Errors
/// 403 without the scope `admin`; 404 for a token of some accounts; 503 where the role `ops` does not answer.
#[utoipa::path(get, path = "/v1/ops/status", tag = "operators",
    responses((status = 200, body = Status), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn show(
    axum::extract::State(app): State,
    caller: Caller,
) -> Result<Json<Status>, Problem> {
    allow(&caller)?;
    Ok(Json(Status(app.ask(&caller, Ask::Status {}).await?)))
}
