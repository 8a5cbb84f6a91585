//! The id in the path, the caller and the `Idempotency-Key`.

use axum::extract::{FromRequestParts, Path};
use axum::http::HeaderMap;
use axum::http::request::Parts;

use crate::auth::Caller;
use crate::problem::Problem;

/// The header of an idempotency key.
const KEY_NAME: &str = "Idempotency-Key";
/// Most characters of an `Idempotency-Key`.
const KEY_MAX: usize = 255;

/// The id in the path.
#[derive(Debug)]
pub(crate) struct Id(pub String);

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

/// The id in the path, and the name behind it.
#[derive(Debug)]
pub(crate) struct IdAndName(pub String, pub String);

impl<S: Send + Sync> FromRequestParts<S> for IdAndName {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path((id, name)) = Path::<(String, String)>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::invalid("name", "the path is not UTF-8"))?;
        if id.len() > 1024 || id.contains('\0') {
            return Err(Problem::not_found("no such id"));
        }
        Ok(Self(id, name))
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
pub(crate) struct IdempotencyKey(pub Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        read_key(&parts.headers).map(Self)
    }
}

fn read_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(KEY_NAME).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::invalid(KEY_NAME, "given more than once"));
    }
    let key = value.as_bytes();
    if key.is_empty() || key.len() > KEY_MAX || !key.iter().all(u8::is_ascii_graphic) {
        return Err(Problem::invalid(KEY_NAME, "1 to 255 visible ASCII characters without spaces"));
    }
    Ok(Some(String::from_utf8_lossy(key).into_owned()))
}

impl IdempotencyKey {
    /// The key, where the route cannot do without.
    ///
    /// # Errors
    /// 422 naming the header.
    pub(crate) fn required(self) -> Result<String, Problem> {
        self.0.ok_or_else(|| {
            Problem::invalid(KEY_NAME, "missing: send a header with a text of your own, the same again when you repeat the request")
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn field(problem: Problem) -> Value {
        serde_json::to_value(problem).unwrap()["field"].clone()
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
}
