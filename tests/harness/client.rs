//! Speaking to hookline from outside: as Meta, as a user of the API, as a subscriber, as an SQL reader.

use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

/// Polls until `check` says `Ok`, or panics with the last thing it said.
pub async fn eventually<T, F>(what: &str, within: Duration, mut check: F) -> T
where
    F: AsyncFnMut() -> Result<T, String>,
{
    let deadline = Instant::now() + within;
    loop {
        match check().await {
            Ok(value) => return value,
            Err(last) if Instant::now() > deadline => {
                panic!("not within {within:?}: {what}; last: {last}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Turns a truth into what [`eventually`] wants.
pub fn holds(truth: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if truth { Ok(()) } else { Err(otherwise()) }
}

/// A client for servers of this machine, which need no certificate: reading all of them would be most of what a client costs.
pub fn http(within: Duration) -> reqwest::Client {
    runtime::tls::install();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]);
    client.timeout(within).build().unwrap()
}

/// `sha256=<hex>` over the raw bytes.
pub fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// Meta's side of the webhook door, by hand: what the simulator would not send.
#[derive(Clone)]
pub struct Meta {
    pub http: reqwest::Client,
    pub url: String,
    pub secret: String,
}

impl Meta {
    pub fn new(url: String, secret: &str) -> Self {
        let http = http(Duration::from_secs(15));
        Self { http, url, secret: secret.to_owned() }
    }

    /// Posts a signed body; the status.
    pub async fn post(&self, path: &str, body: &[u8]) -> u16 {
        match self.try_post(path, body).await {
            Ok(status) => status,
            Err(error) => panic!("posting to {path}: {error}"),
        }
    }

    /// Posts a signed body; an error where nobody answers.
    pub async fn try_post(&self, path: &str, body: &[u8]) -> reqwest::Result<u16> {
        let request = self
            .http
            .post(format!("{}{path}", self.url))
            .header("content-type", "application/json")
            .header("x-hub-signature-256", signature(&self.secret, body))
            .body(body.to_vec());
        Ok(request.send().await?.status().as_u16())
    }

    /// Posts until it is accepted, as Meta does.
    pub async fn deliver(&self, path: &str, body: &[u8]) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            match self.try_post(path, body).await {
                Ok(200) => return,
                last if Instant::now() > deadline => panic!("never accepted: {last:?}"),
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }
}

/// A user of the inbox API.
#[derive(Clone)]
pub struct Api {
    pub http: reqwest::Client,
    pub url: String,
    pub token: String,
}

impl Api {
    pub fn new(url: String, token: &str) -> Self {
        let http = http(Duration::from_secs(40));
        Self { http, url, token: token.to_owned() }
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.send(self.http.get(format!("{}{path}", self.url))).await
    }

    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.send(self.http.post(format!("{}{path}", self.url)).json(&body)).await
    }

    /// A POST with an `Idempotency-Key`.
    pub async fn post_once(&self, path: &str, key: &str, body: Value) -> (u16, Value) {
        self.try_post_once(path, key, body).await.unwrap()
    }

    /// The same; an error where nobody answers.
    pub async fn try_post_once(
        &self,
        path: &str,
        key: &str,
        body: Value,
    ) -> reqwest::Result<(u16, Value)> {
        let request = self.http.post(format!("{}{path}", self.url));
        self.try_send(request.header("idempotency-key", key).json(&body)).await
    }

    pub async fn delete(&self, path: &str, body: Value) -> (u16, Value) {
        self.send(self.http.delete(format!("{}{path}", self.url)).json(&body)).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        self.try_send(request).await.unwrap()
    }

    async fn try_send(&self, request: reqwest::RequestBuilder) -> reqwest::Result<(u16, Value)> {
        let answer = request.bearer_auth(&self.token).send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// All conversations, over all pages.
    pub async fn conversations(&self) -> Vec<Value> {
        self.all("/v1/conversations?limit=100", "conversations").await
    }

    /// All messages of a conversation, newest first.
    pub async fn messages(&self, conversation: &str) -> Vec<Value> {
        self.all(&format!("/v1/conversations/{conversation}/messages?limit=100"), "messages").await
    }

    async fn all(&self, path: &str, field: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let (status, page) = self.get(&format!("{path}{cursor}")).await;
            assert_eq!(status, 200, "{path}: {page}");
            items.extend(page[field].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }
}
