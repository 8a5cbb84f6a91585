//! Everything that goes wrong becomes an RFC 9457 problem with a stable `code`.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

mod from;

/// An RFC 9457 problem (`application/problem+json`).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// `urn:hookline:problem:<code>`
    #[serde(rename = "type")]
    #[schema(example = "urn:hookline:problem:invalid")]
    kind: String,
    /// What it is, in a few words.
    #[schema(example = "Invalid request")]
    title: &'static str,
    /// The HTTP status.
    #[schema(example = 422)]
    status: u16,
    /// Stable, for programs.
    #[schema(example = "invalid")]
    pub code: &'static str,
    /// What happened this time, and what to do.
    detail: String,
    /// The field of the body, parameter of the query or header it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(skip)]
    retry_after: Option<u32>,
}

/// Longest name of a field that is given back, characters.
const FIELD_MAX: usize = 128;
/// Longest reason, characters: the library that reads bodies quotes names in it.
const REASON_MAX: usize = 400;
/// Longest detail, characters, whatever it quotes.
const DETAIL_MAX: usize = 1_000;

impl Problem {
    fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            kind: format!("urn:hookline:problem:{code}"),
            title,
            status: status.as_u16(),
            code,
            detail: cut(&detail.into(), DETAIL_MAX),
            field: None,
            retry_after: None,
        }
    }

    /// 422: the request cannot be understood as written.
    pub(crate) fn invalid(field: &str, reason: impl std::fmt::Display) -> Self {
        let (field, reason) = (cut(field, FIELD_MAX), cut(&reason.to_string(), REASON_MAX));
        let mut problem = Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            "Invalid request",
            format!("`{field}`: {reason}"),
        );
        problem.field = Some(field);
        problem
    }

    /// 401: who is calling?
    pub(crate) fn unauthorized(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Token needed", detail)
    }

    /// 403: the token does not allow it.
    pub(crate) fn insufficient_scope(has: &str, needs: &str) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "insufficient_scope",
            "The token does not allow this",
            format!(
                "the token's scope is `{has}`, this needs `{needs}`: use another token of API_TOKENS"
            ),
        )
    }

    /// 403: a browser sends a write with its cookie from a page that is not ours.
    pub(crate) fn cross_origin() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "cross_origin",
            "Not from a page of ours",
            "a write with a session comes from our own pages only: it needs `Sec-Fetch-Site: same-origin`, or the `Origin` of PUBLIC_URL; programs send `Authorization: Bearer <token>`",
        )
    }

    /// 403: Meta takes no message to this person any more.
    pub(crate) fn window_closed(detail: String) -> Self {
        Self::new(StatusCode::FORBIDDEN, "window_closed", "The messaging window is closed", detail)
    }

    /// 403: Meta takes no message to this person by then.
    pub(crate) fn window_will_close() -> Self {
        let mut problem = Self::new(
            StatusCode::FORBIDDEN,
            "window_will_close",
            "The messaging window will be closed",
            "`not_before`: the messaging window will be closed by then, unless the person writes: choose an earlier time",
        );
        problem.field = Some("not_before".to_owned());
        problem
    }

    /// 403: an automation may not use `HUMAN_AGENT`.
    pub(crate) fn human_agent_person_only() -> Self {
        let mut problem = Self::new(
            StatusCode::FORBIDDEN,
            "human_agent_person_only",
            "HUMAN_AGENT is for people",
            "`tag`: Meta allows HUMAN_AGENT to people only, and this token is an automation's: use a token with `:person`, or leave the tag out",
        );
        problem.field = Some("tag".to_owned());
        problem
    }

    /// 404.
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "Not found", detail)
    }

    /// 404, about a thing with an id.
    pub(crate) fn unknown(what: &str, id: &str) -> Self {
        Self::not_found(format!(
            "no {what} has the id `{}`",
            id.chars().take(128).collect::<String>()
        ))
    }

    /// 405.
    pub(crate) fn method_not_allowed(method: &str) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "Method not allowed",
            format!("{method} is not for this path: the Allow header names what is"),
        )
    }

    /// 409: several things have this id.
    fn ambiguous(what: &str, choices: &[String]) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "ambiguous",
            "More than one matches",
            format!(
                "several {what} have this id, tell which by `channel` and `account_id`: {}",
                choices.join(", ")
            ),
        )
    }

    /// 409: the key was used for something else.
    pub(crate) fn key_reused() -> Self {
        let mut problem = Self::new(
            StatusCode::CONFLICT,
            "key_reused",
            "Idempotency-Key used before",
            "`Idempotency-Key`: this key was used with another request: use a new key for a new request",
        );
        problem.field = Some("Idempotency-Key".to_owned());
        problem
    }

    /// 409: what is asked for does not fit the state of things.
    pub(crate) fn not_now(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, "Not in this state", detail)
    }

    /// 403: only a person can know it.
    pub(crate) fn person_only() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "person_only",
            "Only a person can do this",
            "this token is an automation's, and only a person can look into the conversation: use a token with `:person`",
        )
    }

    /// 413.
    pub(crate) fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "Too large", detail)
    }

    /// 408: the body did not come.
    pub(crate) fn slow_body(seconds_max: u64) -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "slow_body",
            "The body did not come in time",
            format!("send the whole body within {seconds_max} seconds"),
        )
    }

    /// 409: the position a client wants to resume from is beyond `last`, the end of this stream.
    pub(crate) fn stream_reset(last: u64) -> Self {
        let mut problem = Self::new(
            StatusCode::CONFLICT,
            "stream_reset",
            "The stream was made anew",
            format!(
                "`Last-Event-ID`: the events end at {last}, so this id is of an earlier stream: read the lists again and connect without it"
            ),
        );
        problem.field = Some("Last-Event-ID".to_owned());
        problem
    }

    /// 409: the same for a reader of the log.
    pub(crate) fn log_reset(last: u64) -> Self {
        let mut problem = Self::new(
            StatusCode::CONFLICT,
            "stream_reset",
            "The stream was made anew",
            format!(
                "`after`: the log ends at {last} and this position is none of it: the stream was made anew or adopted. Read from its start with `after=0` and drop what you have by id and revision"
            ),
        );
        problem.field = Some("after".to_owned());
        problem
    }

    /// 502: Meta was asked and refused.
    pub(crate) fn sync_failed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "sync_failed", "The import failed", detail)
    }

    /// 503: the search ran out of time; the same one would again.
    pub(crate) fn search_too_slow(seconds_max: u64) -> Self {
        Self::again(
            "search_too_slow",
            "The search took too long",
            format!(
                "`q`: the search took longer than {seconds_max} s: use a longer or rarer text, or narrow it by `account_id` or `assigned_to`"
            ),
        )
    }

    /// 503: the searches before this one took too long.
    pub(crate) fn search_busy() -> Self {
        Self::again(
            "search_busy",
            "Too many searches",
            "`q`: too many searches at once: repeat this one in a moment",
        )
    }

    /// 503: no place for another client of `/v1/live`.
    pub(crate) fn too_many_clients(detail: impl Into<String>) -> Self {
        Self::again("too_many_clients", "Too many clients", detail)
    }

    /// 503: something we need is away; try again.
    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::again("unavailable", "Temporarily unavailable", detail)
    }

    fn again(code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, title, detail);
        problem.retry_after = Some(2);
        problem
    }

    /// 500: a mistake of ours; the log has more.
    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Internal error",
            "hookline made a mistake; the log of the api says more",
        )
    }

    /// Whether it is ours, and passes: the same request may succeed later.
    pub(crate) const fn is_of_server(&self) -> bool {
        500 <= self.status
    }

    /// What went wrong, in a sentence.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// Its HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// The beginning of what a caller may have written: an answer is not longer than what was asked.
