//! `GET /v1/mentions`: where others mentioned an account; and the statements over `inbox.mentions`.

use std::borrow::Cow;

use axum::Json;
use schemas::Channel;
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgPool};
use utoipa::{IntoParams, ToSchema};

use crate::app::State;
use crate::auth::{Caller, Reach};
use crate::extract::Query;
use crate::list::{COUNT_MAX, Keyed, Page, Total, scope};
use crate::problem::Problem;
use crate::time::Time;

/// A mention.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub(crate) struct Mention {
    /// Our id.
    pub id: String,
    /// `instagram` or `messenger` (Facebook).
    #[schema(value_type = String)]
    pub channel: Channel,
    /// The account.
    pub account_id: String,
    /// Instagram: the media.
    pub media_id: Option<String>,
    /// The comment that mentions the account.
    pub comment_id: Option<String>,
    /// Facebook: the post.
    pub post_id: Option<String>,
    /// Facebook: `post` or `comment`.
    pub item: Option<String>,
    /// Who wrote it, where Meta tells.
    pub author_id: Option<String>,
    /// Their name or handle.
    pub author_username: Option<String>,
    /// Its text, where Meta tells.
    pub text: Option<String>,
    /// When.
    pub mentioned_at: Time,
    /// When it was removed.
    pub deleted_at: Option<Time>,
}

impl Keyed for Mention {
    fn key(&self) -> (Time, Cow<'_, str>) {
        (self.mentioned_at, Cow::Borrowed(&self.id))
    }
}

/// A page of mentions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Mentions {
    /// Newest first.
    pub mentions: Vec<Mention>,
    #[serde(flatten)]
    pub total: Total,
    /// For the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// Which mentions.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct MentionsQuery {
    /// Only this channel.
    #[param(value_type = Option<String>)]
    pub channel: Option<Channel>,
    /// Only this account.
    pub account_id: Option<String>,
    /// What the caller may see of them.
    #[serde(skip)]
    #[param(ignore)]
    pub reach: Reach,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows per page, 1 to 200; 50 unless set.
    pub limit: Option<u32>,
}

impl MentionsQuery {
    /// The accounts whose rows are shown; `None`: whichever.
    fn accounts(&self) -> Option<Vec<String>> {
        self.reach.within(self.account_id.as_deref())
    }

    fn scope(&self) -> String {
        let filters = [
            ("channel", self.channel.map(Channel::as_str)),
            ("account_id", self.account_id.as_deref()),
        ];
        scope("mentions", &filters)
    }
}

/// List mentions
///
/// # Errors
/// 422 naming the parameter.
#[utoipa::path(get, path = "/v1/mentions", tag = "comments", params(MentionsQuery),
    responses((status = 200, body = Mentions), (status = 422, body = Problem)))]
pub(crate) async fn list(
    axum::extract::State(app): State,
    caller: Caller,
    Query(mut query): Query<MentionsQuery>,
) -> Result<Json<Mentions>, Problem> {
    query.reach = caller.reach.clone();
    let page =
        Page::read(&app.cursors, &caller, query.scope(), query.cursor.as_deref(), query.limit)?;
    let total = app.totals.get(page.scope(), total(&app.pool, &query));
    let (rows, total) = tokio::try_join!(rows(&app.pool, &query, &page), total)?;
    let page = page.cut(&app.cursors, rows);
    Ok(Json(Mentions { mentions: page.rows, total, next_cursor: page.next_cursor }))
}

async fn rows(pool: &PgPool, query: &MentionsQuery, page: &Page) -> sqlx::Result<Vec<Mention>> {
    sqlx::query_as(
        "select m.id, m.channel, m.account_id, m.media_id, m.comment_id, m.post_id, m.item, m.author_id, m.author_username, m.text,
                m.mentioned_at, m.deleted_at
         from inbox.mentions m
         where m.deleted_at is null
           and ($1::text is null or m.channel = $1)
           and ($2::text[] is null or case cardinality($2) when 1 then m.account_id = ($2)[1] else m.account_id = any($2) end)
           and (m.mentioned_at, m.id) < (coalesce($3::timestamptz, 'infinity'), coalesce($4::text, ''))
         order by m.mentioned_at desc, m.id desc
         limit $5",
    )
    .bind(query.channel)
    .bind(query.accounts())
    .bind(page.after_time())
    .bind(page.after_id())
    .bind(page.fetch())
    .persistent(false)
    .fetch_all(pool)
    .await
}

async fn total(pool: &PgPool, query: &MentionsQuery) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select count(*)
         from (select from inbox.mentions m
         where m.deleted_at is null
           and ($1::text is null or m.channel = $1)
           and ($2::text[] is null or case cardinality($2) when 1 then m.account_id = ($2)[1] else m.account_id = any($2) end)
         limit $3) counted",
    )
    .bind(query.channel)
    .bind(query.accounts())
    .bind(COUNT_MAX)
    .persistent(false)
    .fetch_one(pool)
    .await
}
