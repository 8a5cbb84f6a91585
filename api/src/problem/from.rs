//! What goes wrong elsewhere, as a problem.

use runtime::db::{self, Fault};
use runtime::publish::PublishFailure;
use schemas::command::CommandError;

use super::Problem;

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Invalid { field, reason } => {
                Self::invalid(field.strip_prefix("data.").unwrap_or(&field), reason)
            }
            other => Self::invalid("body", other),
        }
    }
}

impl From<PublishFailure> for Problem {
    fn from(failure: PublishFailure) -> Self {
        match failure {
            PublishFailure::TooLarge => {
                Self::too_large("the message is larger than the broker takes")
            }
            other => Self::unavailable(format!(
                "{other}: repeat the request with the same Idempotency-Key"
            )),
        }
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        let code = db::code(&error).unwrap_or_default();
        match (db::fault(&error), &*code) {
            (Fault::Passing, "") => Self::unavailable("Postgres is not reachable"),
            (Fault::Passing, _) => Self::unavailable("Postgres cannot serve right now"),
            (Fault::TooMuch, _) => Self::unavailable("Postgres took too long"),
            (_, "42P01" | "3F000") => Self::unavailable(
                "the read model is not there yet: start the projector and the worker",
            ),
            // A NUL character, or text that is none.
            (_, "22021" | "22P05") => {
                Self::invalid("request", "holds a character that cannot be stored (NUL)")
            }
            // Decoding errors name columns and types, never content.
            _ => {
                tracing::error!(error = %db::describe(&error), "Postgres refused a statement");
                Self::internal()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{StatusCode, header};
    use axum::response::IntoResponse;
    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    use super::*;

    async fn parts(problem: Problem) -> (StatusCode, axum::http::HeaderMap, Value) {
        let (head, body) = problem.into_response().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (head.status, head.headers, serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test]
    async fn what_is_away_says_when_to_come_back() {
        for problem in
            [Problem::from(PublishFailure::NotConnected), Problem::from(sqlx::Error::PoolTimedOut)]
        {
            let (status, headers, body) = parts(problem).await;
            assert_eq!(
                (status, &body["code"]),
                (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable"))
            );
            assert_eq!(headers[header::RETRY_AFTER], "2");
        }
    }

    #[test]
    fn what_a_caller_wrote_is_not_given_back_whole() {
        let long = "é".repeat(200_000);
        let problem = Problem::invalid(&long, format!("unknown field `{long}`"));
        assert!(serde_json::to_vec(&problem).unwrap().len() < 2_500);
        let found = vec![long.clone(), long.clone()];
        for problem in [
            Problem::not_found(long.clone()),
            Problem::method_not_allowed(&long),
            Problem::window_closed(long.clone()),
            Problem::sync_failed(long.clone()),
            Problem::unavailable(long.clone()),
            super::super::only("thing", found, String::clone).unwrap_err(),
        ] {
            assert!(serde_json::to_vec(&problem).unwrap().len() < 2_500);
        }
    }

    #[test]
    fn fields_of_commands_are_named_as_the_caller_wrote_them() {
        let error = schemas::command::ReplyData::default().check().unwrap_err();
        assert_eq!(Problem::from(error).field.as_deref(), Some("text"));
    }
}
