//! `GET /v1/media`: media or posts of an account from Graph, with their comments.

use std::time::Duration;

use axum::Json;
use schemas::Channel;
use schemas::command::{Action, MediaSyncData};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::accounts;
use crate::app::State;
use crate::auth::{Caller, Scope};
use crate::comments::{self, Comment};
use crate::extract::Query;
use crate::from_graph::{self, Wanted};
use crate::problem::Problem;
use crate::time::Time;
use crate::worker_views::media::{self, Media};

/// How long a list that was read from Graph is shown again.
const CACHED: Duration = Duration::from_secs(60);
/// Comments shown under one media; `GET /v1/comments` has all.
const COMMENTS_MAX: i64 = 50;

/// Whose media.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct MediaQuery {
    /// The account.
    pub account_id: String,
    /// The channel, where both have an account of this id.
    #[param(value_type = Option<String>)]
    pub channel: Option<Channel>,
}

/// A media or post with comments.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WithComments {
    #[serde(flatten)]
    pub media: Media,
    /// The newest 50, newest first; answers name their `parent_id`. `GET /v1/comments?media_id=…` has all.
    pub comments: Vec<Comment>,
}

/// What Graph listed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MediaList {
    /// The newest 25, newest first.
    pub media: Vec<WithComments>,
    /// When Graph was asked; null: never.
    pub read_at: Option<Time>,
}

/// List the media or posts of an account
///
/// From Graph, with their newest comments; a list is shown again for 60 s. Asking Graph is a command and needs the scope `write`: with a
/// token that may only read, what was listed last is shown.
///
/// # Errors
/// 404 without such an account, 409 `ambiguous`, 422 naming the parameter, 502 `sync_failed` with Meta's answer.
#[utoipa::path(get, path = "/v1/media", tag = "comments", params(MediaQuery),
    responses((status = 200, body = MediaList), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem), (status = 502, body = Problem)))]
pub(crate) async fn list(
    axum::extract::State(app): State,
    caller: Caller,
    Query(query): Query<MediaQuery>,
) -> Result<Json<MediaList>, Problem> {
    let account = accounts::find(&app.pool, &caller, &query.account_id, query.channel).await?;
    let (channel, id) = (account.channel, account.id);
    let last = || media::last_read(&app.pool, channel, &id, CACHED.as_secs_f64());
    let mut read = last().await?;
    if caller.scope >= Scope::Write && read.is_none_or(|read| read.is_old) {
        let action = Action::MediaSync(MediaSyncData::default());
        let wanted = Wanted { channel, account: id.as_str().into(), contact: None, action };
        from_graph::sync(&app, &caller, &format!("media/{channel}/{id}"), wanted).await?;
        read = last().await?;
    }
    let listed = media::list(&app.pool, channel, &id).await?;
    let ids: Vec<String> = listed.iter().map(|media| media.id.clone()).collect();
    let comments = comments::under(&app.pool, channel, &id, &ids, COMMENTS_MAX).await?;
    let mut media: Vec<WithComments> =
        listed.into_iter().map(|media| WithComments { media, comments: Vec::new() }).collect();
    for comment in comments {
        let under = comment.media_id.as_ref().or(comment.post_id.as_ref());
        if let Some(place) = media.iter_mut().find(|one| Some(&one.media.id) == under) {
            place.comments.push(comment);
        }
    }
    Ok(Json(MediaList { media, read_at: read.map(|read| read.read_at) }))
}
