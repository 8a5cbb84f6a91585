//! A simulator with two accounts, a receiver of webhooks, and a caller of Graph.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use simulator::{
    AccountHandle, AccountSpec, Policy, Simulator, SimulatorConfig, SimulatorHandle, signature,
};

pub(crate) const INSTAGRAM: &str = "17841400000000101";
pub(crate) const PAGE: &str = "103000000000301";
const SECRETS: (&str, &str) = ("facebook-secret", "instagram-secret");

/// One POST that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) path: String,
    pub(crate) bytes: Bytes,
    pub(crate) body: Value,
    pub(crate) signed_by: Option<&'static str>,
    pub(crate) status: u16,
}

#[derive(Default)]
struct Door {
    arrived: Vec<Arrived>,
    refusals: VecDeque<u16>,
}

#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) meta: SimulatorHandle,
    pub(crate) shop: AccountHandle,
    pub(crate) page: AccountHandle,
    door: Arc<Mutex<Door>>,
    http: reqwest::Client,
}

impl Stage {
    pub(crate) async fn start() -> Stage {
        let door = Arc::new(Mutex::new(Door::default()));
        let router = Router::new()
            .route("/webhooks/{object}", post(arrive).get(handshake))
            .with_state(door.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, router).await });
        let meta = Simulator::start(SimulatorConfig {
            webhook_url: Some(format!("http://{address}").parse().expect("a URL")),
            secrets: simulator::AppSecrets {
                facebook: SECRETS.0.to_owned(),
                instagram: SECRETS.1.to_owned(),
            },
            policy: Policy::for_tests(),
            ..SimulatorConfig::default()
        })
        .await
        .expect("the simulator starts");
        let shop = meta.add_account(AccountSpec::instagram(INSTAGRAM)).expect("an account");
        let page = meta.add_account(AccountSpec::messenger(PAGE)).expect("a page");
        Stage { meta, shop, page, door, http: reqwest::Client::new() }
    }

    /// The next POSTs are answered like this instead of 200.
    pub(crate) fn door_answers(&self, statuses: &[u16]) {
        self.door.lock().expect("no panic").refusals.extend(statuses);
    }

    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        self.door.lock().expect("no panic").arrived.clone()
    }

    /// What arrived once it is `count`; more is a failure too.
    pub(crate) async fn arrived_exactly(&self, count: usize) -> Vec<Arrived> {
        eventually(&format!("{count} webhooks"), || count <= self.arrived().len()).await;
        assert!(self.meta.settled(Duration::from_secs(10)).await, "deliveries stay open");
        let arrived = self.arrived();
        assert_eq!(arrived.len(), count, "{arrived:#?}");
        arrived
    }

    pub(crate) async fn get(&self, account: &AccountHandle, path: &str) -> (u16, Value) {
        let answer = self.http.get(self.url(account, path)).bearer_auth(account.token());
        read(answer.send().await.expect("an answer")).await
    }

    pub(crate) async fn post(
        &self,
        account: &AccountHandle,
        path: &str,
        body: Value,
    ) -> (u16, Value) {
        read(self.try_post(account, path, body).await.expect("an answer")).await
    }

    pub(crate) async fn try_post(
        &self,
        account: &AccountHandle,
        path: &str,
        body: Value,
    ) -> reqwest::Result<reqwest::Response> {
        let request = self.http.post(self.url(account, path)).bearer_auth(account.token());
        request.json(&body).timeout(Duration::from_millis(700)).send().await
    }

    /// Sends a text to a person as our API does.
    pub(crate) async fn send(
        &self,
        account: &AccountHandle,
        person: &str,
        text: &str,
    ) -> (u16, Value) {
        let body = serde_json::json!({"recipient": {"id": person}, "message": {"text": text}});
        self.post(account, "me/messages", body).await
    }

    pub(crate) async fn delete(&self, account: &AccountHandle, path: &str) -> (u16, Value) {
        let request = self.http.delete(self.url(account, path)).bearer_auth(account.token());
        read(request.send().await.expect("an answer")).await
    }

    /// A call to `/sim/…`.
    pub(crate) async fn control(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let method = method.parse().expect("a method");
        let url = format!("{}{path}", self.meta.control_url());
        let request = self.http.request(method, url).body(body.to_owned());
        read(request.send().await.expect("an answer")).await
    }

    pub(crate) fn url(&self, account: &AccountHandle, path: &str) -> String {
        let base = if account.id() == INSTAGRAM {
            self.meta.instagram_url()
        } else {
            self.meta.facebook_url()
        };
        format!("{base}/v26.0/{path}")
    }
}

async fn read(answer: reqwest::Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

async fn arrive(
    State(door): State<Arc<Mutex<Door>>>,
    Path(object): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> StatusCode {
    let header = headers.get("x-hub-signature-256").and_then(|value| value.to_str().ok());
    let signed_by = ["facebook-secret", "instagram-secret"]
        .into_iter()
        .find(|secret| header == Some(signature(secret, &bytes).as_str()));
    let mut door = door.lock().expect("no panic");
    let status = door.refusals.pop_front().unwrap_or(200);
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    door.arrived.push(Arrived { path: object, bytes, body, signed_by, status });
    StatusCode::from_u16(status).expect("a status")
}

async fn handshake(Query(asked): Query<HashMap<String, String>>) -> (StatusCode, String) {
    let known = asked["hub.mode"] == "subscribe" && asked["hub.verify_token"] == "token";
    let status = if known { StatusCode::OK } else { StatusCode::FORBIDDEN };
    (status, asked["hub.challenge"].clone())
}

/// Polls until it holds; fails by name after 10 s.
pub(crate) async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
