//! `POST /session`, `DELETE /session`, and the page that opens one.

use axum::body::Bytes;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{COOKIE, LASTS, LASTS_BY_LINK, cookie, digest, origin, pages, rows, secret, sign_in};
use crate::app::{self, App};
use crate::extract::Body;
use crate::problem::Problem;

/// Whose session it is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSession {
    /// A token of API_TOKENS; the session has its rights, for as long as API_TOKENS has it.
    token: String,
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

/// Open a session
///
/// For browsers: sets the cookie `__Host-hookline`, which stands for the token. A form of the page `/session` may send it, too.
///
/// # Errors
/// 401, 403, 422, 503.
#[utoipa::path(post, path = "/session", tag = "session", security(()), request_body = NewSession,
    responses((status = 204, description = "The cookie is set"), (status = 403, body = Problem),
        (status = 422, body = Problem)))]
pub(crate) async fn open(State(app): app::State, request: Request) -> Result<Response, Problem> {
    if !origin::may_open(request.headers(), app.browser.public_url.as_ref()) {
        return Err(Problem::cross_origin());
    }
    let is_form = is_form(request.headers());
    let token = match is_form {
        true => form::<NewSession>(request).await?.token,
        false => Body::<NewSession>::from_request(request, &app).await?.0.token,
    };
    let token = token.trim();
    let Some(hash) = app.tokens.get().hash_of(token) else {
        let words = "The token is not one of API_TOKENS.";
        return match is_form {
            true => Ok(sign_in(StatusCode::UNAUTHORIZED, Some(words)).into_response()),
            false => Err(Problem::unauthorized("the token is not one of API_TOKENS")),
        };
    };
    let kept = app.browser.key.of(&hash);
    let secret = secret();
    rows::open_by_token(&app.pool, &digest(&secret), &kept, LASTS).await?;
    let answer = match is_form {
        true => Redirect::to("/connect").into_response(),
        false => StatusCode::NO_CONTENT.into_response(),
    };
    Ok(with_cookie(answer, &secret, LASTS.as_secs()))
}

/// End the session
///
/// # Errors
/// 401, 403, 503.
#[utoipa::path(delete, path = "/session", tag = "session", security(()),
    responses((status = 204, description = "It is over"), (status = 403, body = Problem)))]
pub(crate) async fn end(State(app): app::State, headers: HeaderMap) -> Result<Response, Problem> {
    let Some(secret) = cookie::read(&headers, COOKIE) else {
        return Err(Problem::unauthorized("there is no session: the cookie is missing"));
    };
    if !origin::is_ours(&headers, app.browser.public_url.as_ref()) {
        return Err(Problem::cross_origin());
    }
    rows::end(&app.pool, &digest(secret)).await?;
    Ok(with_cookie(StatusCode::NO_CONTENT.into_response(), "over", 0))
}

/// The same as a form, for browsers without script.
pub(crate) async fn end_by_form(
    state: app::State,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let ended = end(state, headers).await?;
    let mut answer = Redirect::to("/session").into_response();
    if let Some(cookie) = ended.headers().get(header::SET_COOKIE) {
        answer.headers_mut().insert(header::SET_COOKIE, cookie.clone());
    }
    Ok(answer)
}

/// The page that opens a session.
pub(crate) async fn page() -> Response {
    sign_in(StatusCode::OK, None).into_response()
}

/// Its script.
pub(crate) async fn script() -> Response {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], pages::SCRIPT).into_response()
}

/// Opens a session by a one-time link.
pub(crate) async fn open_by_link(
    State(app): app::State,
    request: Request,
) -> Result<Response, Problem> {
    // A page of another site must not put somebody into a session that is not theirs.
    if !origin::may_open(request.headers(), app.browser.public_url.as_ref()) {
        return Err(Problem::cross_origin());
    }
    let code = form::<Code>(request).await?.code;
    // The whole link may be pasted.
    let code = code.rsplit('#').next().unwrap_or_default().trim();
    let link = digest(code);
    let secret = secret();
    if !rows::open_by_link(&app.pool, &link, &digest(&secret), LASTS_BY_LINK).await? {
        let words = "This link was used, or is older than ten minutes. Ask for another one: `hookline accounts connect --login instagram`.";
        return Ok(sign_in(StatusCode::UNAUTHORIZED, Some(words)).into_response());
    }
    Ok(with_cookie(Redirect::to("/connect").into_response(), &secret, LASTS_BY_LINK.as_secs()))
}

fn with_cookie(mut answer: Response, secret: &str, seconds: u64) -> Response {
    if let Some(cookie) = cookie::session(COOKIE, secret, seconds) {
        answer.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    answer
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
}

/// The fields of a form of ours.
pub(crate) async fn form<T: serde::de::DeserializeOwned>(request: Request) -> Result<T, Problem> {
    let wrong = || Problem::invalid("body", "send the form of the page");
    if !is_form(request.headers()) {
        return Err(wrong());
    }
    let body = Bytes::from_request(request, &()).await.map_err(|_| wrong())?;
    serde_urlencoded::from_bytes(&body).map_err(|_| wrong())
}

/// What browsers need beside `/v1`.
pub(crate) fn undescribed() -> axum::Router<std::sync::Arc<App>> {
    use axum::routing::{get, post};
    axum::Router::new()
        .route("/session.js", get(script))
        .route("/session/link", post(open_by_link))
        .route("/session/end", post(end_by_form))
}
