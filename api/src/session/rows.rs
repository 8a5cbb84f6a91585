//! Statements over `api.sessions` and `api.session_links`.

use std::time::Duration;

use sqlx::{FromRow, PgPool};

/// A session that is not over.
#[derive(FromRow)]
pub(super) struct SessionRow {
    pub(super) token: Option<Vec<u8>>,
}

pub(super) async fn find(pool: &PgPool, digest: &[u8]) -> sqlx::Result<Option<SessionRow>> {
    sqlx::query_as("select token from api.sessions where digest = $1 and expires_at > now()")
        .bind(digest)
        .fetch_optional(pool)
        .await
}

/// Opens a session, and forgets those that are over.
pub(super) async fn open(
    pool: &PgPool,
    digest: &[u8],
    token: Option<&[u8]>,
    lasts: Duration,
) -> sqlx::Result<()> {
    sqlx::query("delete from api.sessions where expires_at < now()").execute(pool).await?;
    sqlx::query("insert into api.sessions (digest, token, expires_at) values ($1, $2, now() + make_interval(secs => $3))")
        .bind(digest)
        .bind(token)
        .bind(lasts.as_secs_f64())
        .execute(pool)
        .await?;
    Ok(())
}

pub(super) async fn end(pool: &PgPool, digest: &[u8]) -> sqlx::Result<()> {
    sqlx::query("delete from api.sessions where digest = $1").bind(digest).execute(pool).await?;
    Ok(())
}

/// Stores a one-time link, and forgets those that are over.
pub(super) async fn make_link(
    pool: &PgPool,
    digest: &[u8],
    next: &str,
    lasts: Duration,
) -> sqlx::Result<()> {
    sqlx::query("delete from api.session_links where expires_at < now() - interval '1 day'")
        .execute(pool)
        .await?;
    sqlx::query(
        "insert into api.session_links (digest, next, expires_at) values ($1, $2, now() + make_interval(secs => $3))",
    )
    .bind(digest)
    .bind(next)
    .bind(lasts.as_secs_f64())
    .execute(pool)
    .await?;
    Ok(())
}

/// Uses a link up; where it leads. `None`: there is none, or it is used or over.
pub(super) async fn use_link(pool: &PgPool, digest: &[u8]) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar(
        "update api.session_links set used_at = now() where digest = $1 and used_at is null and expires_at > now() returning next",
    )
    .bind(digest)
    .fetch_optional(pool)
    .await
}

pub(super) async fn link_opened(pool: &PgPool, link: &[u8], session: &[u8]) -> sqlx::Result<()> {
    sqlx::query("update api.session_links set session = $2 where digest = $1")
        .bind(link)
        .bind(session)
        .execute(pool)
        .await?;
    Ok(())
}

/// The logins that were begun in the session which a link opened.
pub(super) async fn connects_of(pool: &PgPool, link: &[u8]) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select c.id from api.session_links l join api.connects c on c.session = l.session where l.digest = $1 order by c.begun_at",
    )
    .bind(link)
    .fetch_all(pool)
    .await
}
