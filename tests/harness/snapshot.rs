//! Backups of streams, as `nats stream backup` and `nats stream restore` make them: over the broker's API.

use std::time::Duration;

use async_nats::Client;
use bytes::Bytes;
use futures::StreamExt;
use serde_json::{Value, json};

const CHUNK: usize = 128 << 10;
const WITHIN: Duration = Duration::from_secs(20);

/// A backup of one stream.
pub struct Snapshot {
    stream: String,
    config: Value,
    state: Value,
    chunks: Vec<Bytes>,
}

impl Snapshot {
    /// Backs a stream up as it is now.
    pub async fn take(client: &Client, stream: &str) -> Self {
        let inbox = client.new_inbox();
        let mut messages = client.subscribe(inbox.clone()).await.unwrap();
        let wish = json!({"deliver_subject": inbox, "no_consumers": true, "chunk_size": CHUNK});
        let answer = ask(client, format!("$JS.API.STREAM.SNAPSHOT.{stream}"), &wish).await;
        let mut chunks = Vec::new();
        loop {
            let next = tokio::time::timeout(WITHIN, messages.next()).await;
            let message = next.expect("a chunk comes").expect("the subscription lives");
            if let Some(reply) = message.reply {
                client.publish(reply, Bytes::new()).await.unwrap();
            }
            if message.payload.is_empty() {
                break;
            }
            chunks.push(message.payload);
        }
        let (config, state) = (answer["config"].clone(), answer["state"].clone());
        Self { stream: stream.to_owned(), config, state, chunks }
    }

    /// Brings the stream back as it was. None of its name may be there.
    pub async fn restore(&self, client: &Client) {
        let wish = json!({"config": self.config, "state": self.state});
        let answer = ask(client, format!("$JS.API.STREAM.RESTORE.{}", self.stream), &wish).await;
        let to = answer["deliver_subject"].as_str().expect("a subject for chunks").to_owned();
        let end = std::iter::once(Bytes::new());
        for chunk in self.chunks.iter().cloned().chain(end) {
            let sent = client.request(to.clone(), chunk);
            let answer = tokio::time::timeout(WITHIN, sent).await.expect("in time").unwrap();
            let text = String::from_utf8_lossy(&answer.payload);
            assert!(!text.contains("\"error\""), "restoring {}: {text}", self.stream);
        }
    }
}

async fn ask(client: &Client, subject: String, wish: &Value) -> Value {
    let answer = client.request(subject, wish.to_string().into()).await.unwrap();
    let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
    assert!(answer.get("error").is_none(), "{wish}: {answer}");
    answer
}
