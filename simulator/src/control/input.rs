//! Reading what callers send, and refusing it by the name of the field.

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::error::{Invalid, SimulatorError};

/// Why a control request was not carried out.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    field: String,
    message: String,
}

pub(super) type Answer = Result<Json<Value>, Refusal>;

impl Refusal {
    pub(super) fn invalid(field: &str, message: &str) -> Refusal {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Refusal { status, field: field.to_owned(), message: message.to_owned() }
    }

    pub(super) fn unknown(field: &str, id: &str) -> Refusal {
        let message = format!("there is no {field} `{id}`");
        Refusal { status: StatusCode::NOT_FOUND, field: field.to_owned(), message }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({"error": {"field": self.field, "message": self.message}});
        (self.status, Json(body)).into_response()
    }
}

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Refusal {
        Refusal::invalid(&invalid.field, &invalid.problem)
    }
}

impl From<SimulatorError> for Refusal {
    fn from(error: SimulatorError) -> Refusal {
        match error {
            SimulatorError::Invalid(invalid) => invalid.into(),
            other => Refusal {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                field: String::new(),
                message: other.to_string(),
            },
        }
    }
}

/// A JSON body; the content type does not matter, so plain `curl -d` works.
pub(super) struct Input<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Input<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Input<T>, Refusal> {
        let bytes = bytes::Bytes::from_request(request, state)
            .await
            .map_err(|error| Refusal::invalid("body", &error.body_text()))?;
        let bytes = if bytes.is_empty() { bytes::Bytes::from_static(b"{}") } else { bytes };
        match Json::<T>::from_bytes(&bytes) {
            Ok(Json(input)) => Ok(Input(input)),
            Err(error) => {
                let text = error.body_text();
                let (field, message) = named(&text);
                Err(Refusal::invalid(&field, &message))
            }
        }
    }
}

/// Query parameters.
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Params<T>, Refusal> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Params(params)),
            Err(error) => {
                let (field, message) = named(&error.body_text());
                Err(Refusal::invalid(&field, &message))
            }
        }
    }
}

/// Field and message out of axum's text: `Failed to deserialize …: path: problem`, or serde's own "field `x`".
fn named(text: &str) -> (String, String) {
    let problem = match text.split_once(": ") {
        Some((head, problem)) if head.starts_with("Failed to") => problem,
        _ => text,
    };
    let problem = problem.split(" at line ").next().unwrap_or(problem);
    let quoted = ["missing field `", "unknown field `"]
        .iter()
        .find_map(|lead| problem.split_once(lead)?.1.split_once('`').map(|(field, _)| field));
    let path = problem.split_once(": ").map(|(path, _)| path).filter(|path| {
        !path.is_empty() && path.chars().all(|c| c.is_ascii_alphanumeric() || "_.[]".contains(c))
    });
    match (quoted, path) {
        (Some(field), _) => (field.to_owned(), problem.to_owned()),
        (None, Some(path)) => {
            let message = problem.split_once(": ").map_or(problem, |(_, message)| message);
            (path.to_owned(), message.to_owned())
        }
        (None, None) => ("body".to_owned(), problem.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_is_found_in_what_serde_says() {
        let lead = "Failed to deserialize the JSON body into the target type";
        let check = |text: &str, field: &str| {
            assert_eq!(named(&format!("{lead}: {text}")).0, field, "{text}");
        };
        check("missing field `text` at line 1 column 2", "text");
        check("unknown field `txt`, expected `text` at line 1 column 9", "txt");
        check("rate: invalid type: string \"x\", expected f64 at line 1 column 12", "rate");
        check("invalid type: sequence, expected struct Act at line 1 column 1", "body");
        assert_eq!(named("Failed to parse the request body as JSON: EOF at line 1").0, "body");
    }
}
