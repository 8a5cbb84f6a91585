//! Statements over `api.connects`.

use std::time::Duration;

use schemas::Login;
use sqlx::{FromRow, PgPool};

/// A login that begins.
pub(super) struct NewConnect {
    pub(super) id: String,
    pub(super) state: Vec<u8>,
    pub(super) browser: Vec<u8>,
    pub(super) session: Vec<u8>,
    pub(super) login: Login,
    pub(super) app: String,
    pub(super) redirect_uri: String,
}

/// A login whose session has not expired.
#[derive(FromRow)]
pub(super) struct Connect {
    pub(super) id: String,
    /// The digest of the cookie of its browser.
    pub(super) browser: Vec<u8>,
    pub(super) session: Vec<u8>,
    /// What its session was opened with.
    pub(super) token: Option<Vec<u8>>,
    pub(super) login: Login,
    pub(super) app: String,
    pub(super) redirect_uri: String,
    pub(super) returned: bool,
    pub(super) with_code: bool,
    pub(super) late: bool,
    pub(super) chosen: bool,
}

/// Stores a login that begins.
pub(super) async fn begin(pool: &PgPool, new: &NewConnect, lasts: Duration) -> sqlx::Result<()> {
    sqlx::query(
        "insert into api.connects (id, state, browser, session, login, app, redirect_uri, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(secs => $8))",
    )
    .bind(&new.id)
    .bind(&new.state)
    .bind(&new.browser)
    .bind(&new.session)
    .bind(new.login)
    .bind(&new.app)
    .bind(&new.redirect_uri)
    .bind(lasts.as_secs_f64())
    .execute(pool)
    .await?;
    Ok(())
}

/// What a login is found by.
#[derive(Clone, Copy)]
pub(super) enum By<'a> {
    /// The digest of the `state` that Meta returns.
    State(&'a [u8]),
    Id(&'a str),
}

/// A login whose session is not over.
pub(super) async fn find(pool: &PgPool, by: By<'_>) -> sqlx::Result<Option<Connect>> {
    let (state, id) = match by {
        By::State(state) => (Some(state), None),
        By::Id(id) => (None, Some(id)),
    };
    sqlx::query_as(
        "select c.id, c.browser, c.session, s.token, c.login, c.app, c.redirect_uri, c.returned_at is not null as returned,
                c.code is not null as with_code, c.expires_at <= now() as late, c.chosen is not null as chosen
           from api.connects c join api.sessions s on s.digest = c.session
          where (c.state = $1 or c.id = $2) and s.expires_at > now()",
    )
    .bind(state)
    .bind(id)
    .fetch_optional(pool)
    .await
}

/// Whether a browser has begun a login in this session already.
pub(super) async fn is_known(pool: &PgPool, browser: &[u8], session: &[u8]) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select from api.connects where browser = $1 and session = $2)",
    )
    .bind(browser)
    .bind(session)
    .fetch_one(pool)
    .await
}

/// Uses the `state` up, once. `false`: it was used, or is late.
pub(super) async fn returned(pool: &PgPool, id: &str, code: Option<&[u8]>) -> sqlx::Result<bool> {
    let used = sqlx::query(
        "update api.connects set returned_at = now(), code = $2 where id = $1 and returned_at is null and expires_at > now()",
    )
    .bind(id)
    .bind(code)
    .execute(pool)
    .await?;
    Ok(used.rows_affected() == 1)
}

/// Stores the choice, once.
pub(super) async fn choose(pool: &PgPool, id: &str, chosen: &[String]) -> sqlx::Result<()> {
    sqlx::query("update api.connects set chosen = $2, chosen_at = now() where id = $1 and chosen is null and code is not null")
        .bind(id)
        .bind(chosen)
        .execute(pool)
        .await?;
    Ok(())
}

/// Forgets the logins of yesterday, and codes after an hour: Meta takes none that is older. An empty code stands for one that there was.
pub(super) async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query(
        "update api.connects set code = '\\x'::bytea where returned_at < now() - interval '1 hour' and length(code) > 0",
    )
    .execute(pool)
    .await?;
    sqlx::query("delete from api.connects where begun_at < now() - interval '1 day'")
        .execute(pool)
        .await?;
    Ok(())
}
