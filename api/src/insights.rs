//! Figures as they were captured, and reading them anew; and the statements over `inbox.insights`.

use std::borrow::Cow;

use axum::Json;
use chrono::{DateTime, Utc};
use schemas::command::{Action, InsightsData};
use schemas::{Channel, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{FromRow, PgPool};
use utoipa::{IntoParams, ToSchema};

use crate::accounts;
use crate::app::State;
use crate::auth::{Caller, Reach};
use crate::commands::{CommandState, NewCommand};
use crate::extract::{Body, IdempotencyKey, Query, wait_of};
use crate::list::{COUNT_MAX, Keyed, Page, Total, scope};
use crate::messages::send::WaitQuery;
use crate::problem::Problem;
use crate::time::Time;

/// One metric at one time.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub(crate) struct Insight {
    /// Our id.
    #[serde(skip)]
    pub row_id: String,
    /// The channel.
    #[schema(value_type = String)]
    pub channel: Channel,
    /// The account.
    pub account_id: String,
    /// `account`, `media` or `story`.
    pub scope: String,
    /// The media or story; null for the account.
    pub id: Option<String>,
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
        (self.captured_at, Cow::Borrowed(&self.row_id))
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
    /// Only of `account`, `media` or `story`.
    #[serde(rename = "scope")]
    #[param(rename = "scope")]
    pub of: Option<String>,
    /// Only of this media or story.
    pub id: Option<String>,
    /// Only this metric.
    pub metric: Option<String>,
    /// Captured at or after this time.
    pub since: Option<String>,
    /// Captured before this time.
    pub until: Option<String>,
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
            ("scope", self.of.as_deref()),
            ("id", self.id.as_deref()),
            ("metric", self.metric.as_deref()),
            ("since", self.since.as_deref()),
            ("until", self.until.as_deref()),
        ];
        scope("insights", &filters)
    }

    fn times(&self) -> Result<Times, Problem> {
        Ok(Times {
            since: time_of("since", self.since.as_deref())?,
            until: time_of("until", self.until.as_deref())?,
        })
    }
}

/// Between which times.
#[derive(Clone, Copy)]
struct Times {
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
}

fn time_of(name: &str, text: Option<&str>) -> Result<Option<DateTime<Utc>>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let time: Timestamp = text.parse().map_err(|_| {
        Problem::invalid(name, "use a time of RFC 3339, such as 2026-11-21T10:00:00Z")
    })?;
    Ok(Some(time.to_datetime()))
}

/// List figures
///
/// # Errors
/// 422 naming the parameter.
#[utoipa::path(get, path = "/v1/insights", tag = "insights", params(InsightsQuery),
    responses((status = 200, body = Insights), (status = 422, body = Problem)))]
pub(crate) async fn list(
    axum::extract::State(app): State,
    caller: Caller,
    Query(mut query): Query<InsightsQuery>,
) -> Result<Json<Insights>, Problem> {
    query.reach = caller.reach.clone();
    let page =
        Page::read(&app.cursors, &caller, query.scope(), query.cursor.as_deref(), query.limit)?;
    let times = query.times()?;
    let total = app.totals.get(page.scope(), total(&app.pool, &query, times));
    let (rows, total) = tokio::try_join!(rows(&app.pool, &query, times, &page), total)?;
    let page = page.cut(&app.cursors, rows);
    Ok(Json(Insights { insights: page.rows, total, next_cursor: page.next_cursor }))
}

/// Figures to read.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refresh {
    /// The account.
    pub account_id: String,
    /// On this channel, where both have an account with this id.
    #[schema(value_type = Option<String>)]
    pub channel: Option<Channel>,
    /// `account`, `media` or `story`.
    pub scope: String,
    /// The media or story.
    pub id: Option<String>,
    /// Names of metrics, as Meta has them. One that Meta has no more is named in the outcome with its successor, and the others go on.
    pub metrics: Vec<String>,
    /// `day` or `lifetime`; each metric's own unless set.
    pub period: Option<String>,
}

/// Read figures from Graph now
///
/// A command: its outcome says what was captured, what was empty, and what Meta has no more.
///
/// # Errors
/// 404, 409, 422, 503.
#[utoipa::path(post, path = "/v1/insights/refresh", tag = "insights", request_body = Refresh, params(WaitQuery),
    responses((status = 200, description = "The outcome is known", body = CommandState), (status = 202, description = "On its way", body = CommandState),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn refresh(
    axum::extract::State(app): State,
    caller: Caller,
    Query(query): Query<WaitQuery>,
    key: IdempotencyKey,
    Body(body): Body<Refresh>,
) -> Result<CommandState, Problem> {
    let wait = wait_of(query.wait.as_deref())?;
    let account = accounts::find(&app.pool, &caller, &body.account_id, body.channel).await?;
    let Refresh { scope, id, metrics, period, .. } = body;
    let new = NewCommand {
        caller: &caller,
        key: key.0,
        channel: account.channel,
        account: account.id.into(),
        contact: None,
        action: Action::InsightsRefresh(InsightsData { id, metrics, period, scope }),
    };
    app.command(new, wait).await
}

async fn rows(
    pool: &PgPool,
    query: &InsightsQuery,
    times: Times,
    page: &Page,
) -> sqlx::Result<Vec<Insight>> {
    sqlx::query_as(
        "select i.id as row_id, i.channel, i.account_id, i.object as scope, i.media_id as id, i.metric, i.period, i.values, i.captured_at
         from inbox.insights i
         where ($1::text is null or i.channel = $1)
           and ($2::text[] is null or case cardinality($2) when 1 then i.account_id = ($2)[1] else i.account_id = any($2) end)
           and ($3::text is null or i.media_id = $3)
           and ($4::text is null or i.metric = $4)
           and (i.captured_at, i.id) < (coalesce($5::timestamptz, 'infinity'), coalesce($6::text, ''))
           and ($8::text is null or i.object = $8)
           and ($9::timestamptz is null or $9 <= i.captured_at) and ($10::timestamptz is null or i.captured_at < $10)
         order by i.captured_at desc, i.id desc
         limit $7",
    )
    .bind(query.channel)
    .bind(query.accounts())
    .bind(query.id.as_deref())
    .bind(query.metric.as_deref())
    .bind(page.after_time())
    .bind(page.after_id())
    .bind(page.fetch())
    .bind(query.of.as_deref())
    .bind(times.since)
    .bind(times.until)
    .persistent(false)
    .fetch_all(pool)
    .await
}

async fn total(pool: &PgPool, query: &InsightsQuery, times: Times) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select count(*)
         from (select from inbox.insights i
         where ($1::text is null or i.channel = $1)
           and ($2::text[] is null or case cardinality($2) when 1 then i.account_id = ($2)[1] else i.account_id = any($2) end)
           and ($3::text is null or i.media_id = $3)
           and ($4::text is null or i.metric = $4)
           and ($6::text is null or i.object = $6)
           and ($7::timestamptz is null or $7 <= i.captured_at) and ($8::timestamptz is null or i.captured_at < $8)
         limit $5) counted",
    )
    .bind(query.channel)
    .bind(query.accounts())
    .bind(query.id.as_deref())
    .bind(query.metric.as_deref())
    .bind(COUNT_MAX)
    .bind(query.of.as_deref())
    .bind(times.since)
    .bind(times.until)
    .persistent(false)
    .fetch_one(pool)
    .await
}
