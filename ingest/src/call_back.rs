//! Meta's callbacks over HTTP: verified, stored, answered; the worker acts.

use std::sync::Arc;
use std::time::Instant;

use async_nats::HeaderMap;
use axum::extract::{Path, Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use runtime::publish::Outgoing;
use runtime::telemetry;
use schemas::Timestamp;
use schemas::raw::header;
use schemas::subjects;
use serde_json::json;

use crate::body::{Reader, linger};
use crate::callback::{self, CallbackKind, Genuine};
use crate::error::Refused;
use crate::http::Door;
use crate::store::STORE_WITHIN;

/// `/callbacks/{app}/{kind}`
pub(crate) fn router(door: Arc<Door>) -> Router {
    Router::new().route("/callbacks/{app}/{kind}", any(answer)).with_state(door)
}

async fn answer(
    State(door): State<Arc<Door>>,
    Path((app, kind)): Path<(String, String)>,
    request: Request,
) -> Response {
    let outcome = take(&door, &app, &kind, request).await;
    let response = outcome.unwrap_or_else(IntoResponse::into_response);
    crate::meters::requests(response.status().as_u16().to_string(), "callback").increment(1);
    response
}

async fn take(door: &Door, app: &str, kind: &str, request: Request) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    let refuse = |refused: Refused, body| {
        linger(&parts.headers, body);
        Err(refused)
    };
    let Some(kind) = CallbackKind::of(kind) else { return refuse(Refused::Path, body) };
    if parts.method != Method::POST {
        return refuse(Refused::PostOnly, body);
    }
    let reader: &Reader = door.callback_reader();
    if reader.announces_too_large(&body) {
        return refuse(reader.too_large(), body);
    }
    let whole = reader.read(&parts.headers, body).await?;
    let (deadline, now) = (Instant::now() + STORE_WITHIN, runtime::now());
    let secrets = door.secrets();
    let genuine = callback::verify(&secrets.apps, app, kind, &whole.bytes, now)
        .map_err(|forged| door.forged(forged))?;
    let url = match (kind, door.public_url()) {
        (CallbackKind::Deauthorize, _) => None,
        (CallbackKind::Deletion, Some(url)) => Some(url.at(&format!("/deletion/{}", genuine.code))),
        (CallbackKind::Deletion, None) => {
            let why = "requests for deletion are off: PUBLIC_URL is not set";
            return Err(Refused::NotStored(why.to_owned()));
        }
    };
    let message = outgoing(kind, app, &genuine, now, whole.bytes.clone());
    door.store().store_callback(message, deadline).await?;
    Ok(match url {
        None => StatusCode::OK.into_response(),
        Some(url) => Json(json!({"url": url, "confirmation_code": genuine.code})).into_response(),
    })
}

fn outgoing(
    kind: CallbackKind,
    app: &str,
    genuine: &Genuine,
    now: Timestamp,
    payload: bytes::Bytes,
) -> Outgoing {
    let mut headers = HeaderMap::new();
    headers.insert(header::RECEIVED_AT, now.to_string());
    headers.insert(header::SECRET, app);
    headers.insert(header::PATH, format!("/callbacks/{app}/{}", kind.as_str()));
    headers.insert(header::TRACEPARENT, telemetry::new_traceparent());
    if kind == CallbackKind::Deletion {
        headers.insert(header::CODE, genuine.code.as_str());
    }
    let subject = subjects::callback(kind.as_str(), app);
    Outgoing { subject, id: hex::encode(genuine.key), headers, payload }
}
