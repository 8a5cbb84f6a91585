//! A receiver of outgoing webhooks that remembers what it was sent, and answers as a test wishes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answers {
    Status(u16),
    Redirect,
    Never,
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) path: String,
    pub(super) id: String,
    pub(super) timestamp: String,
    pub(super) signatures: Vec<String>,
    pub(super) content_type: String,
    pub(super) user_agent: String,
    pub(super) body: Bytes,
    pub(super) at: DateTime<Utc>,
    /// It was answered 2xx.
    pub(super) taken: bool,
}

impl Request {
    pub(super) fn event(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(super) fn contact(&self) -> String {
        self.event()["data"]["contact_id"].as_str().unwrap_or_default().to_owned()
    }

    /// Which of its signatures is right by this secret.
    pub(super) fn signed_by(&self, secret: &str) -> Option<usize> {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("{}.{}.", self.id, self.timestamp).as_bytes());
        mac.update(&self.body);
        let right = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        self.signatures.iter().position(|signature| *signature == right)
    }
}

#[derive(Default)]
struct Seen {
    requests: Vec<Request>,
    /// By contact; else by path; else 204.
    answers: HashMap<String, Answers>,
}

#[derive(Clone)]
pub(super) struct Receiver {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl Receiver {
    pub(super) async fn start() -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let router = Router::new().fallback(take).with_state(seen.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, seen }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on events of a contact, or requests to a path, are answered like this.
    pub(super) fn answer(&self, what: &str, answers: Answers) {
        self.seen().answers.insert(what.to_owned(), answers);
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.seen().requests.clone()
    }

    /// Events of the log that were answered 2xx on a path.
    pub(super) fn taken(&self, path: &str) -> Vec<Request> {
        let requests = self.requests().into_iter();
        let is_test = |request: &Request| request.event()["type"] == "hookline.endpoint.test.v1";
        requests
            .filter(|request| request.taken && request.path == path && !is_test(request))
            .collect()
    }
}

async fn take(
    State(seen): State<Arc<Mutex<Seen>>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = |name: &str| {
        headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let mut request = Request {
        path: uri.path().to_owned(),
        id: text("webhook-id"),
        timestamp: text("webhook-timestamp"),
        signatures: text("webhook-signature").split(' ').map(str::to_owned).collect(),
        content_type: text("content-type"),
        user_agent: text("user-agent"),
        body,
        at: Utc::now(),
        taken: false,
    };
    let answers = {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let found = [request.contact(), request.path.clone()];
        let found = found.iter().find_map(|key| seen.answers.get(key)).copied();
        let answers = found.unwrap_or(Answers::Status(204));
        request.taken = matches!(answers, Answers::Status(200..=299));
        seen.requests.push(request);
        answers
    };
    match answers {
        Answers::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answers::Redirect => {
            (StatusCode::FOUND, [("location", "/elsewhere")], "moved").into_response()
        }
        Answers::Never => std::future::pending().await,
    }
}
