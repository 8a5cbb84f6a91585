//! The whole router with nothing behind it: what is answered before anything is read or published.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use runtime::broker::{Broker, Needs};
use runtime::config::{NatsConfig, Settings};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::*;
use crate::auth::Tokens;
use crate::cursor::Cursors;
use crate::live::source::Live;
use crate::projected::Projected;

/// The whole router with nothing behind it: port 9 refuses.
async fn lonely(tokens: &str) -> Router {
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
    let projected = Projected::follow(pool.clone(), health.clone(), stopping.clone());
    let app = App {
        live: Live::start(pool.clone(), broker.clone(), projected.clone(), stopping.clone()),
        tokens: runtime::reload::Current::new(Tokens::parse(tokens).unwrap()),
        cursors: Cursors::new(b"secret"),
        totals: crate::list::Totals::default(),
        searches: crate::conversations::search::turns(),
        syncs: crate::syncs::Syncs::default(),
        delivery: delivery::Client::new(runtime::guard::OutboundAllow::default()).unwrap(),
        vouch: runtime::vouch::Vouch::from_hex(&"0a".repeat(32)).unwrap(),
        browser: crate::app::Browser {
            key: crate::session::key::SessionKey::new(b"secret"),
            seal: runtime::seal::Seal::from_hex(&"0a".repeat(32)).unwrap(),
            public_url: runtime::config::PublicUrl::from_settings(&settings).unwrap(),
            apps: runtime::config::MetaApps::from_settings(&settings).unwrap(),
            urls: runtime::config::LoginUrls::from_settings(&settings).unwrap(),
            console: true,
            version: "v26.0".to_owned(),
        },
        pool,
        broker,
        projected,
        stopping,
    };
    router(Arc::new(app), &health)
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
    let router = lonely("ann=abc,eye=def:read").await;
    for (method, path, token, status, code) in [
        ("GET", "/v1/conversations", "", 401, "unauthorized"),
        ("GET", "/v1/conversations", "wrong", 401, "unauthorized"),
        ("GET", "/v1/live", "", 401, "unauthorized"),
        ("POST", "/v1/conversations/cnv_a/read", "def", 403, "insufficient_scope"),
        ("DELETE", "/v1/blocklist", "def", 403, "insufficient_scope"),
        ("POST", "/v1/conversions", "abc", 422, "invalid"),
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
    let router = lonely("").await;
    let (status, _, body) = ask(&router, "GET", "/v1/conversations", "abc", "").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(body["detail"].as_str().unwrap().contains("API_TOKENS"), "{body}");
    for (path, status) in [
        ("/livez", 200),
        ("/readyz", 503),
        ("/metrics", 404),
        ("/openapi.json", 200),
        ("/docs/", 200),
    ] {
        assert_eq!(ask(&router, "GET", path, "", "").await.0.as_u16(), status, "{path}");
    }
}

#[tokio::test]
async fn who_asks_at_the_door_whether_it_is_ready_gets_a_status_only() {
    let router = lonely("ann=abc").await;
    let (status, _, body) = ask(&router, "GET", "/readyz", "", "").await;
    assert_eq!((status.as_u16(), body), (503, serde_json::json!({"status": "not_ready"})));
}

#[tokio::test]
async fn browsers_neither_guess_nor_keep_nor_ask_others() {
    let router = lonely("ann=abc").await;
    for (path, policy) in [
        ("/docs/", "default-src 'self'"),
        ("/openapi.json", "default-src 'none'"),
        ("/v1/nothing", "default-src 'none'"),
        ("/v1/conversations", "default-src 'none'"),
    ] {
        let (_, headers, _) = ask(&router, "GET", path, "", "").await;
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert!(headers["cache-control"].to_str().unwrap().starts_with("no-"), "{path}");
        let sent = headers["content-security-policy"].to_str().unwrap();
        assert!(sent.starts_with(policy), "{path}: {sent}");
    }
    let request = Request::get("/docs/swagger-initializer.js").body(Body::empty()).unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    let script = answer.into_body().collect().await.unwrap().to_bytes();
    let script = String::from_utf8_lossy(&script);
    assert!(script.contains("\"validatorUrl\": \"none\""), "{script}");
}

#[tokio::test]
async fn bodies_are_bounded_and_their_mistakes_named() {
    let router = lonely("ann=abc").await;
    let large: &'static str = String::leak(format!(r#"{{"text": "{}"}}"#, "x".repeat(BODY_MAX)));
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
        .layer(CatchPanicLayer::custom(layers::panicked));
    let (status, _, body) = ask(&router, "GET", "/", "", "").await;
    assert_eq!((status.as_u16(), &body["code"]), (500, &"internal".into()));
    assert!(!body.to_string().contains("sesame"));
}
