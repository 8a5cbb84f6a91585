//! JSON bodies.

use std::time::Duration;

use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::fields::{NO_NUL, field_of};
use crate::problem::Problem;

/// Largest request body, bytes.
pub(crate) const BODY_MAX: usize = 256 << 10;
/// How long a body may take.
const BODY_WAIT: Duration = Duration::from_secs(10);

/// A JSON body. None at all counts as `{}`, so that what is missing is named.
#[derive(Debug)]
pub(crate) struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = tokio::time::timeout(BODY_WAIT, Bytes::from_request(request, state))
            .await
            .map_err(|_| Problem::slow_body(BODY_WAIT.as_secs()))?
            .map_err(|rejection| match rejection {
                BytesRejection::FailedToBufferBody(inner)
                    if inner.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE =>
                {
                    Problem::too_large(format!("the body is larger than {} bytes", BODY_MAX))
                }
                _ => Problem::invalid("body", "it ended before it was complete"),
            })?;
        let bytes = if bytes.is_empty() { Bytes::from_static(b"{}") } else { bytes };
        read_json(&bytes).map(Self)
    }
}

/// The body of a route that takes none: nothing, or `{}`.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
}
