//! A Graph that answers what a test says, and nothing else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse;
use serde_json::{Value, json};

#[derive(Default)]
struct Scripted {
    answers: HashMap<String, (u16, String)>,
    calls: Vec<String>,
    hangs: Vec<String>,
}

/// Answers by `host/path`, such as `instagram/me/conversations`; to everything else "object does not exist" (100/33).
#[derive(Clone)]
pub(super) struct FakeGraph {
    scripted: Arc<Mutex<Scripted>>,
    address: std::net::SocketAddr,
}

impl FakeGraph {
    pub(super) async fn start() -> Self {
        let scripted = Arc::new(Mutex::new(Scripted::default()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = axum::Router::new().fallback(answer).with_state(scripted.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { scripted, address }
    }

    pub(super) fn url(&self, host: &str) -> String {
        format!("http://{}/{host}", self.address)
    }

    pub(super) fn says(&self, path: &str, answer: Value) {
        self.says_raw(path, 200, answer.to_string());
    }

    pub(super) fn fails(&self, path: &str, status: u16, code: i64) {
        let answer = json!({"error": {"message": "no", "type": "OAuthException", "code": code}});
        self.says_raw(path, status, answer.to_string());
    }

    pub(super) fn says_raw(&self, path: &str, status: u16, body: String) {
        self.scripted.lock().unwrap().answers.insert(path.to_owned(), (status, body));
    }

    /// Never answers what is asked below this path.
    pub(super) fn hangs(&self, path: &str) {
        self.scripted.lock().unwrap().hangs.push(path.to_owned());
    }

    /// How often a path was asked.
    pub(super) fn asked(&self, path: &str) -> usize {
        self.scripted.lock().unwrap().calls.iter().filter(|call| *call == path).count()
    }

    /// How often anything below a path was asked.
    pub(super) fn asked_below(&self, path: &str) -> usize {
        self.scripted.lock().unwrap().calls.iter().filter(|call| call.starts_with(path)).count()
    }
}

async fn answer(State(scripted): State<Arc<Mutex<Scripted>>>, uri: Uri) -> impl IntoResponse {
    // `/instagram/v26.0/me/conversations` → `instagram/me/conversations`
    let mut parts: Vec<&str> = uri.path().trim_start_matches('/').split('/').collect();
    if parts.len() > 1 {
        parts.remove(1);
    }
    let path = parts.join("/");
    let hangs = {
        let mut scripted = scripted.lock().unwrap();
        scripted.calls.push(path.clone());
        scripted.hangs.iter().any(|below| path.starts_with(below))
    };
    if hangs {
        std::future::pending::<()>().await;
    }
    let scripted = scripted.lock().unwrap();
    let unknown = || {
        let error = json!({"message": "no", "type": "GraphMethodException", "code": 100, "error_subcode": 33});
        (400, json!({ "error": error }).to_string())
    };
    let (status, body) = scripted.answers.get(&path).cloned().unwrap_or_else(unknown);
    (StatusCode::from_u16(status).unwrap(), [("content-type", "application/json")], body)
}
