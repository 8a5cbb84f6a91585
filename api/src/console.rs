//! The console (docs/contract.md 12): what `console/` builds, embedded in the binary and served at `/`.
//!
//! A release binary holds the files; a debug binary reads them from `console/dist`, so that they can be built without building the api.
//! Names below `assets/` carry a hash of what they hold, so browsers may keep them for ever.

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::{Embed, EmbeddedFile};

use crate::html::Page;
use crate::problem::Problem;

/// Scripts, styles and requests of our own origin only; media that a person opens may come from Meta's hosts.
const POLICY: &str = "default-src 'self'; img-src 'self' https: data:; media-src 'self' https:; object-src 'none'; base-uri 'none'; \
     form-action 'self'; frame-ancestors 'none'";
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// Asked again each time; the answer is 304 while it is the same.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");
const HOW_TO_BUILD: &str = "Run `make console` where hookline is built (`make run` and `make test` do it), then build the binary again.";

#[derive(Embed)]
#[folder = "../console/dist"]
#[allow_missing = true]
struct Built;

/// `/` and what its page loads. `on`: `API_CONSOLE`.
pub(crate) fn routes(on: bool) -> Router {
    match on {
        true => Router::new().route("/", get(page)).route("/assets/{*path}", get(asset)),
        false => Router::new(),
    }
}

async fn page(headers: HeaderMap) -> Response {
    let Some(mut answer) = file("index.html", &headers, ASK_AGAIN) else {
        return not_built().into_response();
    };
    let fields = answer.headers_mut();
    fields.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    fields.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    answer
}

async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    file(&format!("assets/{path}"), &headers, FOR_EVER)
        .ok_or_else(|| Problem::not_found("no such file of the console: load the page again"))
}

fn not_built() -> Page {
    Page::new(StatusCode::NOT_FOUND, "The console is not built")
        .error("This binary was built without the console.")
        .heading("What to do")
        .list([HOW_TO_BUILD])
        .go("/docs", "The API is here all the same: its description")
}

/// A file as it is answered; `None` where there is none.
fn file(path: &str, asked: &HeaderMap, keep: HeaderValue) -> Option<Response> {
    let small = takes_brotli(asked).then(|| Built::get(&format!("{path}.br"))).flatten();
    let encoded = small.is_some();
    let found = small.or_else(|| Built::get(path))?;
    let etag = etag(&found);
    let mut answer = match is_known(asked, &etag) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => found.data.into_response(),
    };
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind_of(path)));
    headers.insert(header::CACHE_CONTROL, keep);
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(header::ETAG, HeaderValue::try_from(etag).ok()?);
    if encoded {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("br"));
    }
    Some(answer)
}

fn etag(file: &EmbeddedFile) -> String {
    use base64::Engine as _;
    let hash =
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&file.metadata.sha256_hash()[..16]);
    format!("\"{hash}\"")
}

fn is_known(asked: &HeaderMap, etag: &str) -> bool {
    let known = asked.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    known.is_some_and(|known| {
        known.split(',').any(|one| one.trim().trim_start_matches("W/") == etag)
    })
}

fn takes_brotli(asked: &HeaderMap) -> bool {
    let takes = asked.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    takes.is_some_and(|takes| takes.split(',').any(|one| one.trim() == "br"))
}

fn kind_of(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_file_that_the_browser_has_is_not_sent_again() {
        let check = |value, known| {
            assert_eq!(is_known(&asked(header::IF_NONE_MATCH, value), "\"a\""), known, "{value}");
        };
        check("\"a\"", true);
        check("W/\"a\"", true);
        check("\"b\", \"a\"", true);
        check("\"b\"", false);
        assert!(!is_known(&HeaderMap::new(), "\"a\""));
    }

    #[test]
    fn brotli_is_sent_to_those_who_take_it() {
        assert!(takes_brotli(&asked(header::ACCEPT_ENCODING, "gzip, deflate, br, zstd")));
        assert!(!takes_brotli(&asked(header::ACCEPT_ENCODING, "gzip")));
        assert!(!takes_brotli(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn the_page_loads_from_its_own_origin_or_names_how_to_build_it() {
        let answer = page(HeaderMap::new()).await;
        let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(!policy.contains("unsafe"), "{policy}");
        match answer.status() {
            StatusCode::OK => assert!(policy.starts_with("default-src 'self'"), "{policy}"),
            status => assert_eq!(status, StatusCode::NOT_FOUND),
        }
        assert_eq!(not_built().into_response().status(), StatusCode::NOT_FOUND);
    }
}
