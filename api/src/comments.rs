//! `GET /v1/comments`; answering, hiding, deleting and writing them is in `write`.

use std::sync::Arc;

use axum::Json;
use schemas::command::{Action, MediaSyncData};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::{App, State};
use crate::auth::{Caller, Scope};
use crate::extract::Query;
use crate::from_graph::{self, Wanted};
use crate::layers;
use crate::list::{Page, Total};
use crate::problem::Problem;

pub(crate) mod hide;
mod rows;
pub(crate) mod write;

use rows::CommentsQuery;
pub(crate) use rows::{Comment, Owner, under};
use write::TargetQuery;

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
/// Newest first; deleted ones only when asked for. With `sync=true` all comments of `media_id` are read from Graph first, answers included;
/// when that takes longer than 20 s, what is known is listed, and what comes later follows on `/v1/live`. Reading is a command: it needs
/// the scope `write`.
///
/// # Errors
/// 403 `insufficient_scope` for `sync=true` with a token that may only read, 404 `sync=true` for a media that no account knows, 422 naming the parameter, 502 `sync_failed` with Meta's answer.
#[utoipa::path(get, path = "/v1/comments", tag = "comments", params(CommentsQuery),
    responses((status = 200, body = Comments), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem), (status = 502, body = Problem)))]
pub(crate) async fn list(
    axum::extract::State(app): State,
    caller: Caller,
    Query(mut query): Query<CommentsQuery>,
) -> Result<Json<Comments>, Problem> {
    query.reach = caller.reach.clone();
    if query.sync == Some(true) {
        read_from_graph(&app, &caller, &query).await?;
    }
    let page =
        Page::read(&app.cursors, &caller, query.scope(), query.cursor.as_deref(), query.limit)?;
    let total = app.totals.get(page.scope(), rows::total(&app.pool, &query));
    let (rows, total) = tokio::try_join!(rows::page(&app.pool, &query, &page), total)?;
    let page = page.cut(&app.cursors, rows);
    Ok(Json(Comments { comments: page.rows, total, next_cursor: page.next_cursor }))
}

async fn read_from_graph(
    app: &Arc<App>,
    caller: &Caller,
    query: &CommentsQuery,
) -> Result<(), Problem> {
    layers::allow(caller, Scope::Write)?;
    let media = query.media_id.as_deref();
    let media = media.ok_or_else(|| {
        Problem::invalid("media_id", "`sync=true` reads the comments of one media: name it")
    })?;
    let named =
        TargetQuery { channel: query.channel, account_id: query.account_id.clone(), wait: None };
    let owner = write::owner_of_media(&app.pool, caller, media, &named).await?;
    let action = Action::MediaSync(MediaSyncData { media_id: Some(media.to_owned()) });
    let what = format!("media/{}/{}/{media}", owner.channel, owner.account_id);
    let wanted =
        Wanted { channel: owner.channel, account: owner.account_id, contact: None, action };
    from_graph::sync(app, caller, &what, wanted).await
}
