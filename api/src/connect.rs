//! Connecting accounts in a browser (docs/contract.md 7, docs/decisions/40): to Meta with a `state`, back with a code, which the worker
//! exchanges; then a list to choose from, and what became of it.
//!
//! `authorize` and `pages` are pure, `rows` has the statements. The worker is given a code by `api.connect_requests`, sealed, and how far it is
//! stands in its view `worker.connecting`.

mod authorize;
mod pages;
mod refusals;
mod rows;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use runtime::config::MetaApp;
use runtime::notify;
use runtime::seal::login_code_context;
use schemas::Login;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::{self, App};
use crate::html::Page;
use crate::problem::Problem;
use crate::session::{self, Session, cookie, digest, secret, sign_in};
use crate::worker_views;
use rows::{By, Connect, NewConnect};

/// The cookie of a browser with logins under way.
const COOKIE: &str = "__Secure-hookline-connect";
const COOKIE_PATH: &str = "/connect";
/// How long a person may take at Meta.
const STATE_LASTS: Duration = Duration::from_secs(600);
/// How long they may take to choose.
const RESULT_LASTS: Duration = Duration::from_secs(3600);
/// A page waits so long for the worker before it loads itself again.
const WAIT: Duration = Duration::from_secs(6);
/// Longest code that is kept: Meta's have some hundred characters.
const CODE_MAX: usize = 4096;

/// Which app.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// Its name in META_APPS; the first one of this login where absent.
    app: Option<String>,
}

/// What Meta sends a browser back with.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Returned {
    /// What is exchanged for a token, once.
    code: Option<String>,
    /// Which login it belongs to.
    state: Option<String>,
    /// Meta's word where there is no code, such as `access_denied`.
    error: Option<String>,
    /// Meta's reason.
    error_reason: Option<String>,
}

/// An answer that is a page either way.
type Answer = Result<Response, Response>;

fn page(page: Page) -> Response {
    page.into_response()
}

fn lost(error: &sqlx::Error) -> Response {
    tracing::warn!(%error, "A page could not be made");
    page(Page::not_now())
}

/// The session of an administrator, or the page that asks for one.
async fn administrator(app: &App, headers: &HeaderMap) -> Result<Session, Response> {
    let found = session::find(app, headers).await.map_err(|error| lost(&error))?;
    let words = "Connecting accounts needs an administrator's session.";
    match found {
        // Whoever sees some accounts only would connect one that they do not see.
        Some(session) if session.caller.administers_all() => Ok(session),
        Some(_) => Err(page(sign_in(StatusCode::FORBIDDEN, Some(words)))),
        None => Err(page(sign_in(StatusCode::UNAUTHORIZED, None))),
    }
}

/// `PUBLIC_URL` is not set.
fn off() -> Response {
    page(pages::off("PUBLIC_URL"))
}

/// What can be connected, and what to do where Meta stops somebody.
pub(crate) async fn index(State(app): app::State, headers: HeaderMap) -> Answer {
    let public = app.browser.public_url.as_ref().ok_or_else(off)?;
    administrator(&app, &headers).await?;
    if app.browser.apps.is_empty() {
        return Err(page(pages::off("META_APPS")));
    }
    Ok(page(pages::index(&app.browser.apps, &public.redirect_uri())))
}

/// Begin a login at Meta
///
/// For browsers with an administrator's session: redirects to Meta with a `state` that is used once, within ten minutes, by this browser.
#[utoipa::path(get, path = "/connect/{login}", tag = "connect", security(()), params(("login" = String, Path, description = "`instagram` or `facebook`"), Which),
    responses((status = 303, description = "To Meta"), (status = 401, description = "A page that opens a session"), (status = 404, description = "A page: no such app, or connecting is off")))]
