//! Sessions of browsers (docs/contract.md 7): a cookie instead of a token, kept in Postgres as a digest.
//!
//! A session has the rights of the token it was opened with, for as long as `API_TOKENS` has that token; one that a one-time link opened is
//! an administrator's. `cookie` and `origin` are pure, `key` binds a session to its token, `rows` has the statements.

pub(crate) mod cookie;
pub(crate) mod key;
mod link;
pub(crate) mod origin;
mod pages;
pub(crate) mod routes;
mod rows;

use axum::http::{HeaderMap, Method};
use schemas::command::Requester;

pub use link::{connects_of, make_link};
pub(crate) use pages::sign_in;

use crate::app::App;
use crate::auth::{Caller, Reach, Scope};
use crate::problem::Problem;

/// The cookie of a session.
pub(crate) const COOKIE: &str = "__Host-hookline";
/// How long a session lasts that was opened with a token.
const LASTS: std::time::Duration = std::time::Duration::from_secs(7 * 86_400);
/// The same of one that a link opened: its rights are those of an administrator.
const LASTS_BY_LINK: std::time::Duration = std::time::Duration::from_secs(12 * 3600);
/// No token has this name.
const LINK_NAME: &str = "(link)";

/// A session that holds.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// Its name in the tables.
    pub digest: Vec<u8>,
    /// Whose it is, and what it allows.
    pub caller: Caller,
}

/// sha256 of a secret: what the tables keep of it.
pub(crate) fn digest(secret: &str) -> Vec<u8> {
    use sha2::Digest as _;
    sha2::Sha256::digest(secret.as_bytes()).to_vec()
}

/// 32 random bytes, as text for cookies and addresses.
pub(crate) fn secret() -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// The session of a request; `None` where it has no cookie, or one of a session that is over.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub(crate) async fn find(app: &App, headers: &HeaderMap) -> sqlx::Result<Option<Session>> {
    let Some(secret) = cookie::read(headers, COOKIE) else { return Ok(None) };
    let digest = digest(secret);
    let Some(row) = rows::find(&app.pool, &digest).await? else { return Ok(None) };
    Ok(caller_of(app, row.token.as_deref()).map(|caller| Session { digest, caller }))
}

/// Whether somebody calls by a session that a one-time link has opened: no token stands behind it.
pub(crate) fn is_by_link(caller: &Caller) -> bool {
    caller.name == LINK_NAME
}

/// Whose a session is, by what it was opened with; `None` where `API_TOKENS` no longer has that token.
pub(crate) fn caller_of(app: &App, token: Option<&[u8]>) -> Option<Caller> {
    match token {
        None => Some(Caller {
            name: LINK_NAME.to_owned(),
            scope: Scope::Admin,
            kind: Requester::Person,
            reach: Reach::All,
        }),
        Some(token) => app.tokens.get().bound(|hash| app.browser.key.holds(hash, token)).cloned(),
    }
}

/// Forgets what is over.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub(crate) async fn sweep(pool: &sqlx::PgPool) -> sqlx::Result<()> {
    rows::sweep(pool).await
}

/// Who calls by cookie.
///
/// # Errors
/// 401 where the session is over, 403 where a write comes from another site, 503 where Postgres is away.
pub(crate) async fn caller(
    app: &App,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Caller, Problem> {
    let session = find(app, headers).await?;
    let session = session.ok_or_else(|| {
        Problem::unauthorized("the session is over: open a new one at /session, or send `Authorization: Bearer <token>`")
    })?;
    let reads = matches!(*method, Method::GET | Method::HEAD);
    if !reads && !origin::is_ours(headers, app.browser.public_url.as_ref()) {
        return Err(Problem::cross_origin());
    }
    Ok(session.caller)
}
