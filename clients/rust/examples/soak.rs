//! The reader that `clients/testing/soak.py` kills again and again.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::time::Duration;

use async_nats::ConnectOptions;
use hookline_client::{BoxError, Event, Handler, Meta, Options, Store, Unknown, follow};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

fn write(mut out: &File, id: &str, revision: u32, conversation: &str) -> Result<(), BoxError> {
    Ok(out.write_all(format!("{id} {revision} {conversation}\n").as_bytes())?)
}

/// The effect, a line,
struct Lines(File);

impl Handler for Lines {
    async fn event(&mut self, event: &Event, _: &Meta) -> Result<(), BoxError> {
        let conversation = event.data.conversation_id.as_deref().unwrap_or_default();
        write(&self.0, &event.id, event.data.origin.revision, conversation)
    }

    async fn withdrawn(&mut self, _: &str, event: &Event, meta: &Meta) -> Result<(), BoxError> {
        self.event(event, meta).await
    }

    async fn unknown(&mut self, unknown: Unknown<'_>, _: &Meta) -> Result<(), BoxError> {
        let event: Value = serde_json::from_slice(unknown.bytes)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let revision = event["data"]["origin"]["revision"].as_u64().unwrap_or_default();
        let conversation = text(&event["data"]["conversation_id"]);
        write(&self.0, &text(&event["id"]), u32::try_from(revision)?, &conversation)
    }
}

/// is also what says that it was handled.
struct Handled(HashSet<(String, u32)>);

impl Store for Handled {
    async fn has(&mut self, id: &str, revision: u32) -> Result<bool, BoxError> {
        Ok(self.0.contains(&(id.to_owned(), revision)))
    }

    async fn add(&mut self, id: &str, revision: u32) -> Result<(), BoxError> {
        self.0.insert((id.to_owned(), revision));
        Ok(())
    }

    async fn is_withdrawn(&mut self, _: &str) -> Result<bool, BoxError> {
        Ok(false)
    }

    async fn withdraw(&mut self, _: &str) -> Result<(), BoxError> {
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let path = std::env::var("HOOKLINE_SOAK_OUT")?;
    let lines = std::fs::read_to_string(&path).unwrap_or_default();
    let known = lines.lines().filter_map(|line| {
        let mut words = line.split(' ');
        Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
    });
    let mut store = Handled(known.collect());
    let mut handler = Lines(OpenOptions::new().append(true).create(true).open(&path)?);
    let stop = CancellationToken::new();
    let (mut terminated, token) = (signal(SignalKind::terminate())?, stop.clone());
    tokio::spawn(async move {
        terminated.recv().await;
        token.cancel();
    });
    let client = ConnectOptions::with_user_and_password("subscriber".into(), "subscriber".into())
        .custom_inbox_prefix("_INBOX_subscriber")
        .retry_on_initial_connect()
        .reconnect_delay_callback(|_| Duration::from_millis(100))
        .connect(std::env::var("HOOKLINE_SOAK_NATS")?)
        .await?;
    let mut options = Options::new("shop-a", "instagram", "17841400000000001");
    options.ack_wait = Duration::from_millis(500);
    follow(&client, &options, &mut handler, &mut store, &stop).await?;
    Ok(())
}
