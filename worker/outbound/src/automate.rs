//! Automations: INBOX_EVENTS is followed, and an inbound message of an account with an automatic reply becomes a command
//! `auto:<event id>`. Whether the command is sent is the policy's verdict later; `rules` decides which messages ask for one at all.
//!
//! A crash between publishing and moving the position publishes the same id again; the broker and the ledger both know it.

mod context;
mod rules;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use runtime::BoxFuture;
use runtime::broker::Broker;
use runtime::db::Patience;
use runtime::failpoint;
use runtime::follow::{RECREATED_PAUSE, Reader, Received, Source, StreamRecreated, Taken, follow};
use runtime::lease::{Lease, Leases, Position};
use runtime::publish::Outgoing;
use schemas::subjects::INBOX_EVENTS;
use schemas::{Event, Timestamp};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::ledger;
use facts::accounts;
use facts::accounts::directory::Directory;
use facts::eras;

/// The lease and position of the automations.
pub const NAME: &str = "automate";
/// Only what people wrote.
pub const FILTER: &str = "inbox.v1.event.*.*.*.message-received";
const BATCH: usize = 200;
const ACK_WAIT: Duration = Duration::from_secs(5);

/// Answers automatically.
#[derive(Clone)]
pub struct Automate {
    /// Events in, commands out.
    pub broker: Broker,
    /// Accounts, conversations, freezes.
    pub pool: PgPool,
    /// The leases of schema `worker`.
    pub leases: Leases,
    /// `AUTO_REPLY_MAX_AGE`
    pub max_age: Duration,
}

impl Automate {
    /// Works whenever this worker holds the lease, until `shutdown`.
    pub fn run(self, shutdown: CancellationToken) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let leases = self.leases.clone();
            let source = Source {
                stream: INBOX_EVENTS,
                filter: FILTER.to_owned(),
                messages_max: BATCH,
                bytes_max: usize::MAX,
                recreated_pause: RECREATED_PAUSE,
            };
            leases
                .while_held(NAME, shutdown, |lease, stop| {
                    let mut answering = Batches {
                        automate: self.clone(),
                        lease,
                        directory: Directory::new(-1, Vec::new()),
                        patience: Patience::default(),
                    };
                    let source = &source;
                    async move {
                        let broker = answering.automate.broker.clone();
                        follow(&broker, source, &mut answering, &stop).await;
                    }
                })
                .await;
        })
    }

    /// The command that answers a message, if it asks for one.
    async fn consider(
        &self,
        message: &Received,
        directory: &Directory,
        now: Timestamp,
    ) -> anyhow::Result<Option<Outgoing>> {
        // Every event is ours and valid; one that a newer release wrote is not for this one to answer.
        let Ok(event) = serde_json::from_slice::<Event>(&message.payload) else { return Ok(None) };
        let replayed = message.header(schemas::raw::header::REPLAY).is_some();
        let account = directory.find(event.data.channel, event.data.account_id.as_str());
        let text = match rules::first_look(&event, account, replayed, self.max_age, now) {
            Ok(text) => text,
            Err(reason) => {
                if reason != rules::Silence::NotAsked {
                    count(reason.as_str());
                }
                return Ok(None);
            }
        };
        let known = context::read(&self.pool, &event).await?;
        if let Err(reason) = rules::second_look(&known, now) {
            count(reason.as_str());
            return Ok(None);
        }
        count("asked");
        let command = rules::command(&event, text, now);
        let mut headers = async_nats::HeaderMap::new();
        if let Some(traceparent) = event.traceparent.as_deref() {
            headers.insert("traceparent", traceparent);
        }
        Ok(Some(Outgoing {
            subject: command.nats_subject(),
            id: command.identity(),
            headers,
            payload: serde_json::to_vec(&command)?.into(),
        }))
    }
}

/// Messages considered while the lease is held.
struct Batches {
    automate: Automate,
    lease: Lease,
    directory: Directory,
    patience: Patience,
}

impl Reader for Batches {
    type Error = anyhow::Error;

    async fn position(&mut self) -> anyhow::Result<Position> {
        Ok(self.automate.leases.position(NAME).await?)
    }

    async fn take(&mut self, batch: &[Received], from: u64, to: Position) -> anyhow::Result<Taken> {
        let mut patience = self.patience;
        let taken = patience.within(self.answer(batch, from, to)).await;
        self.patience = patience;
        taken
    }

    fn failed(&mut self, error: &anyhow::Error, _: u32) {
        tracing::warn!(error = %format!("{error:#}"), "Could not answer automatically; trying again");
    }

    fn lag(&mut self, messages: u64) {
        #[allow(clippy::cast_precision_loss)] // a count of messages
        metrics::gauge!("hookline_automate_lag_messages").set(messages as f64);
    }

    fn recreated(&mut self, recreated: &StreamRecreated) {
        tracing::error!(error = %recreated, "The automations stopped");
        metrics::gauge!("hookline_automate_lag_messages").set(f64::NAN);
    }

    async fn put_back(&mut self, stored: Position) -> anyhow::Result<Taken> {
        let leases = &self.automate.leases;
        let done = eras::read_again(leases, &self.lease, INBOX_EVENTS, stored).await?;
        Ok(if done { Taken::Yes } else { Taken::Lost })
    }
}

impl Batches {
    async fn answer(
        &mut self,
        batch: &[Received],
        from: u64,
        to: Position,
    ) -> anyhow::Result<Taken> {
        let Self { automate, lease, directory, .. } = self;
        let mut conn = automate.pool.acquire().await?;
        let version = accounts::store::version(&mut conn).await?;
        let now = ledger::now(&mut conn).await?;
        drop(conn);
        if version != directory.version() {
            *directory = accounts::store::directory(&automate.pool).await?;
        }
        let mut commands = Vec::new();
        for message in batch {
            let considered = AssertUnwindSafe(automate.consider(message, directory, now));
            match considered.catch_unwind().await {
                Ok(command) => commands.extend(command?),
                Err(_) => {
                    count("panicked");
                    tracing::error!(
                        sequence = message.sequence,
                        "Considering an answer to event {} broke down: a bug; it gets none, the others go on",
                        message.sequence
                    );
                }
            }
        }
        if !commands.is_empty() {
            failpoint!("automate.before_publish");
            automate.broker.publish_all(commands, ACK_WAIT).await?;
            failpoint!("automate.after_publish");
        }
        let mut tx = automate.leases.begin().await?;
        if !automate.leases.move_position(&mut tx, lease, INBOX_EVENTS, from, to).await? {
            return Ok(Taken::Lost);
        }
        failpoint!("automate.before_commit");
        tx.commit().await?;
        failpoint!("automate.after_commit");
        Ok(Taken::Yes)
    }
}

fn count(decision: &'static str) {
    metrics::counter!("hookline_automate_messages_total", "decision" => decision).increment(1);
}
