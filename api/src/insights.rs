//! `GET /v1/insights`: figures as they were captured; and the statements over `inbox.insights`.

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
use crate::list::{COUNT_MAX, Keyed, Page, Total, scope};
use crate::problem::Problem;
use crate::time::Time;

/// One metric at one time.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub(crate) struct Insight {
    /// Our id.
    pub id: String,
    /// The channel.
    #[schema(value_type = String)]
    pub channel: Channel,
    /// The account.
    pub account_id: String,
    /// `account`, `media` or `story`.
    pub object: String,
    /// The media or story.
    pub media_id: Option<String>,
    /// The metric's name.
    pub metric: String,
    /// `day`, `lifetime`, …
    pub period: Option<String>,
    /// Meta's values; -1 means below 5.
    #[schema(value_type = Object)]
    pub values: Value,
    /// When they were captured.
    pub captured_at: Time,
}

impl Keyed for Insight {
    fn key(&self) -> (Time, Cow<'_, str>) {
        (self.captured_at, Cow::Borrowed(&self.id))
    }
}

/// A page of figures.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Insights {
    /// Newest first.
    pub insights: Vec<Insight>,
    #[serde(flatten)]
    pub total: Total,
    /// For the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// Which figures.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct InsightsQuery {
    /// Only this channel.
    #[param(value_type = Option<String>)]
    pub channel: Option<Channel>,
    /// Only this account.
    pub account_id: Option<String>,
    /// Only of this media or story.
    pub media_id: Option<String>,
    /// Only this metric.
    pub metric: Option<String>,
    /// What the caller may see of them.
    #[serde(skip)]
    #[param(ignore)]
    pub reach: Reach,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows per page, 1 to 200; 50 unless set.
    pub limit: Option<u32>,
}

impl InsightsQuery {
    /// The accounts whose rows are shown; `None`: whichever.
    fn accounts(&self) -> Option<Vec<String>> {
        self.reach.within(self.account_id.as_deref())
    }

    fn scope(&self) -> String {
        let filters = [
            ("channel", self.channel.map(Channel::as_str)),
            ("account_id", self.account_id.as_deref()),
            ("media_id", self.media_id.as_deref()),
            ("metric", self.metric.as_deref()),
        ];
        scope("insights", &filters)
    }
}

/// List figures
///
/// # Errors
/// 422 naming the parameter.
#[utoipa::path(get, path = "/v1/insights", tag = "insights", params(InsightsQuery),
    responses((status = 200, body = Insights), (status = 401, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn list(
    axum::extract::State(app): State,
    caller: Caller,
    Query(mut query): Query<InsightsQuery>,
) -> Result<Json<Insights>, Problem> {
    query.reach = caller.reach.clone();
    let page =
        Page::read(&app.cursors, &caller, query.scope(), query.cursor.as_deref(), query.limit)?;
    let total = app.totals.get(page.scope(), total(&app.pool, &query));
    let (rows, total) = tokio::try_join!(rows(&app.pool, &query, &page), total)?;
    let page = page.cut(&app.cursors, rows);
    Ok(Json(Insights { insights: page.rows, total, next_cursor: page.next_cursor }))
}

/// Read figures from Graph now
///
/// Not implemented yet: the worker cannot do it.
///
/// # Errors
/// 501.
#[utoipa::path(post, path = "/v1/insights/refresh", tag = "insights",
    responses((status = 401, body = Problem), (status = 501, body = Problem)))]
pub(crate) async fn refresh() -> Problem {
    Problem::not_implemented("reading insights from Graph")
}

async fn rows(pool: &PgPool, query: &InsightsQuery, page: &Page) -> sqlx::Result<Vec<Insight>> {
    sqlx::query_as(
        "select i.id, i.channel, i.account_id, i.object, i.media_id, i.metric, i.period, i.values, i.captured_at
         from inbox.insights i
         where ($1::text is null or i.channel = $1)
           and ($2::text[] is null or case cardinality($2) when 1 then i.account_id = ($2)[1] else i.account_id = any($2) end)
           and ($3::text is null or i.media_id = $3)
           and ($4::text is null or i.metric = $4)
           and (i.captured_at, i.id) < (coalesce($5::timestamptz, 'infinity'), coalesce($6::text, ''))
         order by i.captured_at desc, i.id desc
         limit $7",
    )
    .bind(query.channel)
    .bind(query.accounts())
    .bind(query.media_id.as_deref())
    .bind(query.metric.as_deref())
    .bind(page.after_time())
    .bind(page.after_id())
    .bind(page.fetch())
    .persistent(false)
    .fetch_all(pool)
    .await
}

async fn total(pool: &PgPool, query: &InsightsQuery) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select count(*)
         from (select from inbox.insights i
         where ($1::text is null or i.channel = $1)
           and ($2::text[] is null or case cardinality($2) when 1 then i.account_id = ($2)[1] else i.account_id = any($2) end)
           and ($3::text is null or i.media_id = $3)
           and ($4::text is null or i.metric = $4)
         limit $5) counted",
    )
    .bind(query.channel)
    .bind(query.accounts())
    .bind(query.media_id.as_deref())
    .bind(query.metric.as_deref())
    .bind(COUNT_MAX)
    .persistent(false)
    .fetch_one(pool)
    .await
}
