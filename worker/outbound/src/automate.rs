//! Automations: INBOX_EVENTS is followed, and an inbound message of an account with an automatic reply becomes a command
//! `auto:<event id>`. Whether the command is sent is the policy's verdict later; `rules` decides which messages ask for one at all.
//!
//! A crash between publishing and moving the position publishes the same id again; the broker and the ledger both know it.

mod context;
mod rules;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use runtime::BoxFuture;
use runtime::broker::Broker;
use runtime::db::{self, Fault, Patience, fault};
use runtime::failpoint;
use runtime::follow::{Reader, Received, Source, StreamRecreated, Taken, follow};
use runtime::health::Health;
use runtime::lease::{Lease, Leases, Position};
use runtime::publish::{Outgoing, PublishFailure};
use runtime::streams::StreamName;
use schemas::subjects::INBOX_EVENTS;
use schemas::{Event, Timestamp};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use facts::accounts;
use facts::accounts::directory::Directory;
use facts::eras;
use rules::{Before, Known};

/// The lease and position of the automations.
pub const NAME: &str = "automate";
/// The check of `/readyz` that says whether messages can be answered.
const CHECK: &str = "automate";
/// Only what people wrote.
pub const FILTER: &str = "inbox.v1.event.*.*.*.message-received";
const BATCH: usize = 200;
/// A reading is published before it is recorded: so long it is waited for.
const RECORDED_WITHIN: Duration = Duration::from_secs(10);
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
    /// Where it is reported that somebody must act.
    pub health: Health,
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
                        // Whoever has the lease next reports what it meets.
                        answering.automate.health.set(CHECK, Ok(()));
                    }
                })
                .await;
        })
    }

    /// The commands that answer messages, of those that ask for it.
    async fn answers(
        &self,
        batch: &[Received],
        directory: &Directory,
        now: Timestamp,
    ) -> anyhow::Result<Vec<Outgoing>> {
        let mut asked: Vec<Asked<'_>> = Vec::new();
        for message in batch {
            let look = || self.first_look(message, directory, now);
            asked.extend(unless_it_breaks(message.sequence, look).flatten());
        }
        let mut answers = Vec::with_capacity(asked.len());
        for (asked, known) in self.known(asked).await? {
            if known.before == Before::Unrecorded && now.since(asked.stored_at) < RECORDED_WITHIN {
                anyhow::bail!("event {} is not recorded yet", asked.event.id);
            }
            if let Err(reason) = rules::second_look(&known, now) {
                count(reason.as_str());
                continue;
            }
            count("asked");
            answers.extend(unless_it_breaks(asked.sequence, || asked.answer()).transpose()?);
        }
        Ok(answers)
    }

    /// What is known around these messages. One of which Postgres refuses what it holds gets no answer.
    async fn known<'a>(&self, asked: Vec<Asked<'a>>) -> anyhow::Result<Vec<(Asked<'a>, Known)>> {
        let events: Vec<&Event> = asked.iter().map(|asked| &asked.event).collect();
        match context::read_all(&self.pool, &events).await {
            Ok(known) => return Ok(asked.into_iter().zip(known).collect()),
            Err(error) if fault(&error) != Fault::Data => return Err(error.into()),
            Err(_) => {}
        }
        let mut found = Vec::with_capacity(asked.len());
        for asked in asked {
            match context::read_all(&self.pool, &[&asked.event]).await {
                Ok(known) => found.extend(known.into_iter().next().map(|known| (asked, known))),
                Err(error) if fault(&error) == Fault::Data => {
                    count("refused");
                    tracing::error!(
                        sequence = asked.sequence,
                        "Postgres refuses what event {} holds; it gets no answer, the others go on",
                        asked.sequence
                    );
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(found)
    }

    /// What message and account alone decide.
    fn first_look<'a>(
        &self,
        message: &Received,
        directory: &'a Directory,
        now: Timestamp,
    ) -> Option<Asked<'a>> {
        // Not written by a worker: whether it is replayed, for one, nobody knows.
        if message.flaw.is_some() {
            count("unreadable");
            return None;
        }
        // One that a newer release wrote is not for this one to answer.
        let event = serde_json::from_slice::<Event>(&message.payload).ok()?;
        let replayed = message.header(schemas::raw::header::REPLAY).is_some();
        let account = directory.find(event.data.channel, event.data.account_id.as_str());
        match rules::first_look(&event, account, replayed, self.max_age, now) {
            Ok(text) => {
                let (sequence, stored_at) = (message.sequence, message.stored_at);
                Some(Asked { event, text, sequence, stored_at })
            }
            Err(reason) => {
                if reason != rules::Silence::NotAsked {
                    count(reason.as_str());
                }
                None
            }
        }
    }
}

/// A message that asks for an answer, and the text of it.
struct Asked<'a> {
    event: Event,
    text: &'a str,
    /// Its position in INBOX_EVENTS.
    sequence: u64,
    /// When the broker stored the event.
    stored_at: Timestamp,
}

impl Asked<'_> {
    /// The command that answers it.
    fn answer(&self) -> serde_json::Result<Outgoing> {
        let command = rules::command(&self.event, self.text);
        let mut headers = async_nats::HeaderMap::new();
        if let Some(traceparent) = self.event.traceparent.as_deref() {
            headers.insert("traceparent", traceparent);
        }
        Ok(Outgoing {
            subject: command.nats_subject(),
            id: command.identity(),
            headers,
            payload: serde_json::to_vec(&command)?.into(),
        })
    }
}

impl Automate {
    /// Publishes commands; one that can never be stored holds up no other.
    async fn publish(&self, commands: Vec<Outgoing>) -> Result<(), PublishFailure> {
        for end in self.broker.publish_each(commands, ACK_WAIT).await {
            match end {
                Ok(_) => {}
                Err(failure) if failure.is_away() || matches!(failure, PublishFailure::Full(_)) => {
                    return Err(failure);
                }
                Err(failure) => {
                    count("refused");
                    tracing::error!(error = %failure, "INBOX_COMMANDS does not take an automatic reply; the others go on");
                }
            }
        }
        Ok(())
    }
}

/// What `work` returns; `None` where it panics: that is a bug, and holds up no other message.
fn unless_it_breaks<T>(sequence: u64, work: impl FnOnce() -> T) -> Option<T> {
    let done = catch_unwind(AssertUnwindSafe(work));
    if done.is_err() {
        count("panicked");
        tracing::error!(
            sequence,
            "Considering an answer to event {sequence} broke down: a bug; it gets none, the others go on"
        );
    }
    done.ok()
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

    fn failed(&mut self, error: &anyhow::Error, failures: u32) {
        tracing::warn!(error = %format!("{error:#}"), "Could not answer automatically; trying again");
        if let Some(error) = error.downcast_ref::<sqlx::Error>() {
            db::report(&self.automate.health, CHECK, error, failures);
        }
    }

    fn recovered(&mut self) {
        self.automate.health.set(CHECK, Ok(()));
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
        Ok(eras::read_again(&self.automate.leases, &self.lease, StreamName::Events, stored).await?)
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
        let (version, now) = accounts::store::version_and_clock(&mut conn).await?;
        drop(conn);
        if version != directory.version() {
            *directory = accounts::store::directory(&automate.pool).await?;
        }
        let commands = automate.answers(batch, directory, now).await?;
        if !commands.is_empty() {
            failpoint!("automate.before_publish");
            automate.publish(commands).await?;
            failpoint!("automate.after_publish");
        }
        let mut tx = automate.leases.begin_derived().await?;
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
