//! `/v1/ops/…`: what operators look at and do. For tokens with the scope `admin` that see all accounts. What needs rights that the api does not
//! have is done by the role `ops` ([`ask`]).

mod ask;
pub(crate) mod jobs;
pub(crate) mod redrive;
mod rows;
pub(crate) mod send;
pub(crate) mod status;
pub(crate) mod trace;

use axum::Json;
use ops::Ops;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::State;
use crate::auth::{Caller, Reach, Scope};
use crate::extract::Query;
use crate::layers;
use crate::list::{Page, limit_of, scope};
use crate::problem::Problem;
use crate::worker_views::operators::{self, Dead, Waiting};
use rows::SetAside;

/// How many.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LatestQuery {
    /// Rows, 1 to 200; 50 unless set.
    pub limit: Option<u32>,
}

/// Which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows per page, 1 to 200; 50 unless set.
    pub limit: Option<u32>,
}

/// The latest jobs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Jobs {
    /// Newest first.
    #[schema(value_type = Vec<Object>)]
    pub jobs: Vec<ops::Job>,
}

/// The latest acts of operators.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Acts {
    /// Newest first.
    #[schema(value_type = Vec<Object>)]
    pub acts: Vec<ops::Recorded>,
}

/// Parked work.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadWork {
    /// What the normaliser holds back, parked last first.
    pub normalize: Vec<Dead>,
    /// What the projector could not fold, by position; on the first page only, at most 200.
    pub project: Vec<SetAside>,
    /// For the next page of `normalize`; null at the end.
    pub next_cursor: Option<String>,
}

/// The waiting room.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WaitingRoom {
    /// Those that came last first.
    pub waiting: Vec<Waiting>,
    /// For the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// What is of all accounts is for those who see all.
pub(crate) fn allow(caller: &Caller) -> Result<(), Problem> {
    layers::allow(caller, Scope::Admin)?;
    match caller.reach {
        Reach::All => Ok(()),
        Reach::Only(_) => {
            Err(Problem::not_found("operators' routes are for tokens of all accounts"))
        }
    }
}

/// List operators' jobs
///
/// # Errors
/// 403 without the scope `admin`; 404 for a token of some accounts; 422 naming `limit`.
#[utoipa::path(get, path = "/v1/ops/jobs", tag = "operators", params(LatestQuery),
    responses((status = 200, body = Jobs), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem)))]
pub(crate) async fn jobs(
    axum::extract::State(app): State,
    caller: Caller,
    Query(query): Query<LatestQuery>,
) -> Result<Json<Jobs>, Problem> {
    allow(&caller)?;
    let limit = limit_of(query.limit)?.into();
    Ok(Json(Jobs { jobs: Ops::as_it_is(app.pool.clone()).jobs(limit).await? }))
}

/// List what operators did
///
/// # Errors
/// 403 without the scope `admin`; 404 for a token of some accounts; 422 naming `limit`.
#[utoipa::path(get, path = "/v1/ops/audit", tag = "operators", params(LatestQuery),
    responses((status = 200, body = Acts), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem)))]
pub(crate) async fn audit(
    axum::extract::State(app): State,
    caller: Caller,
    Query(query): Query<LatestQuery>,
) -> Result<Json<Acts>, Problem> {
    allow(&caller)?;
    let limit = limit_of(query.limit)?.into();
    Ok(Json(Acts { acts: Ops::as_it_is(app.pool.clone()).acts(limit).await? }))
}

/// List parked work
///
/// # Errors
/// 403 without the scope `admin`; 404 for a token of some accounts; 422 naming the parameter.
#[utoipa::path(get, path = "/v1/ops/dead", tag = "operators", params(PageQuery),
    responses((status = 200, body = DeadWork), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem)))]
pub(crate) async fn dead(
    axum::extract::State(app): State,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> Result<Json<DeadWork>, Problem> {
    allow(&caller)?;
    let cursor = query.cursor.as_deref();
    let page = Page::read(&app.cursors, &caller, scope("dead", &[]), cursor, query.limit)?;
    let rows = operators::dead(&app.pool, &page).await?;
    let project = match cursor {
        None => rows::set_aside(&app.pool).await?,
        Some(_) => Vec::new(),
    };
    let page = page.cut(&app.cursors, rows);
    Ok(Json(DeadWork { normalize: page.rows, project, next_cursor: page.next_cursor }))
}

/// List the waiting room
///
/// Items whose webhook named no sender, until evidence names one.
///
/// # Errors
/// 403 without the scope `admin`; 404 for a token of some accounts; 422 naming the parameter.
#[utoipa::path(get, path = "/v1/ops/waiting", tag = "operators", params(PageQuery),
    responses((status = 200, body = WaitingRoom), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem)))]
pub(crate) async fn waiting(
    axum::extract::State(app): State,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> Result<Json<WaitingRoom>, Problem> {
    allow(&caller)?;
    let cursor = query.cursor.as_deref();
    let page = Page::read(&app.cursors, &caller, scope("waiting", &[]), cursor, query.limit)?;
    let rows = operators::waiting(&app.pool, &page).await?;
    let page = page.cut(&app.cursors, rows);
    Ok(Json(WaitingRoom { waiting: page.rows, next_cursor: page.next_cursor }))
}
