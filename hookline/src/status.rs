//! `hookline status`: how far each stage is behind the log's head, and what waits for somebody.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::{self, context::GetStreamErrorKind};
use runtime::config::{NatsConfig, Settings};
use schemas::{Timestamp, subjects};
use serde::Serialize;
use sqlx::PgPool;

use crate::exit::{Exit, Output, say, table};
use crate::reach;

pub mod sending;

/// Shortest time between two looks of `--watch`, and of the two whose difference is the rate of events.
const LOOK_MIN: Duration = Duration::from_millis(500);

/// The position of the serving read model, whichever schema that is in.
const PROJECTED: &str = "(select 'projector' as name, seq from inbox.position) p";

/// How to look.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Looks again and again, every so many seconds, until interrupted
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", value_parser = clap::value_parser!(u64).range(1..=3600))]
    watch: Option<u64>,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

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
    /// Events the log took per second: between the last two looks, or over half a second for a single one.
    pub events_per_second: f64,
    /// The log's head.
    pub events_head: u64,
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
    /// The same by stage and cause, such as `normalize/database_23514`; `behind` waits for an earlier one.
    pub dead_letters_by_cause: BTreeMap<String, i64>,
    /// Outcomes in the ledger that the log does not have yet.
    pub unpublished_outcomes: i64,
    /// Jobs that have not ended, by id: `running`, `paused`, `interrupted`.
    pub jobs: BTreeMap<String, String>,
    /// How sending stands.
    #[serde(flatten)]
    pub sending: sending::Sending,
}

/// Reads and prints it, once or again and again.
///
/// # Errors
/// When the broker or Postgres cannot be reached; with `--watch` only at the first look.
pub async fn run(settings: &Settings, arguments: &Arguments) -> anyhow::Result<Exit> {
    let config = NatsConfig::from_settings(settings)?;
    let (broker, pool) = tokio::join!(reach::broker(&config), reach::postgres(settings));
    let ((_client, js), pool) = (broker?, pool?);
    let reader = Reader { config, js, pool };
    let before = (Instant::now(), reader.head().await?);
    tokio::time::sleep(LOOK_MIN).await;
    let (first, mut before) = reader.read(before).await?;
    let Some(seconds) = arguments.watch else {
        show(&first, arguments.output)?;
        return Ok(Exit::Done);
    };
    let redraw = arguments.output == Output::Table && std::io::stdout().is_terminal();
    let mut next = Ok(first);
    loop {
        if redraw {
            let _ = write!(std::io::stdout(), "\x1b[2J\x1b[H");
        }
        match &next {
            Ok(status) if arguments.output == Output::Table && !redraw => say(line(status)),
            Ok(status) => show(status, arguments.output)?,
            // It may come back: whoever watches wants to see that.
            Err(error) => {
                let _ = writeln!(std::io::stderr(), "hookline: {error:#}");
            }
        }
        tokio::select! {
            ended = tokio::signal::ctrl_c() => { ended?; return Ok(Exit::Done) }
            () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
        }
        next = match reader.read(before).await {
            Ok((status, seen)) => {
                before = seen;
                Ok(status)
            }
            Err(error) => Err(error),
        };
    }
}

fn show(status: &Status, output: Output) -> anyhow::Result<()> {
    match output {
        Output::Json => say(serde_json::to_string(status)?),
        Output::Table => print(status),
    }
    Ok(())
}

/// A look as one line, for a log.
fn line(status: &Status) -> String {
    let lag: Vec<String> =
        status.stages.iter().map(|stage| format!("{} {}", stage.stage, stage.lag)).collect();
    format!(
        "{} {:.1} events/s, lag: {}; waiting room {}, dead letters {}, unknown sends {}",
        status.at,
        status.events_per_second,
        lag.join(", "),
        status.waiting_room,
        status.dead_letters,
        status.unknown_sends
    )
}

struct Reader {
    config: NatsConfig,
    js: jetstream::Context,
    pool: PgPool,
}

impl Reader {
    /// The head of INBOX_EVENTS; 0 where there is none yet.
    async fn head(&self) -> anyhow::Result<u64> {
        match self.js.get_stream(subjects::INBOX_EVENTS).await {
            Ok(stream) => Ok(stream.cached_info().state.last_sequence),
            Err(error) if matches!(error.kind(), GetStreamErrorKind::JetStream(ref cause) if cause.code() == 404) => {
                Ok(0)
            }
            Err(error) => Err(reach::broker_error(&error)),
        }
    }

