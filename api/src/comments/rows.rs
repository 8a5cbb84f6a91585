//! `inbox.comments`: what can be asked of it, its rows and the statements over it.

use std::borrow::Cow;

use schemas::{AccountId, Channel};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{FromRow, PgPool};
use utoipa::{IntoParams, ToSchema};

use crate::auth::Reach;
use crate::list::{COUNT_MAX, Keyed, Page, flag, scope};
use crate::time::Time;

/// Which comments.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CommentsQuery {
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
    /// `true`: first read the comments of `media_id` from Graph. Needs a token that may write.
    pub sync: Option<bool>,
    /// What the caller may see of them.
    #[serde(skip)]
    #[param(ignore)]
    pub reach: Reach,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows per page, 1 to 200; 50 unless set.
    pub limit: Option<u32>,
}

impl CommentsQuery {
    /// The accounts whose rows are shown; `None`: whichever.
    fn accounts(&self) -> Option<Vec<String>> {
        self.reach.within(self.account_id.as_deref())
    }

    pub(crate) fn scope(&self) -> String {
        let filters = [
            ("channel", self.channel.map(Channel::as_str)),
            ("account_id", self.account_id.as_deref()),
            ("media_id", self.media_id.as_deref()),
            ("parent_id", self.parent_id.as_deref()),
            ("hidden", flag(self.hidden)),
            ("deleted", flag(Some(self.deleted()))),
        ];
        scope("comments", &filters)
    }

    fn deleted(&self) -> bool {
        self.deleted.unwrap_or(false)
    }
}

/// Who wrote it, as far as Meta tells.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub(crate) struct Author {
    /// Meta's id.
    #[sqlx(rename = "author_id")]
    pub id: Option<String>,
    /// The name or handle.
    #[sqlx(rename = "author_username")]
    pub username: Option<String>,
    /// The account itself.
    #[serde(rename = "self")]
    #[sqlx(rename = "author_self")]
    pub is_self: bool,
}

/// A comment.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub(crate) struct Comment {
    /// Meta's id; for the routes of one comment.
    pub id: String,
    /// `instagram` or `messenger` (Facebook).
    #[schema(value_type = String)]
    pub channel: Channel,
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
    #[sqlx(flatten)]
    pub author: Author,
    /// Its text; null once deleted.
    pub text: Option<String>,
    /// The picture, sticker or film, as `{type, url}`; its link expires. Null once deleted.
    #[schema(value_type = Option<Object>)]
    pub attachment: Option<Value>,
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

impl Keyed for Comment {
    fn key(&self) -> (Time, Cow<'_, str>) {
        // Two accounts may know the same comment.
        (self.created_at, format!("{}/{}/{}", self.id, self.channel, self.account_id).into())
    }
}

/// One page of a list.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn page(
    pool: &PgPool,
    query: &CommentsQuery,
    page: &Page,
) -> sqlx::Result<Vec<Comment>> {
    sqlx::query_as(
        "select c.id, c.channel, c.account_id, c.comment_id, c.parent_id, c.media_id, c.post_id, c.author_id, c.author_username,
                c.author_self, c.text, c.attachment, c.live, c.ad, c.reactions, c.hidden, c.created_at, c.edited_at, c.deleted_at
         from inbox.comments c
         where ($1::text is null or c.channel = $1)
           and ($2::text[] is null or case cardinality($2) when 1 then c.account_id = ($2)[1] else c.account_id = any($2) end)
           and ($3::text is null or coalesce(c.media_id, c.post_id) = $3)
           and ($4::text is null or c.parent_id = $4)
           and ($5::boolean is null or c.hidden = $5)
           and ($6::boolean or c.deleted_at is null)
           and (c.created_at, c.id || '/' || c.channel || '/' || c.account_id)
               < (coalesce($7::timestamptz, 'infinity'), coalesce($8::text, ''))
         order by c.created_at desc, c.id || '/' || c.channel || '/' || c.account_id desc
         limit $9",
    )
    .bind(query.channel)
    .bind(query.accounts())
    .bind(query.media_id.as_deref())
    .bind(query.parent_id.as_deref())
    .bind(query.hidden)
    .bind(query.deleted())
    .bind(page.after_time())
    .bind(page.after_id())
    .bind(page.fetch())
    .persistent(false)
    .fetch_all(pool)
    .await
}

/// How many comments the filters let through.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn total(pool: &PgPool, query: &CommentsQuery) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select count(*)
         from (select from inbox.comments c
         where ($1::text is null or c.channel = $1)
           and ($2::text[] is null or case cardinality($2) when 1 then c.account_id = ($2)[1] else c.account_id = any($2) end)
           and ($3::text is null or coalesce(c.media_id, c.post_id) = $3)
           and ($4::text is null or c.parent_id = $4)
           and ($5::boolean is null or c.hidden = $5)
           and ($6::boolean or c.deleted_at is null)
         limit $7) counted",
    )
    .bind(query.channel)
    .bind(query.accounts())
    .bind(query.media_id.as_deref())
    .bind(query.parent_id.as_deref())
    .bind(query.hidden)
    .bind(query.deleted())
    .bind(COUNT_MAX)
    .persistent(false)
    .fetch_one(pool)
    .await
}

/// An account that knows a comment or a media.
#[derive(PartialEq, FromRow)]
pub(crate) struct Owner {
    pub channel: Channel,
    pub account_id: AccountId,
}

/// The accounts that know a comment, at most 10.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn owners_of_comment(pool: &PgPool, id: &str) -> sqlx::Result<Vec<Owner>> {
    sqlx::query_as(
        "select distinct channel, account_id from inbox.comments where comment_id = $1 order by 1, 2 limit 10",
    )
    .bind(id)
    .fetch_all(pool)
    .await
}

/// The accounts that know a media or post: by its comments, as a post, or by a mention; at most 10.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn owners_of_media(pool: &PgPool, id: &str) -> sqlx::Result<Vec<Owner>> {
    sqlx::query_as(
        "select distinct channel, account_id from (
             select channel, account_id from inbox.comments where coalesce(media_id, post_id) = $1
             union select channel, account_id from inbox.posts where post_id = $1
             union select channel, account_id from inbox.mentions where media_id = $1 or post_id = $1) known
         order by 1, 2 limit 10",
    )
    .bind(id)
    .fetch_all(pool)
    .await
}

/// The newest comments under each of these media or posts of an account, at most `each` of one; deleted ones are left out.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn under(
    pool: &PgPool,
    channel: Channel,
    account: &str,
    media: &[String],
    each: i64,
) -> sqlx::Result<Vec<Comment>> {
    sqlx::query_as(
        "select c.id, c.channel, c.account_id, c.comment_id, c.parent_id, c.media_id, c.post_id, c.author_id, c.author_username,
                c.author_self, c.text, c.attachment, c.live, c.ad, c.reactions, c.hidden, c.created_at, c.edited_at, c.deleted_at
           from unnest($3::text[]) as u (media)
          cross join lateral (
                select * from inbox.comments c
                 where c.channel = $1 and c.account_id = $2 and coalesce(c.media_id, c.post_id) = u.media and c.deleted_at is null
                 order by c.created_at desc limit $4) c
          order by c.created_at desc, c.id desc",
    )
    .bind(channel)
    .bind(account)
    .bind(media)
    .bind(each)
    .persistent(false)
    .fetch_all(pool)
    .await
}
