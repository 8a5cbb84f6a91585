//! Intake: every message of INBOX_COMMANDS becomes a row of the ledger, in the transaction that moves the position. From there the
//! ledger is the queue.
//!
//! Nothing is skipped and nothing stops: what cannot be carried out becomes a row that has failed already, and with it an outcome; what is of
//! no channel, or meets a bug of ours, becomes a dead letter.

mod broken;
mod digest;
mod drain;
mod past;
mod read;
mod store;
mod store_all;

use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use futures::FutureExt;
use runtime::BoxFuture;
use runtime::broker::Broker;
use runtime::db::{self, Fault, Patience};
use runtime::failpoint;
use runtime::follow::{Reader, Received, Source, StreamRecreated, Taken, follow};
use runtime::health::Health;
use runtime::lease::{Lease, Leases, Position};
use runtime::publish::Outgoing;
use runtime::streams::StreamName;
use runtime::vouch::{self, Vouch};
use schemas::subjects::{self, COMMAND_ALL, INBOX_COMMANDS};
use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

use crate::handover::Handover;
use crate::ledger::mark::{self, Mark};
use broken::{Broken, fault_of, narrows, refused};
use facts::eras;
use read::{Envelope, Intake, read};
use store::{Accepted, store};

/// The lease and position of the intake.
pub const NAME: &str = "commands";
/// The check of `/readyz` that says whether commands can be accepted.
const CHECK: &str = "commands";
/// Commands accepted in one transaction.
const BATCH: usize = 200;

/// Accepts commands into the ledger.
#[derive(Clone)]
pub struct Commands {
    /// Where commands come from.
    pub broker: Broker,
    /// The ledger.
    pub pool: PgPool,
    /// The leases of schema `worker`.
    pub leases: Leases,
    /// Where it is reported that somebody must act.
    pub health: Health,
    /// Knows the commands of people from those of automation.
    pub vouch: Vouch,
    /// To the sender of this process.
    pub handover: Handover,
}

impl Commands {
    /// Works whenever this worker holds the lease, until `shutdown`.
    pub fn run(self, shutdown: CancellationToken) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let leases = self.leases.clone();
            let source = Source {
                stream: INBOX_COMMANDS,
                filter: COMMAND_ALL.to_owned(),
                messages_max: BATCH,
                bytes_max: usize::MAX,
            };
            leases
                .while_held(NAME, shutdown, |lease, stop| {
                    let mut intake = Batches::new(self.clone(), lease);
                    let source = &source;
                    async move {
                        let broker = intake.commands.broker.clone();
                        follow(&broker, source, &mut intake, &stop).await;
                        // Whoever has the lease next reports what it meets.
                        intake.commands.health.set(CHECK, Ok(()));
                    }
                })
                .await;
        })
    }

    /// What each message says; `None`: it cannot be read, or is one of `broken`.
    fn read_all(
        &self,
        batch: &[Received],
        era: i16,
        broken: &BTreeMap<u64, Broken>,
    ) -> Vec<Option<Intake>> {
        batch
            .iter()
            .map(|message| {
                let sequence = message.sequence;
                let flaw = match broken.get(&sequence) {
                    Some(Broken::Buried) => return None,
                    Some(Broken::Refused) => Some("Postgres refuses what it holds"),
                    None => message.flaw,
                };
                let around = Envelope {
                    subject: &message.subject,
                    stream_seq: sequence,
                    stream_era: era,
                    stored_at: message.stored_at,
                    vouched: self.vouch.holds(&message.payload, message.header(vouch::HEADER)),
                    flaw,
                };
                let read = || read(&message.payload, around);
                catch_unwind(read).unwrap_or_else(|_| {
                    panicked(sequence);
                    None
                })
            })
            .collect()
    }

    /// Writes commands one by one: with their past, or as ones that have failed. What cannot be read becomes a dead letter.
    async fn store_left(
        &self,
        tx: &mut PgConnection,
        left: &[Left<'_>],
        era: i16,
        broken: &mut BTreeMap<u64, Broken>,
    ) -> anyhow::Result<()> {
        let readable: Vec<_> = left.iter().filter_map(|one| Some(&one.intake?.command)).collect();
        let known = past::known(tx, &readable).await?;
        for Left { message, intake, covered } in left {
            let Some(intake) = intake else {
                // Neither the body nor the subject names a channel, or reading it breaks down: no event can be of it, and it is kept where
                // people look.
                self.dead_letter(message, era).await?;
                continue;
            };
            let past = past::of(&self.broker, &intake.command, &known, *covered).await?;
            let stored = AssertUnwindSafe(store(tx, intake, message.traceparent(), &past));
            let Ok(stored) = stored.catch_unwind().await else {
                // What it has written goes with the transaction: once more, without it.
                panicked(message.sequence);
                broken.insert(message.sequence, Broken::Buried);
                anyhow::bail!("command {} broke down", message.sequence);
            };
            count(stored?);
        }
        Ok(())
    }

    async fn dead_letter(&self, message: &Received, era: i16) -> anyhow::Result<()> {
        metrics::counter!("hookline_commands_total", "outcome" => "dead").increment(1);
        tracing::warn!(
            sequence = message.sequence,
            "Command {} cannot be read; it is kept as a dead letter",
            message.sequence
        );
        let dead = Outgoing {
            subject: subjects::dead("commands", None, ""),
            id: match era {
                0 => format!("dead:commands:{}", message.sequence),
                era => format!("dead:commands:{era}.{}", message.sequence),
            },
            headers: async_nats::HeaderMap::new(),
            payload: message.payload.clone(),
        };
        failpoint!("commands.before_dead");
        match self.broker.publish(dead, Duration::from_secs(5)).await {
            Ok(_) => {}
            Err(failure) if failure.is_away() => return Err(failure.into()),
            // What it refuses must not hold up the others.
            Err(failure) => {
                metrics::counter!("hookline_commands_dead_refused_total").increment(1);
                tracing::error!(
                    sequence = message.sequence,
                    error = %failure,
                    "INBOX_DEAD does not take command {}; its bytes stay in INBOX_COMMANDS, and the others go on",
                    message.sequence
                );
            }
        }
        failpoint!("commands.after_dead");
        Ok(())
    }
}

