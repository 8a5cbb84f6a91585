//! `GET /v1/templates` and one of them.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::rows::{self, Template};
use crate::app::{App, State};
use crate::auth::Caller;
use crate::extract::{Id, Query};
use crate::list::{Page, scope};
use crate::problem::Problem;

/// A page of templates.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Templates {
    /// Newest first.
    pub templates: Vec<Template>,
    /// For the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// Which templates.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TemplatesQuery {
    /// Only this account.
    pub account_id: Option<String>,
    /// Only of this status.
    pub status: Option<String>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows per page, 1 to 200; 50 unless set.
    pub limit: Option<u32>,
}

/// List templates
///
/// # Errors
/// 422 naming the parameter.
#[utoipa::path(get, path = "/v1/templates", tag = "templates", params(TemplatesQuery),
    responses((status = 200, body = Templates), (status = 422, body = Problem)))]
pub(crate) async fn list(
    axum::extract::State(app): State,
    caller: Caller,
    Query(query): Query<TemplatesQuery>,
) -> Result<Json<Templates>, Problem> {
    let filters =
        [("account_id", query.account_id.as_deref()), ("status", query.status.as_deref())];
    let filters = scope("templates", &filters);
    let page = Page::read(&app.cursors, &caller, filters, query.cursor.as_deref(), query.limit)?;
    let accounts = caller.reach.within(query.account_id.as_deref());
    let rows = rows::page(&app.pool, accounts.as_deref(), query.status.as_deref(), &page).await?;
    let page = page.cut(&app.cursors, rows);
    Ok(Json(Templates { templates: page.rows, next_cursor: page.next_cursor }))
}

/// Read one template
///
/// # Errors
/// 404 when there is none.
#[utoipa::path(get, path = "/v1/templates/{id}", tag = "templates", params(("id" = String, Path, description = "`tpl_…`")),
    responses((status = 200, body = Template), (status = 404, body = Problem)))]
pub(crate) async fn show(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Template>, Problem> {
    find(&app, &caller, &id).await.map(Json)
}

/// The template, among those of the caller's accounts.
///
/// # Errors
/// 404 when there is none.
pub(super) async fn find(app: &App, caller: &Caller, id: &str) -> Result<Template, Problem> {
    let found = rows::by_id(&app.pool, id).await?;
    found
        .filter(|template| caller.reach.has(&template.account_id))
        .ok_or_else(|| Problem::unknown("template", id))
}
