//! `GET /v1/feed`: posts of the accounts, with their comments and reactions counted.

use std::borrow::Cow;

use axum::Json;
use schemas::Channel;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{FromRow, Postgres, QueryBuilder};
use utoipa::{IntoParams, ToSchema};

use crate::State;
use crate::extract::Query;
use crate::list::{Keyed, List, Page, Time, equals};
use crate::problem::Problem;

/// A post.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct Post {
    /// Our id.
    pub id: String,
    /// `instagram` or `messenger` (Facebook).
    pub channel: String,
    /// The account.
    pub account_id: String,
    /// Meta's id.
    pub post_id: Option<String>,
    /// `status`, `photo`, `video`, `share`, …
    pub item: String,
    /// Who wrote it, where Meta tells.
    pub author_id: Option<String>,
    /// Their name or handle.
    pub author_username: Option<String>,
    /// Its text; null once deleted.
    pub text: Option<String>,
    /// A link in it.
    pub link: Option<String>,
    /// Pictures in it.
    #[schema(value_type = Vec<String>)]
    pub photos: Value,
    /// A video in it.
    pub video_id: Option<String>,
    /// Whether it is published, where Meta tells.
    pub published: Option<bool>,
    /// Hidden from others.
    pub hidden: bool,
    /// People per reaction.
    #[schema(value_type = Object)]
    pub reactions: Value,
    /// Comments known, without deleted ones.
    pub comments_total: i64,
    /// When it was written.
    pub created_at: Time,
    /// When it was edited.
    pub edited_at: Option<Time>,
    /// When it was deleted.
    pub deleted_at: Option<Time>,
}

impl Keyed for Post {
    fn key(&self) -> (Time, Cow<'_, str>) {
        (self.created_at, Cow::Borrowed(&self.id))
    }
}

/// A page of posts.
#[derive(Debug, Serialize, ToSchema)]
pub struct Feed {
    /// Newest first.
    pub posts: Vec<Post>,
    /// How many there are with these filters.
    pub total: i64,
    /// For the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// Which posts.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FeedQuery {
    /// Only this channel.
    #[param(value_type = Option<String>)]
    pub channel: Option<Channel>,
    /// Only this account.
    pub account_id: Option<String>,
    /// `true`: also deleted ones.
    pub deleted: Option<bool>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows per page, 1 to 200; 50 unless set.
    pub limit: Option<u32>,
}

const LIST: List = List {
    name: "feed",
    columns: "p.id, p.channel, p.account_id, p.post_id, p.item, p.author_id, p.author_username, p.text, p.link, p.photos, p.video_id, \
              p.published, p.hidden, p.reactions, p.created_at, p.edited_at, p.deleted_at, (select count(*) from inbox.comments c where c.channel = p.channel and c.account_id = p.account_id \
              and coalesce(c.media_id, c.post_id) = p.post_id and c.deleted_at is null) as comments_total",
    from: "inbox.posts p",
    time: "p.created_at",
    id: "p.id",
};

/// List posts
///
/// Those the webhooks told of, newest first; deleted ones only when asked for.
///
/// # Errors
/// 422 naming the parameter.
#[utoipa::path(get, path = "/v1/feed", tag = "comments", params(FeedQuery),
    responses((status = 200, body = Feed), (status = 401, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub async fn list(
    axum::extract::State(app): State,
    Query(query): Query<FeedQuery>,
) -> Result<Json<Feed>, Problem> {
    let filters =
        format!("{:?}", (&query.channel, &query.account_id, query.deleted.unwrap_or(false)));
    let page = Page { cursor: query.cursor.as_deref(), limit: query.limit, filters };
    let filter = |builder: &mut QueryBuilder<Postgres>| {
        equals(builder, "p.channel", query.channel.map(Channel::as_str));
        equals(builder, "p.account_id", query.account_id.as_deref());
        if query.deleted != Some(true) {
            builder.push(" and p.deleted_at is null");
        }
    };
    let (rows, total) = tokio::try_join!(
        LIST.page(&app.pool, &app.cursors, &page, filter),
        LIST.total(&app.pool, filter)
    )?;
    Ok(Json(Feed { posts: rows.rows, total, next_cursor: rows.next_cursor }))
}
