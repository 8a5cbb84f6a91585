//! `GET /v1/comments`; answering, hiding, deleting and writing them is in `write`.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::State;
use crate::auth::Caller;
use crate::extract::Query;
use crate::list::{Page, Total};
use crate::problem::Problem;

pub(crate) mod hide;
mod rows;
pub(crate) mod write;

use rows::{Comment, CommentsQuery};

/// A page of comments.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Comments {
    /// Newest first.
    pub comments: Vec<Comment>,
    #[serde(flatten)]
    pub total: Total,
    /// For the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// List comments
///
/// Newest first; deleted ones only when asked for.
///
/// # Errors
/// 422 naming the parameter.
#[utoipa::path(get, path = "/v1/comments", tag = "comments", params(CommentsQuery),
    responses((status = 200, body = Comments), (status = 401, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn list(
    axum::extract::State(app): State,
    caller: Caller,
    Query(mut query): Query<CommentsQuery>,
) -> Result<Json<Comments>, Problem> {
    query.reach = caller.reach.clone();
    let page =
        Page::read(&app.cursors, &caller, query.scope(), query.cursor.as_deref(), query.limit)?;
    let total = app.totals.get(page.scope(), rows::total(&app.pool, &query));
    let (rows, total) = tokio::try_join!(rows::page(&app.pool, &query, &page), total)?;
    let page = page.cut(&app.cursors, rows);
    Ok(Json(Comments { comments: page.rows, total, next_cursor: page.next_cursor }))
}
