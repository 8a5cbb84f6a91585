//! What surrounds every route: who calls, how long it may take, what is counted, and panics.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, Response, header};
use axum::middleware::Next;
use axum::response::IntoResponse;
use tracing::Instrument;

use crate::App;
use crate::auth::{self, Scope};
use crate::problem::Problem;

/// Longest time for an answer to begin: above the longest `?wait`.
const REQUEST_WAIT: Duration = Duration::from_secs(45);

/// Lets in whoever has a token that allows the method.
pub async fn authenticate(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Result<axum::response::Response, Problem> {
    let caller = caller(&app.tokens, request.headers())?.clone();
    let needed = match *request.method() {
        Method::GET | Method::HEAD => Scope::Read,
        _ => Scope::Write,
    };
    if caller.scope < needed {
        return Err(Problem::insufficient_scope(caller.scope.as_str(), needed.as_str()));
    }
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// Answers for a route when Postgres is away, rather than let it wait for a connection. A write without `Idempotency-Key` that has begun
/// goes on: the caller could not tell whether to repeat it.
pub async fn available(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> axum::response::Response {
    let repeatable = matches!(*request.method(), Method::GET | Method::HEAD)
        || request.headers().contains_key("idempotency-key");
    let mut answer = std::pin::pin!(next.run(request));
    let lost = || Problem::unavailable("Postgres is not reachable").into_response();
    tokio::select! {
        biased;
        // A mistake in the request is told whatever the database says.
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
pub async fn observe(request: Request, next: Next) -> axum::response::Response {
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
    response
}

/// A panic becomes a 500; telemetry has told where it was.
pub fn panicked(_: Box<dyn Any + Send + 'static>) -> Response<Body> {
    Problem::internal().into_response()
}

/// Unknown paths.
pub async fn no_route() -> Problem {
    Problem::not_found("no such path: /docs lists what there is")
}

/// Known paths, other methods.
pub async fn no_method(method: Method) -> Problem {
    Problem::method_not_allowed(method.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::http::StatusCode;
    use http_body_util::BodyExt;
    use runtime::broker::{Broker, Needs};
    use runtime::config::{NatsConfig, Settings};
    use runtime::health::Health;
    use serde_json::Value;
    use tokio_util::sync::CancellationToken;
    use tower::ServiceExt;

    /// The whole router with nothing behind it: port 9 refuses.
    async fn router(tokens: &str) -> Router {
        let settings = Settings::from_pairs([
            ("NATS_URL", "nats://127.0.0.1:9"),
            ("DATABASE_URL", "postgres://nobody@127.0.0.1:9/none"),
        ]);
        let stopping = CancellationToken::new();
        let pool = runtime::db::pool(&settings, "api", 1).unwrap();
        let needs = Needs { streams: &[], best_effort: false };
        let nats = NatsConfig::from_settings(&settings).unwrap();
        let broker = Broker::connect("api", nats, needs, stopping.clone()).await.unwrap();
        let health = Health::new();
        let projected =
            crate::wait::Projected::follow(pool.clone(), health.clone(), stopping.clone());
        let app = App {
            live: crate::live::Live::start(broker.clone(), projected.clone(), stopping.clone()),
            tokens: auth::Tokens::parse(tokens).unwrap(),
            cursors: crate::cursor::Cursors::new(b"secret"),
            vouch: runtime::vouch::Vouch::from_hex(&"0a".repeat(32)).unwrap(),
            pool,
            broker,
            projected,
            stopping,
        };
        crate::openapi::router(Arc::new(app), &health, runtime::telemetry::metrics_handle())
    }

    async fn ask(
        router: &Router,
        method: &str,
        path: &str,
        token: &str,
        body: &'static str,
    ) -> (StatusCode, HeaderMap, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Body::from(body)).unwrap();
        let (head, body) = router.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (head.status, head.headers, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    #[tokio::test]
    async fn who_may_do_what_and_what_the_refusal_says() {
        let router = router("ann=abc,eye=def:read").await;
        for (method, path, token, status, code) in [
            ("GET", "/v1/conversations", "", 401, "unauthorized"),
            ("GET", "/v1/conversations", "wrong", 401, "unauthorized"),
            ("GET", "/v1/live", "", 401, "unauthorized"),
            ("POST", "/v1/conversations/cnv_a/read", "def", 403, "insufficient_scope"),
            ("DELETE", "/v1/blocklist", "def", 403, "insufficient_scope"),
            ("POST", "/v1/conversions", "abc", 501, "not_implemented"),
            ("GET", "/v1/nothing", "abc", 404, "not_found"),
            ("GET", "/nothing", "", 404, "not_found"),
            ("PUT", "/v1/conversations", "abc", 405, "method_not_allowed"),
            ("POST", "/readyz", "", 405, "method_not_allowed"),
            ("GET", "/v1/conversations?limit=many", "def", 422, "invalid"),
            ("GET", "/v1/conversations?limit=201", "def", 422, "invalid"),
            ("GET", "/v1/conversations?cursor=abc", "def", 422, "invalid"),
            ("POST", "/v1/conversations/cnv_a/messages", "abc", 422, "invalid"),
            ("GET", "/v1/live?last_event_id=x", "def", 422, "invalid"),
            ("GET", "/v1/live?last_event_id=1", "def", 503, "unavailable"),
        ] {
            let (answered, headers, body) = ask(&router, method, path, token, "").await;
            assert_eq!(
                (answered.as_u16(), body["code"].as_str()),
                (status, Some(code)),
                "{method} {path}"
            );
            assert_eq!(headers["content-type"], "application/problem+json", "{method} {path}");
            assert_eq!(headers.contains_key("www-authenticate"), status == 401, "{method} {path}");
            assert_eq!(headers.contains_key("allow"), status == 405, "{method} {path}");
            assert_eq!(headers.contains_key("retry-after"), status == 503, "{method} {path}");
        }
    }

    #[tokio::test]
    async fn without_tokens_nobody_is_let_in_and_the_answer_says_why() {
        let router = router("").await;
        let (status, _, body) = ask(&router, "GET", "/v1/conversations", "abc", "").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert!(body["detail"].as_str().unwrap().contains("API_TOKENS"), "{body}");
        for (path, status) in [
            ("/livez", 200),
            ("/readyz", 503),
            ("/metrics", 200),
            ("/openapi.json", 200),
            ("/docs/", 200),
        ] {
            assert_eq!(ask(&router, "GET", path, "", "").await.0.as_u16(), status, "{path}");
        }
    }

    #[tokio::test]
    async fn bodies_are_bounded_and_their_mistakes_named() {
        let router = router("ann=abc").await;
        let large: &'static str =
            String::leak(format!(r#"{{"text": "{}"}}"#, "x".repeat(crate::BODY_MAX)));
        let (status, _, body) =
            ask(&router, "POST", "/v1/conversations/cnv_a/messages", "abc", large).await;
        assert_eq!((status.as_u16(), &body["code"]), (413, &"too_large".into()));
        for (body, field) in [
            ("[1", "body"),
            (r#"{"hiden": true}"#, "hiden"),
            (r#"{"hidden": 1}"#, "hidden"),
            ("", "hidden"),
        ] {
            let (status, _, problem) = ask(&router, "PATCH", "/v1/comments/1", "abc", body).await;
            assert_eq!((status.as_u16(), &problem["field"]), (422, &field.into()), "{body}");
        }
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_without_its_text() {
        let router = Router::new()
            .route(
                "/",
                axum::routing::get(|| async {
                    if true {
                        panic!("sesame")
                    }
                }),
            )
            .layer(tower_http::catch_panic::CatchPanicLayer::custom(panicked));
        let (status, _, body) = ask(&router, "GET", "/", "", "").await;
        assert_eq!((status.as_u16(), &body["code"]), (500, &"internal".into()));
        assert!(!body.to_string().contains("sesame"));
    }
}