/// A message that was not written together with others.
struct Left<'a> {
    message: &'a Received,
    intake: Option<&'a Intake>,
    /// It was accepted before.
    covered: bool,
}

/// Commands accepted while the lease is held.
struct Batches {
    commands: Commands,
    lease: Lease,
    /// Read with the position.
    mark: Mark,
    /// The number of the era of INBOX_COMMANDS, read with the position.
    era: i16,
    patience: Patience,
    /// Positions of commands whose intake panicked, or that Postgres refuses: not tried again as they are.
    broken: BTreeMap<u64, Broken>,
    /// Everything up to here is accepted.
    position: u64,
}

impl Reader for Batches {
    type Error = anyhow::Error;

    async fn position(&mut self) -> anyhow::Result<Position> {
        let Commands { pool, broker, leases, .. } = &self.commands;
        self.mark = past::mark(pool, broker).await?;
        self.era = eras::current(pool, INBOX_COMMANDS).await?.map_or(0, |known| known.n);
        let position = leases.position(NAME).await?;
        self.position = position.seq;
        Ok(position)
    }

    async fn take(&mut self, batch: &[Received], _: u64, to: Position) -> anyhow::Result<Taken> {
        // Parts of a batch that was halved may have been accepted: they are skipped when the batch comes again.
        let done = batch.partition_point(|message| message.sequence <= self.position);
        let mut parts = vec![&batch[done..]];
        while let Some(part) = parts.pop() {
            let Some(last) = part.last() else { continue };
            let to = last.position(to.era);
            let mut patience = self.patience;
            let taken = patience.within(self.accept(part, self.position, to)).await;
            self.patience = patience;
            match (taken, part) {
                (Ok(Taken::Yes), _) => self.position = to.seq,
                (Ok(Taken::Lost), _) => return Ok(Taken::Lost),
                (Err(error), _) if !narrows(&error) => return Err(error),
                (Err(error), [one]) => {
                    if fault_of(&error) != Some(Fault::Data) || !self.give_up(one.sequence) {
                        return Err(error);
                    }
                    refused(one.sequence, &error);
                    parts.push(part);
                }
                (Err(_), part) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
            }
        }
        self.broken.clear();
        Ok(Taken::Yes)
    }

    fn failed(&mut self, error: &anyhow::Error, failures: u32) {
        tracing::warn!(error = %format!("{error:#}"), "Could not accept commands; trying again");
        if let Some(error) = error.downcast_ref::<sqlx::Error>() {
            db::report(&self.commands.health, CHECK, error, failures);
        }
    }

