//! `hookline status`: how far each stage is behind the log's head, and what waits for somebody.

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::{self, context::GetStreamErrorKind};
use runtime::config::Settings;
use schemas::{Timestamp, subjects};
use serde::Serialize;
use sqlx::PgPool;

use crate::exit::{Exit, Output, say, table};
use crate::reach;

pub mod sending;

/// Positions of the serving read model: `inbox.position` follows a swap.
const PROJECTED: &str = "(select 'projector' as name, seq from inbox.position) p";

/// How far one reader is behind.
#[derive(Debug, Serialize)]
pub struct Stage {
    /// `normalize`, `commands`, `automate`, `project`.
    pub stage: String,
    /// Messages that wait, counted by the broker from the stored position.
    pub lag: u64,
    /// How long the oldest of them waits, seconds.
    pub oldest_seconds: Option<u64>,
}

/// The whole screen.
#[derive(Debug, Serialize)]
pub struct Status {
    /// When it was read.
    pub at: Timestamp,
    /// Whether an ack means durable, as text.
    pub durability: String,
    /// One row a stage.
    pub stages: Vec<Stage>,
    /// Sender-less items that wait.
    pub waiting_room: i64,
    /// Of them: published as unresolved.
    pub unresolved: i64,
    /// Replies and commands in the ledger that are not finished.
    pub commands_open: i64,
    /// Sends nobody knows the outcome of: they wait for a person.
    pub unknown_sends: i64,
    /// Parked work: what the projector could not fold, and what the normaliser holds back.
    pub dead_letters: i64,
    /// How sending stands.
    #[serde(flatten)]
    pub sending: sending::Sending,
}

/// Reads and prints it.
///
/// # Errors
/// When the broker or Postgres cannot be reached.
pub async fn run(settings: &Settings, output: Output) -> anyhow::Result<Exit> {
    let status = read(settings).await?;
    match output {
        Output::Json => say(serde_json::to_string(&status)?),
        Output::Table => print(&status),
    }
    Ok(Exit::Done)
}

async fn read(settings: &Settings) -> anyhow::Result<Status> {
    let config = runtime::config::NatsConfig::from_settings(settings)?;
    let (_, js) = reach::broker(&config).await?;
    let pool = reach::postgres(settings).await?;
    let http = reqwest::Client::builder().no_proxy().timeout(reach::PATIENCE).build()?;
    let durability = match runtime::durability::read(&http, &config).await {
        runtime::durability::Durability::Synced => "synced before every ack".to_owned(),
        runtime::durability::Durability::Replicated => {
            "warning: replicated, not synced: a simultaneous power loss of a majority loses messages".to_owned()
        }
        runtime::durability::Durability::NotDurable(reason) => format!("NOT DURABLE: {reason}"),
    };
    let durability = if config.require_sync {
        durability
    } else {
        format!("{durability} (NATS_REQUIRE_SYNC=false)")
    };
    let now = runtime::now();
    let mut stages = vec![normalize_stage(&js, &pool, now).await?];
    for (stage, table, name, stream, filter) in [
        (
            "commands",
            "worker.positions",
            "commands",
            subjects::INBOX_COMMANDS,
            subjects::COMMAND_ALL,
        ),
        (
            "automate",
            "worker.positions",
            worker::automate::NAME,
            subjects::INBOX_EVENTS,
            worker::automate::FILTER,
        ),
        ("project", PROJECTED, "projector", subjects::INBOX_EVENTS, subjects::EVENT_ALL),
    ] {
        let position = position(&pool, table, name).await?;
        let (lag, oldest) = behind(&js, stream, filter, position).await?;
        stages.push(Stage { stage: stage.to_owned(), lag, oldest_seconds: age(oldest, now) });
    }
    Ok(Status {
        at: now,
        durability,
        stages,
        waiting_room: count(&pool, "select count(*) from worker.waiting where state <> 'resolved'")
            .await?,
        unresolved: count(&pool, "select count(*) from worker.waiting where state = 'unresolved'")
            .await?,
        commands_open: count(
            &pool,
            "select count(*) from worker.commands where finished_at is null",
        )
        .await?,
        unknown_sends: count(&pool, "select count(*) from worker.commands where state = 'unknown'")
            .await?,
        dead_letters: count(&pool, "select count(*) from inbox.parked").await?
            + count(&pool, "select count(*) from worker.parked").await?,
        sending: sending::read(&pool, now).await?,
    })
}

