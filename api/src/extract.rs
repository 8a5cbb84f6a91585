//! Reading requests: what cannot be understood becomes a problem that names the field.

use std::time::Duration;

use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::auth::Caller;
use crate::problem::Problem;

/// How long a body may take.
const BODY_WAIT: Duration = Duration::from_secs(10);
/// Most characters of an `Idempotency-Key`.
const KEY_MAX: usize = 255;

/// A JSON body. None at all counts as `{}`, so that what is missing is named.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = tokio::time::timeout(BODY_WAIT, Bytes::from_request(request, state))
            .await
            .map_err(|_| Problem::slow_body())?
            .map_err(|rejection| match rejection {
                BytesRejection::FailedToBufferBody(inner)
                    if inner.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE =>
                {
                    Problem::too_large(format!("the body is larger than {} bytes", crate::BODY_MAX))
                }
                _ => Problem::invalid("body", "it ended before it was complete"),
            })?;
        let bytes = if bytes.is_empty() { Bytes::from_static(b"{}") } else { bytes };
        read_json(&bytes).map(Self)
    }
}

const NO_NUL: &str = "must not hold a NUL character";

/// Where a NUL character stands, which Postgres cannot store.
fn nul_in(value: &Value, path: &str) -> Option<String> {
    let below =
        |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::String(text) => text.contains('\0').then(|| path.to_owned()),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(n, item)| nul_in(item, &below(&n.to_string())))
        }
        Value::Object(fields) => fields.iter().find_map(|(name, item)| {
            if name.contains('\0') { Some(path.to_owned()) } else { nul_in(item, &below(name)) }
        }),
        _ => None,
    }
}

/// Reads JSON, naming the field that is wrong.
fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // Serde would also take the fields as an array.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::invalid("body", "must be a JSON object"));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let field = field_of(&error.path().to_string(), &error.inner().to_string());
        let reason = match error.inner().classify() {
            serde_json::error::Category::Data => error.inner().to_string(),
            _ => format!("not JSON: {}", error.inner()),
        };
        Problem::invalid(field.as_deref().unwrap_or("body"), reason)
    })?;
    reader.end().map_err(|error| Problem::invalid("body", format!("not JSON: {error}")))?;
    if bytes.windows(6).any(|six| six == b"\\u0000")
        && let Some(path) = serde_json::from_slice(bytes).ok().and_then(|value| nul_in(&value, ""))
    {
        return Err(Problem::invalid(if path.is_empty() { "body" } else { &path }, NO_NUL));
    }
    Ok(value)
}

/// The parameters of the query.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        read_query(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

fn read_query<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    if let Some((name, _)) = form_urlencoded(text).find(|(_, value)| value.contains('\0')) {
        return Err(Problem::invalid(&name, NO_NUL));
    }
    let reader = serde_urlencoded::Deserializer::new(form_urlencoded(text));
    serde_path_to_error::deserialize(reader).map_err(|error| {
        let reason = error.inner().to_string();
        let field = field_of(&error.path().to_string(), &reason);
        Problem::invalid(field.as_deref().unwrap_or("query"), reason)
    })
}

fn form_urlencoded(text: &str) -> url::form_urlencoded::Parse<'_> {
    url::form_urlencoded::parse(text.as_bytes())
}

/// The field an error is about: its path, or the name between backticks where serde speaks of a missing or unknown one.
fn field_of(path: &str, message: &str) -> Option<String> {
    let named = ["missing field `", "unknown field `", "duplicate field `"]
        .iter()
        .find_map(|start| message.split_once(start))
        .and_then(|(_, rest)| rest.split('`').next());
    match (path, named) {
        ("." | "?" | "", named) => named.map(str::to_owned),
        (path, Some(name)) if !path.ends_with(name) => Some(format!("{path}.{name}")),
        (path, _) => Some(path.to_owned()),
    }
}

/// The id in the path.
#[derive(Debug)]
pub struct Id(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(id) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::invalid("id", "the path is not UTF-8"))?;
        if id.len() > 1024 || id.contains('\0') {
            return Err(Problem::not_found("no such id"));
        }
        Ok(Self(id))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // The layer that checks tokens put it there; a route outside that layer must not ask for it.
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| Problem::unauthorized("send `Authorization: Bearer <token>`"))
    }
}

/// The `Idempotency-Key`, where the caller sent one: at most 255 visible ASCII characters.
#[derive(Debug)]
pub struct IdempotencyKey(pub Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        read_key(&parts.headers).map(Self)
    }
}

fn read_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    const NAME: &str = "Idempotency-Key";
    let mut values = headers.get_all(NAME).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::invalid(NAME, "given more than once"));
    }
    let key = value.as_bytes();
    if key.is_empty() || key.len() > KEY_MAX || !key.iter().all(u8::is_ascii_graphic) {
        return Err(Problem::invalid(NAME, "1 to 255 visible ASCII characters without spaces"));
    }
    Ok(Some(String::from_utf8_lossy(key).into_owned()))
}