pub(crate) async fn begin(
    State(app): app::State,
    Path(login): Path<String>,
    Query(which): Query<Which>,
    headers: HeaderMap,
) -> Answer {
    let public = app.browser.public_url.as_ref().ok_or_else(off)?;
    let login: Login = login.parse().map_err(|_| page(pages::no_login()))?;
    let session = administrator(&app, &headers).await?;
    let meta = app
        .browser
        .apps
        .find(login, which.app.as_deref())
        .ok_or_else(|| page(pages::no_app(login, which.app.as_deref())))?;
    let state = secret();
    let (browser, lasts) =
        browser_of(&app, &headers, &session).await.map_err(|error| lost(&error))?;
    let redirect_uri = public.redirect_uri();
    let new = NewConnect {
        id: format!("con_{}", uuid::Uuid::now_v7().simple()),
        state: digest(&state),
        browser: digest(&browser),
        session: session.digest,
        login,
        app: meta.name.clone(),
        redirect_uri: redirect_uri.clone(),
    };
    rows::begin(&app.pool, &new, STATE_LASTS).await.map_err(|error| lost(&error))?;
    tracing::info!(login.id = new.id, app = new.app, "A login at Meta begins");
    let url = authorize::url(&app.browser.urls, &app.browser.version, meta, &redirect_uri, &state);
    let mut answer = Redirect::to(url.as_str()).into_response();
    answer.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(with_cookie(answer, &browser, lasts))
}

/// The secret that the cookie of this browser has, and how long it lasts: the same one for all its logins of a session, so that one that begins
/// in another tab ends no other. A cookie from elsewhere is replaced.
async fn browser_of(
    app: &App,
    headers: &HeaderMap,
    session: &Session,
) -> sqlx::Result<(String, Duration)> {
    if let Some(kept) = cookie::read(headers, COOKIE)
        && rows::is_known(&app.pool, &digest(kept), &session.digest).await?
    {
        return Ok((kept.to_owned(), RESULT_LASTS));
    }
    Ok((secret(), STATE_LASTS))
}

/// Come back from Meta
///
/// Takes the code once and goes on to `/connect/result/{id}`. A `state` that is unknown, old, used, or of another browser is refused.
#[utoipa::path(get, path = "/connect/callback", tag = "connect", security(()), params(Returned),
    responses((status = 303, description = "To the result"), (status = 200, description = "A page: the person refused"), (status = 403, description = "A page: no such login in this browser")))]
pub(crate) async fn callback(
    State(app): app::State,
    Query(returned): Query<Returned>,
    headers: HeaderMap,
) -> Answer {
    let state = digest(returned.state.as_deref().ok_or_else(foreign)?);
    let (browser, connect) = begun_here(&app, &headers, By::State(&state)).await?;
    let result = || Redirect::to(&pages::result(&connect.id)).into_response();
    // Meta's redirects were observed to be followed twice: the second visit sees the result of the first.
    if connect.returned {
        return Ok(result());
    }
    if connect.late {
        return Err(page(refusals::of("state_late", None, None).page(StatusCode::GONE)));
    }
    // A code that somebody pasted has the fragment at its end.
    let code = returned.code.as_deref().map(|code| code.trim_end_matches("#_"));
    let Some(code) = code.filter(|code| !code.is_empty() && code.len() <= CODE_MAX) else {
        rows::returned(&app.pool, &connect.id, None).await.map_err(|error| lost(&error))?;
        let denied = returned.error.as_deref() == Some("access_denied");
        let word = if denied { "cancelled" } else { "declined" };
        let detail = returned.error_reason.or(returned.error);
        return Ok(page(refusals::of(word, detail.as_deref(), None).page(StatusCode::OK)));
    };
    let sealed = app.browser.seal.seal(&login_code_context(&connect.id), code);
    let sealed = sealed.map_err(|_| Problem::internal().into_response())?;
    let taken = rows::returned(&app.pool, &connect.id, Some(&sealed)).await;
    if taken.map_err(|error| lost(&error))? {
        wake_worker(&app).await;
    }
    Ok(with_cookie(result(), browser, RESULT_LASTS))
}

