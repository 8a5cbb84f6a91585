//! Comments: listing, answering, hiding, deleting and writing them.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Json;
use schemas::command::{Action, CommentCreateData, CommentRef, CommentTextData};
use schemas::{AccountId, Channel};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{FromRow, PgPool, Postgres, QueryBuilder};
use utoipa::{IntoParams, ToSchema};

use crate::auth::Caller;
use crate::commands::{CommandState, Wish};
use crate::extract::{Body, Id, IdempotencyKey, Nothing, Query, check_text, wait_of};
use crate::list::{Keyed, List, Page, Time, equals};
use crate::problem::Problem;
use crate::{App, State, accounts};

/// Longest text of a comment (`meta-platform.md` section 12 has no shorter one that holds for both channels).
const TEXT_MAX: usize = 8000;

/// Who wrote it, as far as Meta tells.
#[derive(Debug, Serialize, ToSchema)]
pub struct Author {
    /// Meta's id.
    pub id: Option<String>,
    /// The name or handle.
    pub username: Option<String>,
    /// The account itself.
    #[serde(rename = "self")]
    pub is_self: bool,
}

/// A comment.
#[derive(Debug, Serialize, ToSchema)]
pub struct Comment {
    /// Meta's id; for the routes of one comment.
    pub id: String,
    /// `instagram` or `messenger` (Facebook).
    pub channel: String,
    /// The account.
    pub account_id: String,
    /// Meta's id.
    pub comment_id: String,
    /// The comment it answers.
    pub parent_id: Option<String>,
    /// Instagram: the media.
    pub media_id: Option<String>,
    /// Facebook: the post.
    pub post_id: Option<String>,
    /// Who wrote it.
    pub author: Author,
    /// Its text; null once deleted.
    pub text: Option<String>,
    /// During a live video.
    pub live: bool,
    /// The ad it is on.
    #[schema(value_type = Option<Object>)]
    pub ad: Option<Value>,
    /// People per reaction.
    #[schema(value_type = Object)]
    pub reactions: Value,
    /// Hidden from others.
    pub hidden: bool,
    /// When it was written.
    pub created_at: Time,
    /// When it was edited.
    pub edited_at: Option<Time>,
    /// When it was deleted.
    pub deleted_at: Option<Time>,
}

impl<'r> FromRow<'r, sqlx::postgres::PgRow> for Comment {
    fn from_row(row: &'r sqlx::postgres::PgRow) -> Result<Self, sqlx::Error> {
        use sqlx::Row;
        Ok(Self {
            id: row.try_get("id")?,
            channel: row.try_get("channel")?,
            account_id: row.try_get("account_id")?,
            comment_id: row.try_get("comment_id")?,
            parent_id: row.try_get("parent_id")?,
            media_id: row.try_get("media_id")?,
            post_id: row.try_get("post_id")?,
            author: Author {
                id: row.try_get("author_id")?,
                username: row.try_get("author_username")?,
                is_self: row.try_get("author_self")?,
            },
            text: row.try_get("text")?,
            live: row.try_get("live")?,
            ad: row.try_get("ad")?,
            reactions: row.try_get("reactions")?,
            hidden: row.try_get("hidden")?,
            created_at: row.try_get("created_at")?,
            edited_at: row.try_get("edited_at")?,
            deleted_at: row.try_get("deleted_at")?,
        })
    }
}

impl Keyed for Comment {
    fn key(&self) -> (Time, Cow<'_, str>) {
        (self.created_at, format!("{}/{}/{}", self.id, self.channel, self.account_id).into())
    }
}

/// A page of comments.
#[derive(Debug, Serialize, ToSchema)]
pub struct Comments {
    /// Newest first.
    pub comments: Vec<Comment>,
    /// How many there are with these filters.
    pub total: i64,
    /// For the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// Which comments.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CommentsQuery {
    /// Only this channel.
    #[param(value_type = Option<String>)]
    pub channel: Option<Channel>,
    /// Only this account.
    pub account_id: Option<String>,
    /// Only on this media or post.
    pub media_id: Option<String>,
    /// Only answers to this comment.
    pub parent_id: Option<String>,
    /// Only hidden ones, or only those not hidden.
    pub hidden: Option<bool>,
    /// `true`: also deleted ones.
    pub deleted: Option<bool>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows per page, 1 to 200; 50 unless set.
    pub limit: Option<u32>,
}

