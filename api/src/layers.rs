//! What surrounds every route: who calls, how long it may take, what is counted, and panics.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, header};
use axum::middleware::Next;
use axum::response::IntoResponse;
use tracing::Instrument;

use crate::app::App;
use crate::auth::{self, Caller, Scope};
use crate::html::Page;
use crate::problem::Problem;
use crate::session;

/// Longest time for an answer to begin: above the longest `?wait`.
const REQUEST_WAIT: Duration = Duration::from_secs(45);

/// Refuses requests without a token or session that allows the method.
pub(crate) async fn authenticate(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Result<axum::response::Response, Problem> {
    let headers = request.headers();
    // A token counts where there is one; a browser has its cookie.
    let by_cookie = !headers.contains_key(header::AUTHORIZATION)
        && session::cookie::read(headers, session::COOKIE).is_some();
    let caller = match by_cookie {
        true => session::caller(&app, request.method(), headers).await?,
        false => caller(&app.tokens.get(), headers)?.clone(),
    };
    let needed = match *request.method() {
        Method::GET | Method::HEAD => Scope::Read,
        _ => Scope::Write,
    };
    allow(&caller, needed)?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// Whether a caller may do what needs this scope.
///
/// # Errors
/// 403 `insufficient_scope`.
pub(crate) fn allow(caller: &Caller, needed: Scope) -> Result<(), Problem> {
    if caller.scope < needed {
        return Err(Problem::insufficient_scope(caller.scope.as_str(), needed.as_str()));
    }
    Ok(())
}

/// Answers for a route when Postgres is away, rather than let it wait for a connection. A write without `Idempotency-Key` that has begun
/// goes on: the caller would not know whether to repeat it.
pub(crate) async fn available(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> axum::response::Response {
    let repeatable = matches!(*request.method(), Method::GET | Method::HEAD)
        || request.headers().contains_key("idempotency-key");
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let for_a_page = accept.is_some_and(|accept| accept.contains("text/html"));
    let mut answer = std::pin::pin!(next.run(request));
    let lost = || match for_a_page {
        true => Page::not_now().into_response(),
        false => Problem::unavailable("Postgres is not reachable").into_response(),
    };
    tokio::select! {
        biased;
        // A mistake in the request is reported whatever the database says.
        answer = &mut answer => return answer,
        // Nothing can have been published yet.
        () = app.projected.lost() => return lost(),
        () = std::future::ready(()) => {}
    }
    tokio::select! {
        answer = &mut answer => answer,
        () = app.projected.lost(), if repeatable => lost(),
    }
}

fn caller<'a>(tokens: &'a auth::Tokens, headers: &HeaderMap) -> Result<&'a auth::Caller, Problem> {
    if tokens.is_empty() {
        return Err(Problem::unauthorized(
            "no token is configured, so everything is refused: set API_TOKENS=name=token:write of the api and start it again",
        ));
    }
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (None, _) => Err(Problem::unauthorized("send `Authorization: Bearer <token>` with a token of API_TOKENS")),
        (Some(_), Some(_)) => Err(Problem::unauthorized("`Authorization` was given twice: send it once")),
        (Some(value), None) => value
            .to_str()
            .ok()
            .and_then(auth::bearer)
            .and_then(|token| tokens.find(token))
            .ok_or_else(|| Problem::unauthorized("the token is not one of API_TOKENS, or the header is not `Authorization: Bearer <token>`")),
    }
}

/// Counts, times, traces and bounds a request. Labels are routes, never what callers wrote into paths.
pub(crate) async fn observe(request: Request, next: Next) -> axum::response::Response {
    let started = Instant::now();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unmatched", MatchedPath::as_str)
        .to_owned();
    let span = tracing::info_span!("api_request", http.route = %route, http.request.method = %request.method());
    let traceparent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    runtime::telemetry::continue_trace(&span, traceparent);
    let response =
        match tokio::time::timeout(REQUEST_WAIT, next.run(request).instrument(span)).await {
            Ok(response) => response,
            Err(_) => Problem::unavailable("the answer took too long").into_response(),
        };
    let status = response.status().as_u16().to_string();
    metrics::counter!("hookline_api_requests_total", "route" => route.clone(), "status" => status)
        .increment(1);
    metrics::histogram!("hookline_api_request_seconds", "route" => route)
        .record(started.elapsed().as_secs_f64());
    for_browsers(response)
}

/// Pages run what is ours and nothing else; nothing else is a page, whatever a browser makes of it, and nothing is kept.
fn for_browsers(mut response: axum::response::Response) -> axum::response::Response {
    const OF_PAGES: &str = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";
    const OF_ALL_ELSE: &str = "default-src 'none'; frame-ancestors 'none'";
    let headers = response.headers_mut();
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let is_page = kind.is_some_and(|kind| kind.starts_with(b"text/html"));
    let policy = if is_page { OF_PAGES } else { OF_ALL_ELSE };
    // Pages of ours bring their own, which is stricter.
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(policy));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// A panic becomes a 500; telemetry has logged where it was.
pub(crate) fn panicked(_: Box<dyn Any + Send + 'static>) -> Response<Body> {
    Problem::internal().into_response()
}

/// Unknown paths.
pub(crate) async fn no_route() -> Problem {
    Problem::not_found("no such path: /docs lists what there is")
}

/// Known paths, other methods.
pub(crate) async fn no_method(method: Method) -> Problem {
    Problem::method_not_allowed(method.as_str())
}
