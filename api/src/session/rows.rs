//! Statements over `api.sessions` and `api.session_links`.

use std::time::Duration;

use sqlx::{FromRow, PgConnection, PgPool};

/// Sessions of one token at most.
const PER_TOKEN: i64 = 50;

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

/// Opens a session. Of those of one token, the latest are kept: a program that opens one for each request leaves no more than that.
pub(super) async fn open_by_token(
    pool: &PgPool,
    digest: &[u8],
    token: &[u8],
    lasts: Duration,
) -> sqlx::Result<()> {
    open(&mut *pool.acquire().await?, digest, Some(token), lasts).await?;
    sqlx::query(
        "delete from api.sessions where digest in
           (select digest from api.sessions where token = $1 order by opened_at desc, digest offset $2)",
    )
    .bind(token)
    .bind(PER_TOKEN)
    .execute(pool)
    .await?;
    Ok(())
}

async fn open(
    connection: &mut PgConnection,
    digest: &[u8],
    token: Option<&[u8]>,
    lasts: Duration,
) -> sqlx::Result<()> {
    sqlx::query("insert into api.sessions (digest, token, expires_at) values ($1, $2, now() + make_interval(secs => $3))")
        .bind(digest)
        .bind(token)
        .bind(lasts.as_secs_f64())
        .execute(connection)
        .await?;
    Ok(())
}

/// Forgets sessions and links that are over.
pub(super) async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query("delete from api.sessions where expires_at < now()").execute(pool).await?;
    sqlx::query("delete from api.session_links where expires_at < now() - interval '1 day'")
        .execute(pool)
        .await?;
    Ok(())
}

pub(super) async fn end(pool: &PgPool, digest: &[u8]) -> sqlx::Result<()> {
    sqlx::query("delete from api.sessions where digest = $1").bind(digest).execute(pool).await?;
    Ok(())
}

/// Stores a one-time link.
pub(super) async fn make_link(pool: &PgPool, digest: &[u8], lasts: Duration) -> sqlx::Result<()> {
    sqlx::query(
        "insert into api.session_links (digest, expires_at) values ($1, now() + make_interval(secs => $2))",
    )
    .bind(digest)
    .bind(lasts.as_secs_f64())
    .execute(pool)
    .await?;
    Ok(())
}

/// Uses a link up and opens its session, both or neither. `false`: there is none, or it is used or over.
pub(super) async fn open_by_link(
    pool: &PgPool,
    link: &[u8],
    session: &[u8],
    lasts: Duration,
) -> sqlx::Result<bool> {
    let mut tx = pool.begin().await?;
    open(&mut tx, session, None, lasts).await?;
    let used = sqlx::query(
        "update api.session_links set used_at = now(), session = $2 where digest = $1 and used_at is null and expires_at > now()",
    )
    .bind(link)
    .bind(session)
    .execute(&mut *tx)
    .await?;
    if used.rows_affected() == 0 {
        tx.rollback().await?;
        return Ok(false);
    }
    tx.commit().await?;
    Ok(true)
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
