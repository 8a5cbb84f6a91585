//! Reads the whole status.

use std::collections::BTreeMap;
use std::time::Instant;

use api::endpoints::EndpointStatus;
use async_nats::jetstream;
use runtime::config::NatsConfig;
use runtime::durability::{self, Durability};
use schemas::Timestamp;
use serde::Serialize;
use sqlx::PgPool;
use worker::facts::follow_up::overview::waiting_room;
use worker::inbound::parked_causes;
use worker::outbound::backlog::backlog;

use super::absent::absent_is_empty;
use super::complete::{self, Complete};
use super::lag::{Stage, events_head, stages};
use super::sending::{self, Sending};
use crate::connect;
use crate::jobs::state_in_words;

/// All of it, as `--output json` prints it.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    /// When it was read.
    pub(crate) at: Timestamp,
    pub(crate) durability: String,
    /// What Postgres's settings put at risk; empty where a commit survives a crash.
    pub(crate) postgres_risks: Vec<String>,
    pub(crate) stages: Vec<Stage>,
    /// Events that INBOX_EVENTS stored per second: between the last two reads, or over half a second for a single one.
    pub(crate) events_per_second: f64,
    /// The last position of INBOX_EVENTS.
    pub(crate) events_head: u64,
    /// Sender-less items that wait.
    pub(crate) waiting_room: i64,
    /// Of them: published as unresolved.
    pub(crate) unresolved: i64,
    /// Replies and commands in the ledger that are not finished.
    pub(crate) commands_open: i64,
    /// Sends with unknown outcome: they wait for a person.
    pub(crate) unknown_sends: i64,
    /// Parked work: what the projector could not fold, and what the normaliser holds back.
    pub(crate) dead_letters: i64,
    /// The same by stage and cause, such as `normalize/database_23514`; `behind` waits for an earlier one.
    pub(crate) dead_letters_by_cause: BTreeMap<String, i64>,
    /// Outcomes in the ledger that the log does not have yet.
    pub(crate) unpublished_outcomes: i64,
    /// Jobs that have not ended, by id: `running`, `paused`, `interrupted`.
    pub(crate) jobs: BTreeMap<String, String>,
    /// By account, whether the log has what Graph shows.
    pub(crate) completeness: BTreeMap<String, Complete>,
    /// Endpoints of outgoing webhooks that are not active.
    pub(crate) endpoints: Vec<EndpointStatus>,
    #[serde(flatten)]
    pub(crate) sending: Sending,
}

/// The connections it is read by.
pub(crate) struct Reader {
    pub(crate) config: NatsConfig,
    pub(crate) js: jetstream::Context,
    pub(crate) pool: PgPool,
}

impl Reader {
    /// When and where the head of the log is: the rate of events is the difference of two.
    pub(crate) async fn head(&self) -> anyhow::Result<(Instant, u64)> {
        let head = events_head(&self.js).await?;
        Ok((Instant::now(), head))
    }

    /// Reads all of it; `before` is an earlier head. Returns the head of now too.
    pub(crate) async fn read(
        &self,
        before: (Instant, u64),
    ) -> anyhow::Result<(Status, (Instant, u64))> {
        let mut status = self.read_without_rate().await?;
        let head = events_head(&self.js).await?;
        let now = (Instant::now(), head);
        let seconds = now.0.duration_since(before.0).as_secs_f64().max(0.001);
        #[allow(clippy::cast_precision_loss)] // a rate
        let events = head.saturating_sub(before.1) as f64;
        status.events_per_second = (events / seconds * 10.0).round() / 10.0;
        status.events_head = head;
        Ok((status, now))
    }

    async fn read_without_rate(&self) -> anyhow::Result<Status> {
        let pool = &self.pool;
        let durability = durability(&self.config).await?;
        let now = runtime::now();
        let stages = stages(&self.js, pool, now).await?;
        let waiting_room = absent_is_empty(waiting_room(pool).await)?;
        let backlog = absent_is_empty(backlog(pool).await)?;
        let dead = dead_letters(pool).await?;
        Ok(Status {
            events_per_second: 0.0,
            events_head: 0,
            at: now,
            durability,
            postgres_risks: postgres_risks(pool).await?,
            stages,
            waiting_room: waiting_room.waiting,
            unresolved: waiting_room.unresolved,
            commands_open: backlog.open,
            unknown_sends: backlog.unknown,
            dead_letters: dead.values().sum(),
            dead_letters_by_cause: dead,
            unpublished_outcomes: backlog.unpublished_outcomes,
            jobs: unfinished_jobs(pool).await?,
            completeness: complete::read(pool, now).await?,
            endpoints: endpoints(pool).await?,
            sending: sending::read(pool, &backlog, now).await?,
        })
    }
}

/// Parked work by stage and cause, such as `normalize/database_23514`.
async fn dead_letters(pool: &PgPool) -> sqlx::Result<BTreeMap<String, i64>> {
    let normalize = absent_is_empty(parked_causes::parked_by_cause(pool).await)?;
    let project = absent_is_empty(projector::parked::by_cause(pool).await)?;
    let normalize =
        normalize.into_iter().map(|row| (format!("normalize/{}", row.cause), row.count));
    let project = project.into_iter().map(|row| (format!("project/{}", row.cause), row.count));
    Ok(normalize.chain(project).collect())
}

/// Endpoints that do not get what they should.
async fn endpoints(pool: &PgPool) -> sqlx::Result<Vec<EndpointStatus>> {
    absent_is_empty(api::endpoints::troubled(pool).await)
}

/// Jobs that have not ended, by id.
async fn unfinished_jobs(pool: &PgPool) -> sqlx::Result<BTreeMap<String, String>> {
    let jobs = absent_is_empty(ops::unfinished(pool).await)?;
    Ok(jobs
        .into_iter()
        .map(|job| (job.id, state_in_words(job.state, job.held).to_owned()))
        .collect())
}

async fn postgres_risks(pool: &PgPool) -> sqlx::Result<Vec<String>> {
    let risks = runtime::db::pg_settings(pool).await?.risks();
    Ok(risks.iter().map(ToString::to_string).collect())
}

/// Whether an ack means durable, as text.
async fn durability(config: &NatsConfig) -> anyhow::Result<String> {
    let http = reqwest::Client::builder().no_proxy().timeout(connect::PATIENCE).build()?;
    let durability = match durability::read(&http, config).await {
        Durability::Synced => "synced before every ack".to_owned(),
        Durability::Replicated => {
            "warning: replicated, not synced: a simultaneous power loss of a majority loses messages".to_owned()
        }
        Durability::NotDurable(reason) => format!("NOT DURABLE: {reason}"),
    };
    Ok(if config.require_sync {
        durability
    } else {
        format!("{durability} (NATS_REQUIRE_SYNC=false)")
    })
}
