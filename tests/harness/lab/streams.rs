//! What is in the streams of a lab, and whether all of it has arrived.

use std::time::{Duration, Instant};

use async_nats::jetstream::Context;
use serde_json::Value;

use super::Lab;
use crate::client::eventually;

/// Without progress for so long, what is in the streams hangs.
const SETTLES_WITHIN: Duration = Duration::from_secs(60);

impl Lab {
    /// The log's head: how many messages a stream has ever taken.
    pub async fn last_sequence(&self, stream: &str) -> u64 {
        head(&self.jetstream().await, stream).await
    }

    pub async fn jetstream(&self) -> Context {
        async_nats::jetstream::new(self.nats_client().await)
    }

    /// A client of the broker.
    pub async fn nats_client(&self) -> async_nats::Client {
        let settings = runtime::config::Settings::from_pairs(self.settings.clone());
        let config = runtime::config::NatsConfig::from_settings(&settings).unwrap();
        let (options, servers) =
            runtime::broker::identify(async_nats::ConnectOptions::new(), &config).await.unwrap();
        options.connect(servers).await.unwrap()
    }

    /// Waits until a stream has aged out of everything that it holds.
    pub async fn age_out(&self, stream: &str) {
        let js = self.jetstream().await;
        let mut config = js.get_stream(stream).await.unwrap().cached_info().config.clone();
        config.max_age = Duration::from_secs(1);
        config.duplicate_window = Duration::from_secs(1);
        js.update_stream(config).await.unwrap();
        eventually(&format!("{stream} is empty"), Duration::from_secs(10), async || {
            let stream = js.get_stream(stream).await.map_err(|error| error.to_string())?;
            match stream.cached_info().state.messages {
                0 => Ok(()),
                n => Err(format!("{n} messages")),
            }
        })
        .await;
    }

    /// Every message of a stream, in order: subject, headers, body.
    pub async fn messages(&self, stream: &str) -> Vec<async_nats::jetstream::Message> {
        use futures::StreamExt;
        let js = self.jetstream().await;
        let Ok(stream) = js.get_stream(stream).await else { return Vec::new() };
        let count = usize::try_from(stream.cached_info().state.messages).unwrap();
        let config = async_nats::jetstream::consumer::pull::OrderedConfig::default();
        let consumer = stream.create_consumer(config).await.unwrap();
        let messages = consumer.messages().await.unwrap();
        messages.take(count).map(|message| message.unwrap()).collect().await
    }

    /// Every event, in order.
    pub async fn events(&self) -> Vec<Value> {
        let messages = self.messages("INBOX_EVENTS").await;
        messages.iter().map(|message| serde_json::from_slice(&message.payload).unwrap()).collect()
    }

    /// Waits until the projector has folded everything that is in the stream now and nothing new has come for a while. It may take long
    /// where much is in the streams, as long as it gets less.
    pub async fn settled(&self) {
        let mut before = (0, 0);
        let mut same_for = 0;
        let (mut least, mut since) = (u64::MAX, Instant::now());
        // One connection for all looks.
        let js = self.jetstream().await;
        eventually("everything is projected", Duration::from_secs(3600), async || {
            let head = (head(&js, "META_RAW").await, head(&js, "INBOX_EVENTS").await);
            let lag = self.lag(&js, head.1).await?;
            if lag < least {
                (least, since) = (lag, Instant::now());
            }
            same_for = if head == before && lag == 0 { same_for + 1 } else { 0 };
            before = head;
            assert!(
                since.elapsed() < SETTLES_WITHIN,
                "no progress for {SETTLES_WITHIN:?}: head {head:?}, lag {lag}"
            );
            if same_for >= 4 { Ok(()) } else { Err(format!("head {head:?}, lag {lag}")) }
        })
        .await;
    }

    /// Raw webhooks not yet normalised plus events not yet projected, by the positions in Postgres.
    async fn lag(&self, js: &Context, events: u64) -> Result<u64, String> {
        let projected: Option<i64> = sqlx::query_scalar("select max(seq) from inbox.position")
            .fetch_one(&self.pool)
            .await
            .map_err(|error| error.to_string())?;
        let normalised: Vec<(String, i64)> =
            sqlx::query_as("select name, seq from worker.positions where name like 'raw-%'")
                .fetch_all(&self.pool)
                .await
                .map_err(|error| error.to_string())?;
        let behind = |head: u64, at: i64| head.saturating_sub(u64::try_from(at).unwrap_or(0));
        let lag = behind(events, projected.unwrap_or(0));
        let Ok(raw) = js.get_stream("META_RAW").await else { return Ok(lag) };
        // Each shard has a head of its own.
        let shards = (0..schemas::subjects::SHARDS).map(async |shard| {
            let filter = schemas::subjects::raw_shard_filter(shard);
            let Ok(last) = raw.get_last_raw_message_by_subject(&filter).await else { return 0 };
            let name = format!("raw-{shard:02}");
            let at = normalised.iter().find(|(other, _)| *other == name).map_or(0, |(_, at)| *at);
            behind(last.sequence, at)
        });
        Ok(lag + futures::future::join_all(shards).await.into_iter().sum::<u64>())
    }
}

/// The last sequence of a stream; 0 where there is none.
async fn head(js: &Context, stream: &str) -> u64 {
    match js.get_stream(stream).await {
        Ok(stream) => stream.cached_info().state.last_sequence,
        Err(_) => 0,
    }
}