    fn recovered(&mut self) {
        self.commands.health.set(CHECK, Ok(()));
    }

    fn lag(&mut self, messages: u64) {
        #[allow(clippy::cast_precision_loss)] // a count of messages
        metrics::gauge!("hookline_commands_lag_messages").set(messages as f64);
    }

    fn recreated(&mut self, recreated: &StreamRecreated) {
        tracing::error!(error = %recreated, "The intake of commands stopped");
        metrics::gauge!("hookline_commands_lag_messages").set(f64::NAN);
    }

    async fn put_back(&mut self, stored: Position) -> anyhow::Result<Taken> {
        Ok(eras::read_again(&self.commands.leases, &self.lease, StreamName::Commands, stored)
            .await?)
    }
}

impl Batches {
    fn new(commands: Commands, lease: Lease) -> Self {
        Self {
            commands,
            lease,
            mark: Mark::default(),
            era: 0,
            patience: Patience::default(),
            broken: BTreeMap::new(),
            position: 0,
        }
    }

    /// Less is tried of a command that Postgres refuses. `false`: nothing less is left, so it is not the command's fault.
    fn give_up(&mut self, sequence: u64) -> bool {
        let Some(less) = Broken::after(self.broken.get(&sequence).copied()) else { return false };
        self.broken.insert(sequence, less);
        true
    }

    /// Accepts a batch, or nothing of it. Whatever breaks down is added to `broken`.
    async fn accept(
        &mut self,
        batch: &[Received],
        from: u64,
        to: Position,
    ) -> anyhow::Result<Taken> {
        let Self { commands, lease, mark, era, broken, .. } = self;
        let mut tx = commands.leases.begin_derived().await?;
        failpoint!("commands.before_store");
        let intakes = commands.read_all(batch, *era, broken);
        let at = |message: &Received| message.position(to.era);
        let mut plain = Vec::with_capacity(batch.len());
        for (message, intake) in batch.iter().zip(&intakes) {
            let Some(intake) = intake.as_ref().filter(|_| !mark.covers(at(message))) else {
                continue;
            };
            let read = AssertUnwindSafe(|| store_all::plain(intake, message.traceparent()));
            let Ok(one) = catch_unwind(read) else {
                panicked(message.sequence);
                broken.insert(message.sequence, Broken::Buried);
                anyhow::bail!("command {} broke down", message.sequence);
            };
            plain.extend(one);
        }
        // Of two with one id in a batch the first counts, whatever it is: in their order then.
        store_all::keep_single(&mut plain, intakes.iter().flatten());
        let added = store_all::store_all(&mut tx, &plain).await?;
        let written: HashSet<u64> = added.iter().map(|added| added.stream_seq).collect();
        written.iter().for_each(|_| count(Accepted::Planned));
        let left = (batch.iter().zip(&intakes))
            .filter(|(message, _)| !written.contains(&message.sequence))
            .map(|(message, intake)| Left {
                message,
                intake: intake.as_ref(),
                covered: mark.covers(at(message)),
            })
            .collect::<Vec<_>>();
        commands.store_left(&mut tx, &left, *era, broken).await?;
        failpoint!("commands.before_position");
        if !commands.leases.move_position(&mut tx, lease, INBOX_COMMANDS, from, to).await? {
            return Ok(Taken::Lost);
        }
        mark::advance(&mut tx, to).await?;
        // A command that is stored on its own may be before another of its lane.
        let all_plain = written.len() == batch.len();
        let first = if all_plain { store_all::first_in_lanes(&plain, &added) } else { Vec::new() };
        let room = commands.handover.room().filter(|_| !first.is_empty());
        if room.is_none() || first.len() < batch.len() {
            facts::follow_up::conversation_state::wake(&mut tx).await?;
        }
        failpoint!("commands.before_commit");
        tx.commit().await?;
        failpoint!("commands.after_commit");
        if let Some(room) = room {
            room.hand_over(first);
        }
        Ok(Taken::Yes)
    }
}

fn count(accepted: Accepted) {
    metrics::counter!("hookline_commands_total", "outcome" => accepted.as_str()).increment(1);
}

fn panicked(sequence: u64) {
    metrics::counter!("hookline_commands_panics_total").increment(1);
    tracing::error!(sequence, "Accepting command {sequence} broke down: a bug; the others go on");
}