impl IdempotencyKey {
    /// The key, where the route cannot do without.
    ///
    /// # Errors
    /// 422 naming the header.
    pub fn required(self) -> Result<String, Problem> {
        self.0.ok_or_else(|| {
            Problem::invalid("Idempotency-Key", "missing: send a header with a text of your own, the same again when you repeat the request")
        })
    }
}

/// `?wait=5s`: how long to wait for an outcome.
///
/// # Errors
/// 422 naming `wait`.
pub fn wait_of(text: Option<&str>) -> Result<Duration, Problem> {
    const MAX: Duration = Duration::from_secs(30);
    let Some(text) = text else { return Ok(Duration::ZERO) };
    let wait =
        runtime::config::parse_duration(text).map_err(|reason| Problem::invalid("wait", reason))?;
    if wait > MAX { Err(Problem::invalid("wait", "at most 30s")) } else { Ok(wait) }
}

/// A text that must say something and fit.
///
/// # Errors
/// 422 naming the field.
pub fn check_text(field: &str, text: &str, chars_max: usize) -> Result<(), Problem> {
    if text.trim().is_empty() {
        return Err(Problem::invalid(field, "must not be empty"));
    }
    if text.chars().count() > chars_max {
        return Err(Problem::invalid(field, format!("at most {chars_max} characters")));
    }
    if text.contains('\0') {
        return Err(Problem::invalid(field, "must not hold a NUL character"));
    }
    Ok(())
}

/// The body of a route that takes none: nothing, or `{}`.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // only read by serde
    struct Sample {
        text: String,
        #[serde(default)]
        inner: Option<Inner>,
        limit: Option<u32>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // only read by serde
    struct Inner {
        url: String,
    }

    fn field(problem: Problem) -> Value {
        serde_json::to_value(problem).unwrap()["field"].clone()
    }

    #[test]
    fn every_mistake_in_a_body_names_its_field() {
        for (body, expected) in [
            (r#"{"text": 1}"#, json!("text")),
            (r#"{}"#, json!("text")),
            (r#"{"text": "a", "txt": 1}"#, json!("txt")),
            (r#"{"text": "a", "inner": {"url": 5}}"#, json!("inner.url")),
            (r#"{"text": "a", "inner": {}}"#, json!("inner.url")),
            (r#"{"text": "a", "limit": -1}"#, json!("limit")),
            (r#"{"text": "a"} x"#, json!("body")),
            ("[", json!("body")),
            (r#"["a", null, 1]"#, json!("body")),
            ("null", json!("body")),
            (r#" {"text": "a""#, json!("body")),
            ("nope", json!("body")),
            ("\u{0}", json!("body")),
            (r#"{"text": "a\u0000b"}"#, json!("text")),
            (r#"{"text": "a", "inner": {"url": "\u0000"}}"#, json!("inner.url")),
        ] {
            assert_eq!(
                field(read_json::<Sample>(body.as_bytes()).unwrap_err()),
                expected,
                "{body}"
            );
        }
        assert!(read_json::<Sample>(br#"{"text": "a", "inner": null}"#).is_ok());
    }

    #[test]
    fn every_mistake_in_a_query_names_its_parameter() {
        for (query, expected) in [
            ("text=a&limit=x", "limit"),
            ("limit=1", "text"),
            ("text=a&lmit=1", "lmit"),
            ("text=a&text=b", "text"),
            ("text=%00", "text"),
        ] {
            assert_eq!(field(read_query::<Sample>(query).unwrap_err()), json!(expected), "{query}");
        }
        assert_eq!(read_query::<Sample>("text=a%20b&limit=3").unwrap().limit, Some(3));
    }

    #[test]
    fn keys_are_short_and_visible() {
        let read = |value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert("idempotency-key", axum::http::HeaderValue::from_bytes(value).unwrap());
            read_key(&headers)
        };
        assert_eq!(read(b"a-1").unwrap().as_deref(), Some("a-1"));
        assert!(read(&[b'x'; 255]).is_ok());
        for wrong in [&[b'x'; 256][..], b"", b"a b", "ä".as_bytes()] {
            assert_eq!(field(read(wrong).unwrap_err()), json!("Idempotency-Key"));
        }
        assert_eq!(field(IdempotencyKey(None).required().unwrap_err()), json!("Idempotency-Key"));
    }

    #[test]
    fn waits_are_bounded() {
        assert_eq!(wait_of(None).unwrap(), Duration::ZERO);
        assert_eq!(wait_of(Some("5s")).unwrap(), Duration::from_secs(5));
        for wrong in ["31s", "soon", "5"] {
            assert_eq!(field(wait_of(Some(wrong)).unwrap_err()), json!("wait"));
        }
    }
}
