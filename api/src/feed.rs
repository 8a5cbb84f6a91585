//! `GET /v1/feed`: posts of the accounts, with their comments and reactions counted; and the statements over `inbox.posts`.

use std::borrow::Cow;

use axum::Json;
use schemas::Channel;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{FromRow, PgPool};
use utoipa::{IntoParams, ToSchema};

use crate::app::State;
use crate::auth::{Caller, Reach};
use crate::extract::Query;
use crate::list::{COUNT_MAX, Keyed, Page, Total, flag, scope};
use crate::problem::Problem;
use crate::time::Time;

/// A post.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub(crate) struct Post {
    /// Our id.
    pub id: String,
    /// `instagram` or `messenger` (Facebook).
    #[schema(value_type = String)]
    pub channel: Channel,
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
pub(crate) struct Feed {
    /// Newest first.
    pub posts: Vec<Post>,
    #[serde(flatten)]
    pub total: Total,
    /// For the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// Which posts.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FeedQuery {
    /// Only this channel.
    #[param(value_type = Option<String>)]
    pub channel: Option<Channel>,
    /// Only this account.
    pub account_id: Option<String>,
    /// `true`: also deleted ones.
    pub deleted: Option<bool>,
    /// What the caller may see of them.
    #[serde(skip)]
    #[param(ignore)]
    pub reach: Reach,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows per page, 1 to 200; 50 unless set.
    pub limit: Option<u32>,
}

impl FeedQuery {
    /// The accounts whose rows are shown; `None`: whichever.
    fn accounts(&self) -> Option<Vec<String>> {
        self.reach.within(self.account_id.as_deref())
    }

    fn scope(&self) -> String {
        let filters = [
            ("channel", self.channel.map(Channel::as_str)),
            ("account_id", self.account_id.as_deref()),
            ("deleted", flag(Some(self.deleted()))),
        ];
        scope("feed", &filters)
    }

    fn deleted(&self) -> bool {
        self.deleted.unwrap_or(false)
    }
}

/// List posts
///
/// Those the webhooks told of, newest first; deleted ones only when asked for.
///
/// # Errors
/// 422 naming the parameter.
#[utoipa::path(get, path = "/v1/feed", tag = "comments", params(FeedQuery),
    responses((status = 200, body = Feed), (status = 422, body = Problem)))]
pub(crate) async fn list(
    axum::extract::State(app): State,
    caller: Caller,
    Query(mut query): Query<FeedQuery>,
) -> Result<Json<Feed>, Problem> {
    query.reach = caller.reach.clone();
    let page =
        Page::read(&app.cursors, &caller, query.scope(), query.cursor.as_deref(), query.limit)?;
    let total = app.totals.get(page.scope(), total(&app.pool, &query));
    let (rows, total) = tokio::try_join!(rows(&app.pool, &query, &page), total)?;
    let page = page.cut(&app.cursors, rows);
    Ok(Json(Feed { posts: page.rows, total, next_cursor: page.next_cursor }))
}

async fn rows(pool: &PgPool, query: &FeedQuery, page: &Page) -> sqlx::Result<Vec<Post>> {
    sqlx::query_as(
        "select p.id, p.channel, p.account_id, p.post_id, p.item, p.author_id, p.author_username, p.text, p.link, p.photos,
                p.video_id, p.published, p.hidden, p.reactions, p.created_at, p.edited_at, p.deleted_at,
                (select count(*) from inbox.comments c
                 where c.channel = p.channel and c.account_id = p.account_id and coalesce(c.media_id, c.post_id) = p.post_id
                   and c.deleted_at is null) as comments_total
         from inbox.posts p
         where ($1::text is null or p.channel = $1)
           and ($2::text[] is null or case cardinality($2) when 1 then p.account_id = ($2)[1] else p.account_id = any($2) end)
           and ($3::boolean or p.deleted_at is null)
           and (p.created_at, p.id) < (coalesce($4::timestamptz, 'infinity'), coalesce($5::text, ''))
         order by p.created_at desc, p.id desc
         limit $6",
    )
    .bind(query.channel)
    .bind(query.accounts())
    .bind(query.deleted())
    .bind(page.after_time())
    .bind(page.after_id())
    .bind(page.fetch())
    .persistent(false)
    .fetch_all(pool)
    .await
}

async fn total(pool: &PgPool, query: &FeedQuery) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select count(*)
         from (select from inbox.posts p
         where ($1::text is null or p.channel = $1)
           and ($2::text[] is null or case cardinality($2) when 1 then p.account_id = ($2)[1] else p.account_id = any($2) end)
           and ($3::boolean or p.deleted_at is null)
         limit $4) counted",
    )
    .bind(query.channel)
    .bind(query.accounts())
    .bind(query.deleted())
    .bind(COUNT_MAX)
    .persistent(false)
    .fetch_one(pool)
    .await
}
