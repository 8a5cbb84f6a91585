//! `GET /v1/mentions`: where others mentioned an account.

use std::borrow::Cow;

use axum::Json;
use schemas::Channel;
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, Postgres, QueryBuilder};
use utoipa::{IntoParams, ToSchema};

use crate::State;
use crate::extract::Query;
use crate::list::{Keyed, List, Page, Time, equals};
use crate::problem::Problem;

/// A mention.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub struct Mention {
    /// Our id.
    pub id: String,
    /// `instagram` or `messenger` (Facebook).
    pub channel: String,
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
pub struct Mentions {
    /// Newest first.
    pub mentions: Vec<Mention>,
    /// How many there are with these filters.
    pub total: i64,
    /// For the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// Which mentions.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MentionsQuery {
    /// Only this channel.
    #[param(value_type = Option<String>)]
    pub channel: Option<Channel>,
    /// Only this account.
    pub account_id: Option<String>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows per page, 1 to 200; 50 unless set.
    pub limit: Option<u32>,
}

const LIST: List = List {
    name: "mentions",
    columns: "m.id, m.channel, m.account_id, m.media_id, m.comment_id, m.post_id, m.item, m.author_id, m.author_username, m.text, \
              m.mentioned_at, m.deleted_at",
    from: "inbox.mentions m",
    time: "m.mentioned_at",
    id: "m.id",
};

/// List mentions
///
/// # Errors
/// 422 naming the parameter.
#[utoipa::path(get, path = "/v1/mentions", tag = "comments", params(MentionsQuery),
    responses((status = 200, body = Mentions), (status = 401, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub async fn list(
    axum::extract::State(app): State,
    Query(query): Query<MentionsQuery>,
) -> Result<Json<Mentions>, Problem> {
    let filters = format!("{:?}", (&query.channel, &query.account_id));
    let page = Page { cursor: query.cursor.as_deref(), limit: query.limit, filters };
    let filter = |builder: &mut QueryBuilder<Postgres>| {
        equals(builder, "m.channel", query.channel.map(Channel::as_str));
        equals(builder, "m.account_id", query.account_id.as_deref());
        builder.push(" and m.deleted_at is null");
    };
    let (rows, total) = tokio::try_join!(
        LIST.page(&app.pool, &app.cursors, &page, filter),
        LIST.total(&app.pool, filter)
    )?;
    Ok(Json(Mentions { mentions: rows.rows, total, next_cursor: rows.next_cursor }))
}