async fn normalize_stage(
    js: &jetstream::Context,
    pool: &PgPool,
    now: Timestamp,
) -> anyhow::Result<Stage> {
    let (mut lag, mut oldest) = (0, None);
    for shard in 0..subjects::SHARDS {
        let position = position(pool, "worker.positions", &format!("raw-{shard:02}")).await?;
        let (waiting, first) =
            behind(js, subjects::META_RAW, &subjects::raw_shard_filter(shard), position).await?;
        lag += waiting;
        oldest = [oldest, first].into_iter().flatten().min();
    }
    Ok(Stage { stage: "normalize".to_owned(), lag, oldest_seconds: age(oldest, now) })
}

fn age(oldest: Option<Timestamp>, now: Timestamp) -> Option<u64> {
    oldest.map(|oldest| now.since(oldest).as_secs())
}

/// A query on a table or column that another role has not made yet counts as empty.
fn absent_is_empty<T: Default>(result: sqlx::Result<T>) -> anyhow::Result<T> {
    match result {
        Ok(value) => Ok(value),
        Err(sqlx::Error::Database(error))
            if matches!(error.code().as_deref(), Some("42P01" | "3F000" | "42703")) =>
        {
            Ok(T::default())
        }
        Err(error) => Err(error.into()),
    }
}

async fn count(pool: &PgPool, query: &'static str) -> anyhow::Result<i64> {
    absent_is_empty(sqlx::query_scalar(query).fetch_one(pool).await)
}

async fn position(pool: &PgPool, table: &'static str, name: &str) -> anyhow::Result<u64> {
    let query = sqlx::AssertSqlSafe(format!("select seq from {table} where name = $1"));
    let stored: sqlx::Result<Option<i64>> =
        sqlx::query_scalar(query).bind(name).fetch_optional(pool).await;
    Ok(u64::try_from(absent_is_empty(stored)?.unwrap_or(0)).unwrap_or(0))
}

/// How many messages come after a position, and when the first of them was stored: asked of the broker, never cached.
async fn behind(
    js: &jetstream::Context,
    stream: &str,
    filter: &str,
    position: u64,
) -> anyhow::Result<(u64, Option<Timestamp>)> {
    let stream = match js.get_stream(stream).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), GetStreamErrorKind::JetStream(ref cause) if cause.code() == 404) =>
        {
            return Ok((0, None));
        }
        Err(error) => return Err(reach::broker_error(&error)),
    };
    let config = pull::Config {
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: position + 1 },
        ack_policy: AckPolicy::None,
        filter_subject: filter.to_owned(),
        memory_storage: true,
        num_replicas: 1,
        inactive_threshold: std::time::Duration::from_secs(5),
        ..pull::Config::default()
    };
    let consumer =
        stream.create_consumer(config).await.map_err(|error| reach::broker_error(&error))?;
    let info = consumer.cached_info();
    let (name, pending) = (info.name.clone(), info.num_pending);
    let first = if pending == 0 {
        None
    } else {
        let message = stream.direct_get_next_for_subject(filter, Some(position + 1)).await.ok();
        message.map(|message| {
            Timestamp::from_millis(
                i64::try_from(message.time.unix_timestamp_nanos() / 1_000_000).unwrap_or(0),
            )
        })
    };
    // It lapses by itself where this fails.
    let _ = stream.delete_consumer(&name).await;
    Ok((pending, first))
}

fn print(status: &Status) {
    let rows: Vec<Vec<String>> = status
        .stages
        .iter()
        .map(|stage| {
            let oldest = stage
                .oldest_seconds
                .map_or_else(|| "-".to_owned(), |seconds| format!("{seconds} s"));
            vec![stage.stage.clone(), stage.lag.to_string(), oldest]
        })
        .collect();
    table(&["stage", "lag", "oldest"], &rows);
    say("");
    say(format!("durability      {}", status.durability));
    say(format!("waiting room    {} ({} unresolved)", status.waiting_room, status.unresolved));
    say(format!("open commands   {}", status.commands_open));
    say(format!("dead letters    {}", status.dead_letters));
    status.sending.print(status.unknown_sends);
}
