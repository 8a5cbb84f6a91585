//! `GET /deletion/{code}`: the public page of a request for deletion. It shows where the request stands, and nothing about the person.

use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::app::State;
use crate::html::Page;
use crate::worker_views;

/// The longest code that is looked up.
const CODE_MAX: usize = 64;

/// Answers it.
pub(crate) async fn page(axum::extract::State(app): State, Path(code): Path<String>) -> Response {
    let is_code = code.len() <= CODE_MAX && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let found = match is_code {
        true => worker_views::deletion(&app.pool, &code).await,
        false => Ok(None),
    };
    let (status, text) = match found {
        Ok(Some(state)) => (StatusCode::OK, in_words(&state)),
        Ok(None) => (
            StatusCode::NOT_FOUND,
            "There is no request with this code, or it came in a moment ago: look again in a minute.",
        ),
        Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "The state of this request cannot be read now: look again in a minute.",
        ),
    };
    let mut response = Page::new(status, "Data deletion").says(text).into_response();
    // The code stands in the address.
    let referrer = HeaderValue::from_static("no-referrer");
    response.headers_mut().insert(header::REFERRER_POLICY, referrer);
    response
}

/// Words of the state; it is an open list.
fn in_words(state: &str) -> &'static str {
    match state {
        "waiting" => {
            "The request was received. The accounts that were connected are disconnected; the deletion of their data is waiting to be carried out."
        }
        "done" => "The request was carried out: the data was deleted.",
        "nothing_held" => {
            "The request was received. No account and no conversation of this person is held."
        }
        _ => "The request was received and is being carried out.",
    }
}
