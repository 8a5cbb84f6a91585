//! `GET /v1/insights`: figures as they were captured.

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

/// One metric at one time.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct Insight {
    /// Our id.
    pub id: String,
    /// The channel.
    pub channel: String,
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
pub struct Insights {
    /// Newest first.
    pub insights: Vec<Insight>,
    /// How many there are with these filters.
    pub total: i64,
    /// For the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// Which figures.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct InsightsQuery {
    /// Only this channel.
    #[param(value_type = Option<String>)]
    pub channel: Option<Channel>,
    /// Only this account.
    pub account_id: Option<String>,
    /// Only of this media or story.
    pub media_id: Option<String>,
    /// Only this metric.
    pub metric: Option<String>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows per page, 1 to 200; 50 unless set.
    pub limit: Option<u32>,
}

const LIST: List = List {
    name: "insights",
    columns: "i.id, i.channel, i.account_id, i.object, i.media_id, i.metric, i.period, i.values, i.captured_at",
    from: "inbox.insights i",
    time: "i.captured_at",
    id: "i.id",
};

/// List figures
///
/// # Errors
/// 422 naming the parameter.
#[utoipa::path(get, path = "/v1/insights", tag = "insights", params(InsightsQuery),
    responses((status = 200, body = Insights), (status = 401, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub async fn list(
    axum::extract::State(app): State,
    Query(query): Query<InsightsQuery>,
) -> Result<Json<Insights>, Problem> {
    let filters =
        format!("{:?}", (&query.channel, &query.account_id, &query.media_id, &query.metric));
    let page = Page { cursor: query.cursor.as_deref(), limit: query.limit, filters };
    let filter = |builder: &mut QueryBuilder<Postgres>| {
        equals(builder, "i.channel", query.channel.map(Channel::as_str));
        equals(builder, "i.account_id", query.account_id.as_deref());
        equals(builder, "i.media_id", query.media_id.as_deref());
        equals(builder, "i.metric", query.metric.as_deref());
    };
    let (rows, total) = tokio::try_join!(
        LIST.page(&app.pool, &app.cursors, &page, filter),
        LIST.total(&app.pool, filter)
    )?;
    Ok(Json(Insights { insights: rows.rows, total, next_cursor: rows.next_cursor }))
}

/// Read figures from Graph now
///
/// Not implemented yet: the worker cannot do it.
///
/// # Errors
/// 501.
#[utoipa::path(post, path = "/v1/insights/refresh", tag = "insights",
    responses((status = 401, body = Problem), (status = 501, body = Problem)))]
pub async fn refresh() -> Problem {
    Problem::not_implemented("reading insights from Graph")
}