fn cut(text: &str, characters_max: usize) -> String {
    match text.char_indices().nth(characters_max) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        // A struct of texts and numbers can always be written.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response =
            (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"hookline\""),
            );
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// The one thing that was found, if any.
///
/// # Errors
/// 409 `ambiguous` with the `name`s of all where several have the id.
pub(crate) fn only<T>(
    what: &str,
    mut found: Vec<T>,
    name: impl Fn(&T) -> String,
) -> Result<Option<T>, Problem> {
    if found.len() > 1 {
        let choices: Vec<_> = found.iter().map(name).collect();
        return Err(Problem::ambiguous(what, &choices));
    }
    Ok(found.pop())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    async fn parts(problem: Problem) -> (StatusCode, axum::http::HeaderMap, Value) {
        let (head, body) = problem.into_response().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (head.status, head.headers, serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test]
    async fn a_problem_names_the_field() {
        let (status, headers, body) = parts(Problem::invalid("limit", "use 1 to 200")).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(
            body,
            json!({"type": "urn:hookline:problem:invalid", "title": "Invalid request", "status": 422, "code": "invalid",
                "detail": "`limit`: use 1 to 200", "field": "limit"})
        );
    }

    #[tokio::test]
    async fn a_missing_token_says_how_to_authenticate() {
        let (status, headers, _) = parts(Problem::unauthorized("send a token")).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert!(headers[header::WWW_AUTHENTICATE].to_str().unwrap().starts_with("Bearer"));
    }
}
