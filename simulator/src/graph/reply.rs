//! ◆ Pure: the HTTP answer of a call: status, body, usage headers, or an end of the connection.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::ask::After;
use crate::model::{AccountKey, Channel, Login, Usage};

/// In the extensions of an answer: do not send it, end the connection.
#[derive(Clone, Copy)]
pub(crate) struct Reset;

/// How the connection ends.
pub(super) enum Reply {
    Json(u16, Value),
    BadGateway,
    Hold,
    Reset,
}

pub(super) struct Outcome {
    pub(super) reply: Reply,
    pub(super) after: After,
    pub(super) login: Login,
    pub(super) usage: Option<(AccountKey, Usage)>,
    pub(super) app_limited: bool,
    pub(super) token_refused: bool,
}

pub(super) fn respond(outcome: Outcome) -> Response<Body> {
    let mut response = match outcome.reply {
        Reply::Json(status, body) => {
            let mut response = Response::new(Body::from(body.to_string()));
            *response.status_mut() =
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let json = HeaderValue::from_static("application/json; charset=UTF-8");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            response
        }
        Reply::BadGateway => {
            let page = "<html><head><title>502 Bad Gateway</title></head></html>";
            let mut response = Response::new(Body::from(page));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            let html = HeaderValue::from_static("text/html");
            response.headers_mut().insert(header::CONTENT_TYPE, html);
            response
        }
        Reply::Hold | Reply::Reset => {
            let mut response = Response::new(Body::empty());
            response.extensions_mut().insert(Reset);
            return response;
        }
    };
    let headers = response.headers_mut();
    if outcome.token_refused {
        let challenge =
            HeaderValue::from_static(r#"OAuth "Facebook Platform" "invalid_token" "simulated""#);
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    let usage = outcome.usage.map(|(key, usage)| {
        let kind = if key.channel == Channel::Instagram { "instagram" } else { "messenger" };
        json!({key.id: [{
            "type": kind, "call_count": usage.percent, "total_cputime": 12, "total_time": 31,
            "estimated_time_to_regain_access": usage.regain_minutes,
        }]})
    });
    let app = outcome
        .app_limited
        .then(|| json!({"call_count": 100, "total_cputime": 12, "total_time": 31}));
    for (name, value) in [("x-business-use-case-usage", usage), ("x-app-usage", app)] {
        if let Some(value) = value.and_then(|v| HeaderValue::from_str(&v.to_string()).ok()) {
            headers.insert(name, value);
        }
    }
    response
}
