//! Intake: every message of INBOX_COMMANDS becomes a row of the ledger, in the transaction that moves the position. From there the
//! ledger is the queue.
//!
//! Nothing is skipped and nothing stops: what cannot be carried out becomes a row that has failed already, and with it an outcome; what is of
//! no channel, or meets a bug of ours, becomes a dead letter.

mod digest;
mod past;
mod read;
mod store;
mod store_all;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use futures::FutureExt;
use runtime::BoxFuture;
use runtime::broker::Broker;
use runtime::db::Patience;
use runtime::failpoint;
use runtime::follow::{RECREATED_PAUSE, Reader, Received, Source, StreamRecreated, Taken, follow};
use runtime::lease::{Lease, Leases, Position};
use runtime::publish::Outgoing;
use runtime::vouch::{self, Vouch};
use schemas::subjects::{self, COMMAND_ALL, INBOX_COMMANDS};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::ledger::mark::{self, Mark};
use facts::eras;
use past::Past;
use read::{Intake, read};
use store::{Accepted, store};

/// The lease and position of the intake.
pub const NAME: &str = "commands";
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
    /// Knows the commands of people from those of automation.
    pub vouch: Vouch,
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
                recreated_pause: RECREATED_PAUSE,
            };
            leases
                .while_held(NAME, shutdown, |lease, stop| {
                    let mut intake = Batches {
                        commands: self.clone(),
                        lease,
                        mark: Mark::default(),
                        era: 0,
                        patience: Patience::default(),
                        broken: BTreeSet::new(),
                    };
                    let source = &source;
                    async move {
                        let broker = intake.commands.broker.clone();
                        follow(&broker, source, &mut intake, &stop).await;
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
        broken: &BTreeSet<u64>,
    ) -> Vec<Option<Intake>> {
        batch
            .iter()
            .map(|message| {
                let (sequence, stored_at) = (message.sequence, message.stored_at);
                if broken.contains(&sequence) {
                    return None;
                }
                let vouched = self.vouch.holds(&message.payload, message.header(vouch::HEADER));
                let read =
                    || read(&message.payload, &message.subject, sequence, stored_at, vouched);
                let intake = catch_unwind(read).unwrap_or_else(|_| {
                    panicked(sequence);
                    None
                });
                intake.map(|intake| Intake { stream_era: era, ..intake })
            })
            .collect()
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

/// Commands accepted while the lease is held.
struct Batches {
    commands: Commands,
    lease: Lease,
    /// Read with the position.
    mark: Mark,
    /// The number of the era of INBOX_COMMANDS, read with the position.
    era: i16,
    patience: Patience,
    /// Positions of commands whose intake panicked: not tried again.
    broken: BTreeSet<u64>,
}

impl Reader for Batches {
    type Error = anyhow::Error;

    async fn position(&mut self) -> anyhow::Result<Position> {
        let Commands { pool, broker, leases, .. } = &self.commands;
        self.mark = past::mark(pool, broker).await?;
        self.era = eras::current(pool, INBOX_COMMANDS).await?.map_or(0, |known| known.n);
        Ok(leases.position(NAME).await?)
    }

    async fn take(&mut self, batch: &[Received], from: u64, to: Position) -> anyhow::Result<Taken> {
        let mut patience = self.patience;
        let taken = patience.within(self.accept(batch, from, to)).await;
        self.patience = patience;
        if let Ok(Taken::Yes) = taken {
            self.broken.clear();
        }
        taken
    }

    fn failed(&mut self, error: &anyhow::Error, _: u32) {
        tracing::warn!(error = %format!("{error:#}"), "Could not accept commands; trying again");
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
        let leases = &self.commands.leases;
        let done = eras::read_again(leases, &self.lease, INBOX_COMMANDS, stored).await?;
        Ok(if done { Taken::Yes } else { Taken::Lost })
    }
}

impl Batches {
    /// Accepts a batch, or nothing of it. Whatever breaks down is added to `broken`.
    async fn accept(
        &mut self,
        batch: &[Received],
        from: u64,
        to: Position,
    ) -> anyhow::Result<Taken> {
        let Self { commands, lease, mark, era, broken, .. } = self;
        let mut tx = commands.leases.begin().await?;
        failpoint!("commands.before_store");
        let intakes = commands.read_all(batch, *era, broken);
        let present: Vec<_> = intakes.iter().flatten().map(|intake| &intake.command).collect();
        let known = past::known(&mut tx, &present).await?;
        let mut pasts = Vec::with_capacity(batch.len());
        for (message, intake) in batch.iter().zip(&intakes) {
            let at = message.position(to.era);
            pasts.push(match intake {
                Some(intake) => Some(
                    past::of(&commands.broker, &intake.command, &known, mark.covers(at)).await?,
                ),
                None => None,
            });
        }
        let mut plain = Vec::with_capacity(batch.len());
        for ((message, intake), past) in batch.iter().zip(&intakes).zip(&pasts) {
            let (Some(intake), Some(Past::New)) = (intake, past) else { continue };
            let traceparent = message.header("traceparent");
            let read = AssertUnwindSafe(|| store_all::plain(intake, traceparent));
            let Ok(one) = catch_unwind(read) else {
                panicked(message.sequence);
                broken.insert(message.sequence);
                anyhow::bail!("command {} broke down", message.sequence);
            };
            plain.extend(one);
        }
        // Of two with one id in a batch the first counts, whatever it is: in their order then.
        store_all::keep_single(&mut plain, intakes.iter().flatten());
        let written = store_all::store_all(&mut tx, &plain).await?;
        for ((message, intake), past) in batch.iter().zip(&intakes).zip(&pasts) {
            let (Some(intake), Some(past)) = (intake, past) else {
                // Neither the body nor the subject names a channel, or reading it breaks down: no event can be of it, and it is kept where
                // people look.
                commands.dead_letter(message, *era).await?;
                continue;
            };
            if written.contains(&message.sequence) {
                count(Accepted::Planned);
                continue;
            }
            let stored =
                AssertUnwindSafe(store(&mut tx, intake, message.header("traceparent"), past));
            let Ok(stored) = stored.catch_unwind().await else {
                // What it has written goes with the transaction: once more, without it.
                panicked(message.sequence);
                broken.insert(message.sequence);
                anyhow::bail!("command {} broke down", message.sequence);
            };
            count(stored?);
        }
        failpoint!("commands.before_position");
        if !commands.leases.move_position(&mut tx, lease, INBOX_COMMANDS, from, to).await? {
            return Ok(Taken::Lost);
        }
        mark::advance(&mut tx, to).await?;
        facts::follow_up::conversation_state::wake(&mut tx).await?;
        failpoint!("commands.before_commit");
        tx.commit().await?;
        failpoint!("commands.after_commit");
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