    /// Looks; `before` is when and where the head was seen last.
    async fn read(&self, before: (Instant, u64)) -> anyhow::Result<(Status, (Instant, u64))> {
        let mut status = read(&self.config, &self.js, &self.pool).await?;
        let seen = (Instant::now(), self.head().await?);
        let seconds = seen.0.duration_since(before.0).as_secs_f64().max(0.001);
        #[allow(clippy::cast_precision_loss)] // a rate
        let events = seen.1.saturating_sub(before.1) as f64;
        status.events_per_second = (events / seconds * 10.0).round() / 10.0;
        status.events_head = seen.1;
        Ok((status, seen))
    }
}

async fn read(
    config: &NatsConfig,
    js: &jetstream::Context,
    pool: &PgPool,
) -> anyhow::Result<Status> {
    let http = reqwest::Client::builder().no_proxy().timeout(reach::PATIENCE).build()?;
    let durability = match runtime::durability::read(&http, config).await {
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
    let mut stages = vec![normalize_stage(js, pool, now).await?];
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
            worker::outbound::automate::NAME,
            subjects::INBOX_EVENTS,
            worker::outbound::automate::FILTER,
        ),
        ("project", PROJECTED, "projector", subjects::INBOX_EVENTS, subjects::EVENT_ALL),
    ] {
        let position = position(pool, table, name).await?;
        let (lag, oldest) = behind(js, stream, filter, position).await?;
        stages.push(Stage { stage: stage.to_owned(), lag, oldest_seconds: age(oldest, now) });
    }
    let dead = causes(pool).await?;
    Ok(Status {
        events_per_second: 0.0,
        events_head: 0,
        at: now,
        durability,
        stages,
        waiting_room: count(pool, "select count(*) from worker.waiting where state <> 'resolved'")
            .await?,
        unresolved: count(pool, "select count(*) from worker.waiting where state = 'unresolved'")
            .await?,
        commands_open: count(
            pool,
            "select count(*) from worker.commands where finished_at is null",
        )
        .await?,
        unknown_sends: count(pool, "select count(*) from worker.commands where state = 'unknown'")
            .await?,
        dead_letters: dead.values().sum(),
        dead_letters_by_cause: dead,
        unpublished_outcomes: count(
            pool,
            "select count(*) from worker.commands where state <> 'open' and not outcome_published",
        )
        .await?,
        jobs: jobs(pool).await?,
        sending: sending::read(pool, now).await?,
    })
}

/// Parked work by stage and cause.
async fn causes(pool: &PgPool) -> anyhow::Result<BTreeMap<String, i64>> {
    let mut causes = BTreeMap::new();
    for (stage, query) in [
        ("normalize", "select cause, count(*) from worker.parked group by cause"),
        ("project", "select cause, count(*) from inbox.parked group by cause"),
    ] {
        let rows: Vec<(String, i64)> =
            absent_is_empty(sqlx::query_as(query).fetch_all(pool).await)?;
        causes.extend(rows.into_iter().map(|(cause, count)| (format!("{stage}/{cause}"), count)));
    }
    Ok(causes)
}

/// Jobs that have not ended.
async fn jobs(pool: &PgPool) -> anyhow::Result<BTreeMap<String, String>> {
    let rows: sqlx::Result<Vec<(String, String)>> = sqlx::query_as(
        "select id, case when state = 'running' and coalesce(claimed_until < clock_timestamp(), true) then 'interrupted' else state end
           from ops.jobs where state in ('running', 'paused')",
    )
    .fetch_all(pool)
    .await;
    Ok(absent_is_empty(rows)?.into_iter().collect())
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
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42703") => {
            Ok(T::default())
        }
        other => Ok(runtime::db::absent_is_empty(other)?),
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
        message.map(|message| Timestamp::from_nanos(message.time.unix_timestamp_nanos()))
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
    say(format!("events          {:.1}/s, head {}", status.events_per_second, status.events_head));
    say(format!("durability      {}", status.durability));
    say(format!("waiting room    {} ({} unresolved)", status.waiting_room, status.unresolved));
    say(format!("open commands   {}", status.commands_open));
    say(format!("dead letters    {}", status.dead_letters));
    for (cause, count) in &status.dead_letters_by_cause {
        say(format!("  {cause:<40} {count}"));
    }
    if status.unpublished_outcomes > 0 {
        say(format!("outcomes to publish {}", status.unpublished_outcomes));
    }
    for (job, state) in &status.jobs {
        say(format!("job             {job}: {state}"));
    }
    status.sending.print(status.unknown_sends);
}
