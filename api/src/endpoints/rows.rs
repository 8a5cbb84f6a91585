//! The statements of endpoints.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use runtime::db::absent_is_empty;
use schemas::Timestamp;
use sqlx::{FromRow, PgPool};

use super::wanted::{EndpointChange, EndpointStatus, NewEndpoint};
use crate::list::Keyed;
use crate::time::Time;

/// An endpoint as it is defined, without its secrets.
#[derive(Debug, FromRow)]
pub(super) struct EndpointRow {
    pub id: String,
    pub url: String,
    pub description: Option<String>,
    pub kinds: Vec<String>,
    pub accounts: Vec<String>,
    pub paused: bool,
    pub previous_until: Option<Time>,
    pub created_at: Time,
    pub created_by: String,
}

impl Keyed for EndpointRow {
    fn key(&self) -> (Time, Cow<'_, str>) {
        (self.created_at, Cow::Borrowed(&self.id))
    }
}

/// What the worker knows of an endpoint.
#[derive(Debug, Default, FromRow)]
pub(super) struct Fields {
    pub endpoint_id: String,
    pub state: Option<String>,
    pub failing_since: Option<Time>,
    pub last_success_at: Option<Time>,
    pub last_failure_at: Option<Time>,
    pub last_error: Option<String>,
    pub held: i64,
    pub oldest_held_at: Option<Time>,
    pub position: Option<i64>,
}

/// The secrets of an endpoint that sign, sealed.
#[derive(Debug, FromRow)]
pub(super) struct Sealed {
    pub id: String,
    pub url: String,
    pub secret: Vec<u8>,
    pub previous_secret: Option<Vec<u8>>,
}

pub(super) async fn page(
    pool: &PgPool,
    after_time: Option<DateTime<Utc>>,
    after_id: Option<&str>,
    limit: i64,
) -> sqlx::Result<Vec<EndpointRow>> {
    sqlx::query_as(
        "select id, url, description, kinds, accounts, paused, previous_until, created_at, created_by
           from api.endpoints
          where (created_at, id) < (coalesce($1::timestamptz, 'infinity'), coalesce($2::text, ''))
          order by created_at desc, id desc limit $3",
    )
    .bind(after_time)
    .bind(after_id)
    .bind(limit)
    .persistent(false)
    .fetch_all(pool)
    .await
}

pub(super) async fn one(pool: &PgPool, id: &str) -> sqlx::Result<Option<EndpointRow>> {
    sqlx::query_as(
        "select id, url, description, kinds, accounts, paused, previous_until, created_at, created_by
           from api.endpoints where id = $1",
    )
    .bind(id)
    .fetch_optional(pool)
    .await
}

/// Empty where the worker has not seen them yet.
pub(super) async fn statuses(pool: &PgPool, ids: &[String]) -> sqlx::Result<Vec<Fields>> {
    let rows = sqlx::query_as(
        "select endpoint_id, state, failing_since, last_success_at, last_failure_at, last_error, held, oldest_held_at, position
           from worker.endpoint_status where endpoint_id = any($1)",
    )
    .bind(ids)
    .fetch_all(pool)
    .await;
    absent_is_empty(rows)
}

pub(super) async fn troubled(pool: &PgPool) -> sqlx::Result<Vec<EndpointStatus>> {
    sqlx::query_as(
        "select e.id, case when e.paused then 'paused' when s.state = 'active' then 'full' else s.state end as state, coalesce(s.held, 0) as held, s.last_error
           from api.endpoints e left join worker.endpoint_status s on s.endpoint_id = e.id
          where e.paused or s.state <> 'active' or s.held >= 5000 order by e.id",
    )
    .fetch_all(pool)
    .await
}

pub(super) async fn insert(
    pool: &PgPool,
    id: &str,
    new: &NewEndpoint,
    sealed: &[u8],
    by: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into api.endpoints (id, url, description, kinds, accounts, secret, created_by)
         values ($1, $2, nullif($3, ''), $4, $5, $6, $7)",
    )
    .bind(id)
    .bind(&new.url)
    .bind(&new.description)
    .bind(&new.kinds)
    .bind(&new.accounts)
    .bind(sealed)
    .bind(by)
    .execute(pool)
    .await
    .map(|_| ())
}

pub(super) async fn change(pool: &PgPool, id: &str, change: &EndpointChange) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update api.endpoints
            set url = coalesce($2, url), kinds = coalesce($3, kinds), accounts = coalesce($4, accounts),
                description = case when $5::text is null then description else nullif($5, '') end,
                paused = coalesce($6, paused), resumes = resumes + case when $6 = false then 1 else 0 end,
                changes = changes + 1
          where id = $1",
    )
    .bind(id)
    .bind(&change.url)
    .bind(&change.kinds)
    .bind(&change.accounts)
    .bind(&change.description)
    .bind(change.paused)
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn delete(pool: &PgPool, id: &str) -> sqlx::Result<bool> {
    let done =
        sqlx::query("delete from api.endpoints where id = $1").bind(id).execute(pool).await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn rotate(
    pool: &PgPool,
    id: &str,
    sealed: &[u8],
    hours: i64,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update api.endpoints
            set previous_secret = secret, previous_until = clock_timestamp() + $3 * interval '1 hour', secret = $2, changes = changes + 1
          where id = $1",
    )
    .bind(id)
    .bind(sealed)
    .bind(hours)
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn replay(pool: &PgPool, id: &str, from: Timestamp) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update api.endpoints set replay_from = $2, replay_asked = replay_asked + 1, changes = changes + 1 where id = $1",
    )
    .bind(id)
    .bind(from)
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn secrets(pool: &PgPool, id: &str) -> sqlx::Result<Option<Sealed>> {
    sqlx::query_as(
        "select id, url, secret, case when clock_timestamp() < previous_until then previous_secret end as previous_secret
           from api.endpoints where id = $1",
    )
    .bind(id)
    .fetch_optional(pool)
    .await
}

pub(super) async fn all_secrets(pool: &PgPool) -> sqlx::Result<Vec<Sealed>> {
    sqlx::query_as("select id, url, secret, previous_secret from api.endpoints")
        .fetch_all(pool)
        .await
}

/// Replaces what was sealed under an older key, unless it was rotated meanwhile.
pub(super) async fn reseal(
    pool: &PgPool,
    stored: &Sealed,
    secret: Option<&[u8]>,
    previous: Option<&[u8]>,
) -> sqlx::Result<()> {
    sqlx::query(
        "update api.endpoints set secret = coalesce($3, secret), previous_secret = coalesce($4, previous_secret)
          where id = $1 and secret = $2",
    )
    .bind(&stored.id)
    .bind(&stored.secret)
    .bind(secret)
    .bind(previous)
    .execute(pool)
    .await
    .map(|_| ())
}
