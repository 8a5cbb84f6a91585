//! The parameters of the query.

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::fields::{NO_NUL, field_of};
use crate::problem::Problem;

/// The parameters of the query.
#[derive(Debug)]
pub(crate) struct Query<T>(pub T);

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

/// `?wait=5s`: how long to wait for an outcome.
///
/// # Errors
/// 422 naming `wait`.
pub(crate) fn wait_of(text: Option<&str>) -> Result<Duration, Problem> {
    const MAX: Duration = Duration::from_secs(30);
    let Some(text) = text else { return Ok(Duration::ZERO) };
    let wait =
        runtime::config::parse_duration(text).map_err(|reason| Problem::invalid("wait", reason))?;
    if wait > MAX { Err(Problem::invalid("wait", "at most 30s")) } else { Ok(wait) }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // only read by serde
    struct Sample {
        text: String,
        limit: Option<u32>,
    }

    fn field(problem: Problem) -> Value {
        serde_json::to_value(problem).unwrap()["field"].clone()
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
    fn waits_are_bounded() {
        assert_eq!(wait_of(None).unwrap(), Duration::ZERO);
        assert_eq!(wait_of(Some("5s")).unwrap(), Duration::from_secs(5));
        for wrong in ["31s", "soon", "5"] {
            assert_eq!(field(wait_of(Some(wrong)).unwrap_err()), json!("wait"));
        }
    }
}
