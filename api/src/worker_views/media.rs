//! Media and posts of accounts, as Graph listed them last.

use runtime::db::absent_is_empty;
use schemas::Channel;
use serde::Serialize;
use sqlx::{FromRow, PgPool};
use utoipa::ToSchema;

use crate::comments::Owner;
use crate::time::Time;

/// A media or post of an account.
#[derive(Debug, Serialize, FromRow, ToSchema)]
pub(crate) struct Media {
    /// Meta's id.
    pub id: String,
    /// What it says.
    pub caption: Option<String>,
    /// Instagram: `IMAGE`, `VIDEO`, `CAROUSEL_ALBUM`.
    pub media_type: Option<String>,
    /// Where people see it.
    pub permalink: Option<String>,
    /// When it was published.
    pub posted_at: Option<Time>,
    /// As Meta counts: with answers and hidden ones, and late.
    pub comments_count: Option<i64>,
}

/// The latest list of an account, newest first.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn list(
    pool: &PgPool,
    channel: Channel,
    account: &str,
) -> sqlx::Result<Vec<Media>> {
    let listed = sqlx::query_as(
        "select m.media_id as id, m.caption, m.media_type, m.permalink, m.posted_at, m.comments_count
           from worker.media_list m
          where m.channel = $1 and m.account_id = $2
          order by m.posted_at desc nulls last, m.media_id desc",
    )
    .bind(channel)
    .bind(account)
    .fetch_all(pool)
    .await;
    absent_is_empty(listed)
}

/// When an account's list was read, and whether that is longer ago than `seconds`.
#[derive(Clone, Copy, Debug, FromRow)]
pub(crate) struct LastRead {
    pub(crate) read_at: Time,
    pub(crate) is_old: bool,
}

/// When the list of an account was read last; `None`: never.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn last_read(
    pool: &PgPool,
    channel: Channel,
    account: &str,
    seconds: f64,
) -> sqlx::Result<Option<LastRead>> {
    let read = sqlx::query_as(
        "select r.read_at, r.read_at < clock_timestamp() - make_interval(secs => $3) as is_old
           from worker.media_reads r where r.channel = $1 and r.account_id = $2",
    )
    .bind(channel)
    .bind(account)
    .bind(seconds)
    .fetch_optional(pool)
    .await;
    absent_is_empty(read)
}

/// The accounts with this media or post in their list, at most 10.
///
/// # Errors
/// `sqlx::Error`; nothing is changed by reading, call again.
pub(crate) async fn owners(pool: &PgPool, media: &str) -> sqlx::Result<Vec<Owner>> {
    let owners = sqlx::query_as(
        "select m.channel, m.account_id from worker.media_list m where m.media_id = $1 order by 1, 2 limit 10",
    )
    .bind(media)
    .fetch_all(pool)
    .await;
    absent_is_empty(owners)
}