const LIST: List = List {
    name: "comments",
    columns: "c.id, c.channel, c.account_id, c.comment_id, c.parent_id, c.media_id, c.post_id, c.author_id, c.author_username, \
              c.author_self, c.text, c.live, c.ad, c.reactions, c.hidden, c.created_at, c.edited_at, c.deleted_at",
    from: "inbox.comments c",
    time: "c.created_at",
    // Two accounts may know the same comment.
    id: "c.id || '/' || c.channel || '/' || c.account_id",
};

impl CommentsQuery {
    fn filters(&self) -> String {
        format!(
            "{:?}",
            (
                &self.channel,
                &self.account_id,
                &self.media_id,
                &self.parent_id,
                self.hidden,
                self.deleted.unwrap_or(false)
            )
        )
    }

    fn push(&self, query: &mut QueryBuilder<Postgres>) {
        equals(query, "c.channel", self.channel.map(Channel::as_str));
        equals(query, "c.account_id", self.account_id.as_deref());
        equals(query, "coalesce(c.media_id, c.post_id)", self.media_id.as_deref());
        equals(query, "c.parent_id", self.parent_id.as_deref());
        match self.hidden {
            Some(true) => query.push(" and c.hidden"),
            Some(false) => query.push(" and not c.hidden"),
            None => query,
        };
        if self.deleted != Some(true) {
            query.push(" and c.deleted_at is null");
        }
    }
}

/// List comments
///
/// Newest first; deleted ones only when asked for.
///
/// # Errors
/// 422 naming the parameter.
#[utoipa::path(get, path = "/v1/comments", tag = "comments", params(CommentsQuery),
    responses((status = 200, body = Comments), (status = 401, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub async fn list(
    axum::extract::State(app): State,
    Query(query): Query<CommentsQuery>,
) -> Result<Json<Comments>, Problem> {
    let page =
        Page { cursor: query.cursor.as_deref(), limit: query.limit, filters: query.filters() };
    let (rows, total) = tokio::try_join!(
        LIST.page(&app.pool, &app.cursors, &page, |builder| query.push(builder)),
        LIST.total(&app.pool, |builder| query.push(builder)),
    )?;
    Ok(Json(Comments { comments: rows.rows, total, next_cursor: rows.next_cursor }))
}

/// Whose comment, and how long to wait.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TargetQuery {
    /// The channel, where several accounts know the id or none does yet.
    #[param(value_type = Option<String>)]
    pub channel: Option<Channel>,
    /// The account, likewise.
    pub account_id: Option<String>,
    /// How long to wait for the outcome, such as `5s`; at most `30s`.
    pub wait: Option<String>,
}

/// A text.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewText {
    /// What to say.
    pub text: String,
}

/// What to change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Whether it is hidden.
    pub hidden: bool,
}

/// Answer a comment in public
///
/// # Errors
/// 404, 409, 422, 503.
#[utoipa::path(post, path = "/v1/comments/{id}/replies", tag = "comments", request_body = NewText,
    params(("id" = String, Path, description = "Meta's id of the comment"), TargetQuery),
    responses((status = 200, description = "The outcome is known", body = CommandState), (status = 202, description = "On its way", body = CommandState),
        (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem),
        (status = 503, body = Problem)))]
pub async fn reply(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<TargetQuery>,
    key: IdempotencyKey,
    Body(body): Body<NewText>,
) -> Result<CommandState, Problem> {
    check_text("text", &body.text, TEXT_MAX)?;
    let action = Action::CommentReply(CommentTextData { comment_id: id.clone(), text: body.text });
    on_comment(&app, &caller, &id, query, key, action).await
}

/// Answer a comment by a message to its author
///
/// # Errors
/// 404, 409, 422, 503.
#[utoipa::path(post, path = "/v1/comments/{id}/private_reply", tag = "comments", request_body = NewText,
    params(("id" = String, Path, description = "Meta's id of the comment"), TargetQuery),
    responses((status = 200, description = "The outcome is known", body = CommandState), (status = 202, description = "On its way", body = CommandState),
        (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem),
        (status = 503, body = Problem)))]
pub async fn private_reply(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<TargetQuery>,
    key: IdempotencyKey,
    Body(body): Body<NewText>,
) -> Result<CommandState, Problem> {
    check_text("text", &body.text, TEXT_MAX)?;
    let action =
        Action::CommentPrivateReply(CommentTextData { comment_id: id.clone(), text: body.text });
    on_comment(&app, &caller, &id, query, key, action).await
}

/// Hide a comment, or show it again
///
/// # Errors
/// 404, 409, 422, 503.
#[utoipa::path(patch, path = "/v1/comments/{id}", tag = "comments", request_body = Change,
    params(("id" = String, Path, description = "Meta's id of the comment"), TargetQuery),
    responses((status = 200, description = "The outcome is known", body = CommandState), (status = 202, description = "On its way", body = CommandState),
        (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem),
        (status = 503, body = Problem)))]
