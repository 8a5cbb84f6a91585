//! A door of its own for every test.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ::ingest::Ingest;
use async_nats::jetstream::{self, stream};
use runtime::config::Settings;
use runtime::health::Health;
use serde_json::Value;
use servers::{NatsOptions, NatsServer};
use tests::client::{eventually, signature};
use tests::servers::{Broker, another_broker};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

pub(crate) const SECRET: &str = "door-secret";

/// An ingest in this process, and its broker.
pub(crate) struct Door {
    pub(crate) nats: Broker,
    pub(crate) address: SocketAddr,
    pub(crate) http: reqwest::Client,
    pub(crate) health: Health,
    pub(crate) shutdown: CancellationToken,
    pub(crate) run: tokio::task::JoinHandle<anyhow::Result<()>>,
    _folder: Folder,
}

/// What an answer says.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Gone with its test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let name = format!("hookline-door-{}-{:08x}", std::process::id(), rand::random::<u32>());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A durable broker's options in a folder.
pub(crate) fn durable(folder: &Folder) -> NatsOptions {
    NatsOptions::new(folder.0.join("nats"))
}

impl Door {
    /// Ready, in front of a part of the shared broker.
    pub(crate) async fn open() -> Self {
        let door = Self::with(Folder::new(), another_broker().await, &[]).await;
        door.ready().await;
        door
    }

    /// Ready, in front of a broker that nobody else uses.
    pub(crate) async fn alone() -> Self {
        let folder = Folder::new();
        let nats = NatsServer::start(durable(&folder)).await.unwrap();
        let door = Self::with(folder, nats, &[]).await;
        door.ready().await;
        door
    }

    /// In front of a broker of the test's choice; not waited for.
    pub(crate) async fn with(
        folder: Folder,
        nats: impl Into<Broker>,
        more: &[(&str, &str)],
    ) -> Self {
        runtime::tls::install();
        let nats = nats.into();
        let mut pairs = vec![
            ("NATS_URL".to_owned(), nats.url()),
            ("NATS_MONITOR_URL".to_owned(), nats.monitor_url()),
            ("INGEST_LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
            ("META_APP_SECRETS".to_owned(), format!("old=another-secret,main={SECRET}")),
            ("META_VERIFY_TOKENS".to_owned(), "one,two".to_owned()),
        ];
        pairs.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        // Figures count from the moment there is somebody to show them.
        let _ = runtime::telemetry::metrics_handle();
        let ingest = Ingest::bind(Settings::from_pairs(pairs)).await.unwrap();
        let (address, shutdown) = (ingest.local_addr(), CancellationToken::new());
        let health = Health::new();
        let run = tokio::spawn(ingest.run(health.clone(), shutdown.clone()));
        let http =
            reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        Self { nats, address, http, health, shutdown, run, _folder: folder }
    }

    pub(crate) async fn ready(&self) {
        eventually("ingest is ready", Duration::from_secs(15), async || {
            match self.get("/readyz").await {
                Answer { status: 200, .. } => Ok(()),
                answer => Err(answer.text),
            }
        })
        .await;
    }

    /// Waits until `/readyz` says 503, for a reason that contains `words`.
    pub(crate) async fn not_ready(&self, words: &str) {
        eventually(&format!("not ready: {words}"), Duration::from_secs(15), async || {
            let (status, text) =
                (self.get("/readyz").await.status, format!("{:?}", self.health.problems()));
            tests::client::holds(status == 503 && text.contains(words), || {
                format!("{status} {text}")
            })
        })
        .await;
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.http.get(self.url(path))).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Answer { status, headers, text: answer.text().await.unwrap() }
    }

    /// A signed POST.
    pub(crate) async fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Answer {
        let body = body.as_ref();
        let signature = signature(SECRET, body);
        self.send(
            self.http
                .post(self.url(path))
                .header("x-hub-signature-256", signature)
                .body(body.to_vec()),
        )
        .await
    }

    /// Many signed POSTs at the same time; their statuses, each with how often.
    pub(crate) async fn post_all(&self, bodies: Vec<Vec<u8>>) -> Vec<u16> {
        let posts = bodies.iter().map(|body| self.post("/webhook", body));
        futures::future::join_all(posts).await.into_iter().map(|answer| answer.status).collect()
    }

    pub(crate) async fn js(&self) -> jetstream::Context {
        let (user, password) = self.nats.credentials();
        let options = async_nats::ConnectOptions::with_user_and_password(user, password);
        jetstream::new(
            options.connect(format!("nats://127.0.0.1:{}", self.nats.port())).await.unwrap(),
        )
    }

    pub(crate) async fn raw(&self) -> stream::Stream {
        self.js().await.get_stream("META_RAW").await.unwrap()
    }

    /// How many raw webhooks are stored.
    pub(crate) async fn stored(&self) -> u64 {
        self.raw().await.get_info().await.unwrap().state.messages
    }

    /// The newest raw webhook.
    pub(crate) async fn newest(&self) -> jetstream::message::StreamMessage {
        let raw = self.raw().await;
        let last = raw.get_info().await.unwrap().state.last_sequence;
        raw.get_raw_message(last).await.unwrap()
    }

    /// Sends bytes as they are and reads until the server closes or stays silent for `patience`.
    pub(crate) async fn raw_exchange(&self, pieces: &[&[u8]], patience: Duration) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        for piece in pieces {
            // A server that has answered already may not take the rest.
            let _ = stream.write_all(piece).await;
            let _ = stream.flush().await;
        }
        read_all(&mut stream, patience).await
    }

    /// Asks ingest to stop and waits for it.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.run.await.unwrap().unwrap();
    }
}

/// Reads until the other side closes or stays silent for `patience`.
pub(crate) async fn read_all(stream: &mut TcpStream, patience: Duration) -> String {
    let mut read = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(Ok(length @ 1..)) = tokio::time::timeout(patience, stream.read(&mut piece)).await {
        read.extend_from_slice(&piece[..length]);
    }
    String::from_utf8_lossy(&read).into_owned()
}

/// A small webhook of its own.
pub(crate) fn body(n: usize) -> Vec<u8> {
    format!(
        r#"{{"object":"instagram","entry":[{{"id":"1784140000000{:04}","time":{n}}}]}}"#,
        n % 50
    )
    .into_bytes()
}

/// The one problem body.
pub(crate) fn problem(answer: &Answer) -> Value {
    let value: Value = serde_json::from_str(&answer.text).unwrap();
    assert_eq!(value["status"], answer.status, "{answer:?}");
    value
}
