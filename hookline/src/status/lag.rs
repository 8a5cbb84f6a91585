//! How far each stage is behind the head of its stream, counted by the broker from the stored position.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::{self, context::GetStreamErrorKind};
use schemas::{Timestamp, subjects};
use serde::Serialize;
use sqlx::PgPool;

use super::database::{POSITION_OF_PROJECTOR, POSITION_OF_WORKER, position};
use crate::connect;

/// How far one reader is behind.
#[derive(Debug, Serialize)]
pub(crate) struct Stage {
    /// `normalize`, `commands`, `automate`, `project`.
    pub(crate) stage: String,
    /// Messages that wait.
    pub(crate) lag: u64,
    /// How long the oldest of them waits, seconds.
    pub(crate) oldest_seconds: Option<u64>,
}

/// The head of INBOX_EVENTS; 0 where there is none yet.
pub(crate) async fn events_head(js: &jetstream::Context) -> anyhow::Result<u64> {
    let stream = existing(js, subjects::INBOX_EVENTS).await?;
    Ok(stream.map_or(0, |stream| stream.cached_info().state.last_sequence))
}

/// One row a stage, in the order a message passes them.
pub(crate) async fn stages(
    js: &jetstream::Context,
    pool: &PgPool,
    now: Timestamp,
) -> anyhow::Result<Vec<Stage>> {
    let mut stages = vec![normalize(js, pool, now).await?];
    for (stage, statement, name, stream, filter) in [
        (
            "commands",
            POSITION_OF_WORKER,
            "commands",
            subjects::INBOX_COMMANDS,
            subjects::COMMAND_ALL,
        ),
        (
            "automate",
            POSITION_OF_WORKER,
            worker::outbound::automate::NAME,
            subjects::INBOX_EVENTS,
            worker::outbound::automate::FILTER,
        ),
        (
            "project",
            POSITION_OF_PROJECTOR,
            "projector",
            subjects::INBOX_EVENTS,
            subjects::EVENT_ALL,
        ),
    ] {
        let position = position(pool, statement, name).await?;
        let (lag, oldest) = behind(js, stream, filter, position).await?;
        stages.push(Stage { stage: stage.to_owned(), lag, oldest_seconds: age(oldest, now) });
    }
    Ok(stages)
}

/// All shards of the normaliser together.
async fn normalize(
    js: &jetstream::Context,
    pool: &PgPool,
    now: Timestamp,
) -> anyhow::Result<Stage> {
    let (mut lag, mut oldest) = (0, None);
    for shard in 0..subjects::SHARDS {
        let position = position(pool, POSITION_OF_WORKER, &format!("raw-{shard:02}")).await?;
        let (waiting, first) =
            behind(js, subjects::META_RAW, &subjects::raw_shard_filter(shard), position).await?;
        lag += waiting;
        oldest = [oldest, first].into_iter().flatten().min();
    }
    Ok(Stage { stage: "normalize".to_owned(), lag, oldest_seconds: age(oldest, now) })
}

/// Seconds since then.
pub(crate) fn age(oldest: Option<Timestamp>, now: Timestamp) -> Option<u64> {
    oldest.map(|oldest| now.since(oldest).as_secs())
}

/// The stream; `None` where it was not made yet.
async fn existing(
    js: &jetstream::Context,
    stream: &str,
) -> anyhow::Result<Option<jetstream::stream::Stream>> {
    match js.get_stream(stream).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if matches!(error.kind(), GetStreamErrorKind::JetStream(ref cause) if cause.code() == 404) => {
            Ok(None)
        }
        Err(error) => Err(connect::broker_error(&error)),
    }
}

/// How many messages come after a position, and when the first of them was stored: asked of the broker, never cached.
async fn behind(
    js: &jetstream::Context,
    stream: &str,
    filter: &str,
    position: u64,
) -> anyhow::Result<(u64, Option<Timestamp>)> {
    let Some(stream) = existing(js, stream).await? else { return Ok((0, None)) };
    let config = pull::Config {
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: position + 1 },
        ack_policy: AckPolicy::None,
        filter_subject: filter.to_owned(),
        memory_storage: true,
        num_replicas: 1,
        inactive_threshold: Duration::from_secs(5),
        ..pull::Config::default()
    };
    let consumer =
        stream.create_consumer(config).await.map_err(|error| connect::broker_error(&error))?;
    let info = consumer.cached_info();
    let (name, pending) = (info.name.clone(), info.num_pending);
    let first = if pending == 0 {
        None
    } else {
        let message = stream.direct_get_next_for_subject(filter, Some(position + 1)).await.ok();
        message.map(|message| Timestamp::from_nanos(message.time.unix_timestamp_nanos()))
    };
    // Where this fails, the consumer lapses after `inactive_threshold`.
    let _ = stream.delete_consumer(&name).await;
    Ok((pending, first))
}