/// How far a login of this browser is.
pub(crate) async fn result(
    State(app): app::State,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let connect = of_browser(&app, &headers, &id).await?;
    let deadline = tokio::time::Instant::now() + WAIT;
    loop {
        let found = worker_views::connecting(&app.pool, &connect.id).await;
        let login = found.map_err(|error| lost(&error))?;
        let chosen = connect.chosen && login.as_ref().is_some_and(|login| login.step == "choosing");
        if let Some(login) = login.filter(|login| login.is_settled() && !chosen) {
            let meta = app.browser.apps.find(connect.login, Some(&connect.app));
            return Ok(page(shown(&connect, &login, meta)));
        }
        if !connect.with_code {
            return Ok(page(refusals::of("cancelled", None, None).page(StatusCode::OK)));
        }
        if tokio::time::Instant::now() > deadline || app.stopping.is_cancelled() {
            return Ok(page(pages::under_way(&connect.id, connect.login)));
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

fn shown(connect: &Connect, login: &worker_views::Connecting, meta: Option<&MetaApp>) -> Page {
    match login.step.as_str() {
        "choosing" => pages::choose(&connect.id, connect.login, login),
        "done" => pages::done(connect.login, login),
        _ => {
            let known = refusals::About {
                login: connect.login,
                app: &connect.app,
                app_id: meta.map(|meta| meta.id.as_str()),
                redirect_uri: &connect.redirect_uri,
            };
            let word = login.refusal.as_deref().unwrap_or("bug");
            let refusal = refusals::of(word, login.detail.as_deref(), Some(&known));
            let page = refusal.page(StatusCode::UNPROCESSABLE_ENTITY);
            pages::with_obstacles(page, connect.login, login)
        }
    }
}

/// Takes what the person chose.
pub(crate) async fn choose(State(app): app::State, request: Request) -> Answer {
    let headers = request.headers().clone();
    if !session::origin::is_ours(&headers, app.browser.public_url.as_ref()) {
        return Err(foreign());
    }
    let session = administrator(&app, &headers).await?;
    let fields: Vec<(String, String)> =
        session::routes::form(request).await.map_err(IntoResponse::into_response)?;
    // A choice belongs to the login whose list it was made of.
    let id = fields.iter().find(|(name, _)| name == "login").map(|(_, id)| id.as_str());
    let connect = of_browser(&app, &headers, id.ok_or_else(foreign)?).await?;
    if connect.session != session.digest {
        return Err(foreign());
    }
    let result = || Redirect::to(&pages::result(&connect.id)).into_response();
    let found = worker_views::connecting(&app.pool, &connect.id).await;
    let found = found.map_err(|error| lost(&error))?;
    let Some(login) = found.filter(|login| login.step == "choosing" && !connect.chosen) else {
        return Ok(result());
    };
    let chosen = pages::chosen(&login, &fields);
    if chosen.is_empty() {
        let page = pages::choose(&connect.id, connect.login, &login);
        return Ok(page.error("Choose at least one account.").into_response());
    }
    rows::choose(&app.pool, &connect.id, &chosen).await.map_err(|error| lost(&error))?;
    wake_worker(&app).await;
    Ok(result())
}

fn foreign() -> Response {
    page(refusals::of("state_foreign", None, None).page(StatusCode::FORBIDDEN))
}

/// A login that this browser began, in a session that is an administrator's still.
async fn begun_here<'a>(
    app: &App,
    headers: &'a HeaderMap,
    by: By<'_>,
) -> Result<(&'a str, Connect), Response> {
    let browser = cookie::read(headers, COOKIE).ok_or_else(foreign)?;
    let found = rows::find(&app.pool, by).await;
    let connect = found.map_err(|error| lost(&error))?.ok_or_else(foreign)?;
    if !bool::from(subtle::ConstantTimeEq::ct_eq(&connect.browser[..], &digest(browser)[..])) {
        return Err(foreign());
    }
    let caller = session::caller_of(app, connect.token.as_deref());
    if !caller.is_some_and(|caller| caller.administers_all()) {
        return Err(foreign());
    }
    Ok((browser, connect))
}

/// The same, once it came back.
async fn of_browser(app: &App, headers: &HeaderMap, id: &str) -> Result<Connect, Response> {
    let (_, connect) = begun_here(app, headers, By::Id(id)).await?;
    if connect.returned { Ok(connect) } else { Err(foreign()) }
}

/// A hint: the worker looks from time to time, too.
async fn wake_worker(app: &App) {
    let woken = async {
        let mut connection = app.pool.acquire().await?;
        notify::notify(&mut connection, notify::LOGINS).await
    };
    if let Err(error) = woken.await {
        tracing::debug!(%error, "The worker finds the login at its next look");
    }
}

fn with_cookie(mut answer: Response, browser: &str, lasts: Duration) -> Response {
    if let Some(cookie) = cookie::of_login(COOKIE, browser, COOKIE_PATH, lasts.as_secs()) {
        answer.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    answer
}

/// Forgets what is over.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub(crate) async fn sweep(pool: &sqlx::PgPool) -> sqlx::Result<()> {
    rows::sweep(pool).await
}

/// The pages beside those that are described.
pub(crate) fn undescribed() -> axum::Router<Arc<App>> {
    use axum::routing::{get, post};
    axum::Router::new()
        .route("/connect", get(index))
        .route("/connect/result/{id}", get(result))
        .route("/connect/choose", post(choose))
}
