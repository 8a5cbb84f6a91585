//! How far each stage is behind the head of its stream, counted by the broker from the stored position.

use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use runtime::follow::stored;
use runtime::streams::{self, era_of};
use schemas::{Timestamp, subjects};
use serde::Serialize;
use sqlx::PgPool;
use worker::readers::Reader;

use super::absent::absent_is_empty;
use crate::connect;

/// How far one reader is behind.
#[derive(Debug, Serialize)]
pub(crate) struct Stage {
    /// `normalize`, `callbacks`, `commands`, `automate`, `withdrawals`, `project`.
    pub(crate) stage: String,
    /// Messages that wait; not known where the stream is not the one whose positions are stored.
    pub(crate) lag: Option<u64>,
    /// How long the oldest of them waits, seconds.
    pub(crate) oldest_seconds: Option<u64>,
}

/// The head of INBOX_EVENTS; 0 where there is none yet.
pub(crate) async fn events_head(js: &jetstream::Context) -> anyhow::Result<u64> {
    let stream = streams::find(js, subjects::INBOX_EVENTS)
        .await
        .map_err(|error| connect::broker_error(&error))?;
    Ok(stream.map_or(0, |stream| stream.cached_info().state.last_sequence))
}

/// One row a stage, in the order a message passes them; readers of one stage are counted together.
pub(crate) async fn stages(
    js: &jetstream::Context,
    pool: &PgPool,
    now: Timestamp,
) -> anyhow::Result<Vec<Stage>> {
    let mut readers = worker::readers::readers(pool).await?;
    let projected = absent_is_empty(projector::status::position(pool).await)?;
    let (position, era) = projected.unwrap_or_default();
    readers.push(Reader {
        stage: "project",
        stream: subjects::INBOX_EVENTS,
        filter: subjects::EVENT_ALL.to_owned(),
        position,
        era,
    });
    let mut stages: Vec<(&str, Option<u64>, Option<Timestamp>)> = Vec::new();
    for reader in readers {
        let behind = behind(js, &reader).await?;
        let (waiting, first) = behind.map_or((None, None), |(count, at)| (Some(count), at));
        match stages.last_mut() {
            Some((stage, lag, oldest)) if *stage == reader.stage => {
                *lag = lag.zip(waiting).map(|(lag, waiting)| lag + waiting);
                *oldest = [*oldest, first].into_iter().flatten().min();
            }
            _ => stages.push((reader.stage, waiting, first)),
        }
    }
    let stage = |(stage, lag, oldest): (&str, Option<u64>, Option<Timestamp>)| Stage {
        stage: stage.to_owned(),
        lag,
        oldest_seconds: age(oldest, now),
    };
    Ok(stages.into_iter().map(stage).collect())
}

/// Seconds since then.
pub(crate) fn age(oldest: Option<Timestamp>, now: Timestamp) -> Option<u64> {
    oldest.map(|oldest| now.since(oldest).as_secs())
}

/// How many messages come after the reader's position, and when the first of them was stored: asked of the broker, never cached. `None`: the
/// stream is not the one that the position is of, or ends before it.
async fn behind(
    js: &jetstream::Context,
    reader: &Reader,
) -> anyhow::Result<Option<(u64, Option<Timestamp>)>> {
    let found =
        streams::find(js, reader.stream).await.map_err(|error| connect::broker_error(&error))?;
    let Some(stream) = found else { return Ok(reader.era.is_none().then_some((0, None))) };
    let info = stream.cached_info();
    if reader.era.is_some_and(|era| era != era_of(info))
        || info.state.last_sequence < reader.position
    {
        return Ok(None);
    }
    let next = reader.position + 1;
    let config = pull::Config {
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: next },
        ack_policy: AckPolicy::None,
        filter_subject: reader.filter.clone(),
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
        let message = stored::next(js, reader.stream, &reader.filter, next).await.ok().flatten();
        message.map(|message| message.stored_at)
    };
    // Where this fails, the consumer lapses after `inactive_threshold`.
    let _ = stream.delete_consumer(&name).await;
    Ok(Some((pending, first)))
}
