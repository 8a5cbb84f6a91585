//! `ETag` and `If-Match`: how far somebody has seen what happened, as one number: the position of the read model with its era.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponseParts, ResponseParts};
use schemas::Place;
use schemas::subjects::INBOX_EVENTS;

use crate::app::App;
use crate::problem::Problem;
use crate::worker_views;

const IF_MATCH: &str = "If-Match";

/// The `ETag` of an answer; none before the position of the read model is known.
pub(crate) struct ETag(Option<Place>);

impl App {
    /// The position of the read model, to be asked for before rows are read: it never claims more than is shown.
    ///
    /// # Errors
    /// `sqlx::Error`; ask again.
    pub(crate) async fn etag(&self) -> sqlx::Result<ETag> {
        let Some(position) = self.projected.now() else { return Ok(ETag(None)) };
        let era = worker_views::era_number(&self.pool, INBOX_EVENTS).await?;
        Ok(ETag(Some(Place { era, position })))
    }
}

impl IntoResponseParts for ETag {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        let value = self.0.map(|place| HeaderValue::try_from(format!("\"{}\"", place.to_id())));
        if let Some(Ok(value)) = value {
            parts.headers_mut().insert(header::ETAG, value);
        }
        Ok(parts)
    }
}

/// The `If-Match` of a request: the number of an `ETag`.
#[derive(Debug)]
pub(crate) struct IfMatch(pub Option<u64>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        read(&parts.headers).map(Self)
    }
}

fn read(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let mut values = headers.get_all(IF_MATCH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    // A proxy that compresses may have made it a weak one.
    let text = text.strip_prefix("W/").unwrap_or(text).trim_matches('"');
    match (text.parse(), values.next()) {
        (Ok(seen), None) => Ok(Some(seen)),
        _ => Err(Problem::invalid(
            IF_MATCH,
            "one `ETag` of the conversation or of its messages, as it was answered",
        )),
    }
}

/// What an automation must give, and did not.
pub(crate) fn missing() -> Problem {
    Problem::invalid(
        IF_MATCH,
        "missing: an automation says what it has seen: send the `ETag` of the conversation or of its messages, read before it thought",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_comes_back_as_it_was() {
        let seen = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(IF_MATCH, HeaderValue::from_static(value));
            }
            read(&headers).map_err(|problem| problem.code)
        };
        assert_eq!(seen(&[]), Ok(None));
        assert_eq!(seen(&["\"17\""]), Ok(Some(17)));
        assert_eq!(seen(&["W/\"1000000000000017\""]), Ok(Some(1_000_000_000_000_017)));
        for wrong in
            [&["*"][..], &[""], &["\"a\""], &["\"-1\""], &["\"1\", \"2\""], &["\"1\"", "\"2\""]]
        {
            assert_eq!(seen(wrong), Err("invalid"), "{wrong:?}");
        }
    }
}