pub async fn change(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<TargetQuery>,
    key: IdempotencyKey,
    Body(body): Body<Change>,
) -> Result<CommandState, Problem> {
    let act = if body.hidden { Action::CommentHide } else { Action::CommentUnhide };
    let action = act(CommentRef { comment_id: id.clone() });
    on_comment(&app, &caller, &id, query, key, action).await
}

/// Delete a comment
///
/// # Errors
/// 404, 409, 503.
#[utoipa::path(delete, path = "/v1/comments/{id}", tag = "comments",
    params(("id" = String, Path, description = "Meta's id of the comment"), TargetQuery),
    responses((status = 200, description = "The outcome is known", body = CommandState), (status = 202, description = "On its way", body = CommandState),
        (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 503, body = Problem)))]
pub async fn delete(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<TargetQuery>,
    key: IdempotencyKey,
    Body(Nothing {}): Body<Nothing>,
) -> Result<CommandState, Problem> {
    let action = Action::CommentDelete(CommentRef { comment_id: id.clone() });
    on_comment(&app, &caller, &id, query, key, action).await
}

/// Comment on a media or post
///
/// # Errors
/// 404 where neither the media nor the account is known, 409, 422, 503.
#[utoipa::path(post, path = "/v1/media/{id}/comments", tag = "comments", request_body = NewText,
    params(("id" = String, Path, description = "Meta's id of the media or post"), TargetQuery),
    responses((status = 200, description = "The outcome is known", body = CommandState), (status = 202, description = "On its way", body = CommandState),
        (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem),
        (status = 503, body = Problem)))]
pub async fn create(
    axum::extract::State(app): State,
    caller: Caller,
    Id(id): Id,
    Query(query): Query<TargetQuery>,
    key: IdempotencyKey,
    Body(body): Body<NewText>,
) -> Result<CommandState, Problem> {
    check_text("text", &body.text, TEXT_MAX)?;
    let wait = wait_of(query.wait.as_deref())?;
    let known = "select distinct channel, account_id from (\
        select channel, account_id from inbox.comments where coalesce(media_id, post_id) = $1 \
        union select channel, account_id from inbox.posts where post_id = $1 \
        union select channel, account_id from inbox.mentions where media_id = $1 or post_id = $1) known order by 1, 2 limit 10";
    let (channel, account) = owner(&app.pool, known, "media or post", &id, &query).await?;
    let action = Action::CommentCreate(CommentCreateData { media_id: id, text: body.text });
    let wish = Wish { caller: &caller, key: key.0, channel, account, contact: None, action };
    app.command(wish, wait).await
}

async fn on_comment(
    app: &Arc<App>,
    caller: &Caller,
    id: &str,
    query: TargetQuery,
    key: IdempotencyKey,
    action: Action,
) -> Result<CommandState, Problem> {
    let wait = wait_of(query.wait.as_deref())?;
    let known = "select distinct channel, account_id from inbox.comments where comment_id = $1 order by 1, 2 limit 10";
    let (channel, account) = owner(&app.pool, known, "comment", id, &query).await?;
    let wish = Wish { caller, key: key.0, channel, account, contact: None, action };
    app.command(wish, wait).await
}

/// The account that knows the thing, or the one the caller names where none does yet.
async fn owner(
    pool: &PgPool,
    known: &'static str,
    what: &str,
    id: &str,
    query: &TargetQuery,
) -> Result<(Channel, AccountId), Problem> {
    let mut found: Vec<(String, String)> = sqlx::query_as(known).bind(id).fetch_all(pool).await?;
    found.retain(|(channel, account)| {
        query.channel.is_none_or(|wanted| wanted.as_str() == channel)
            && query.account_id.as_ref().is_none_or(|wanted| wanted == account)
    });
    if found.len() > 1 {
        let choices: Vec<_> =
            found.iter().map(|(channel, account)| format!("{channel}/{account}")).collect();
        return Err(Problem::ambiguous("things", &choices));
    }
    if let Some((channel, account)) = found.pop() {
        return Ok((channel.parse().map_err(|_| Problem::internal())?, account.into()));
    }
    match (query.channel, &query.account_id) {
        (Some(channel), Some(account)) => {
            let account = accounts::find(pool, account, Some(channel)).await?;
            Ok((channel, account.id.into()))
        }
        _ => Err(Problem::not_found(format!(
            "no {what} with this id is known here: name its `channel` and `account_id` if Meta knows it"
        ))),
    }
}
