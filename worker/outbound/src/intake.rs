//! Intake: every message of INBOX_COMMANDS becomes a row of the ledger, in the transaction that moves the position. From there the
//! ledger is the queue ([`crate`]).
//!
//! Nothing is skipped and nothing stops: what cannot be carried out becomes a row that has failed already, and with it an outcome; what is of
//! no channel, or meets a bug of ours, becomes a dead letter.

mod command;
mod past;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use futures::FutureExt;
use runtime::broker::Broker;
use runtime::db::Patience;
use runtime::failpoint;
use runtime::follow::{Follower, Received};
use runtime::lease::{Lease, Leases, Position};
use runtime::publish::Outgoing;
use runtime::retry::Backoff;
use runtime::vouch::{self, Vouch};
use schemas::subjects::{self, COMMAND_ALL, INBOX_COMMANDS};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

pub use command::{Intake, read};
pub use past::{Ended, Mark, Past};

/// The lease and position of the intake.
pub const NAME: &str = "commands";
/// Commands taken over in one transaction.
const BATCH: usize = 200;

/// Takes commands over into the ledger.
#[derive(Clone)]
pub struct Commands {
    /// Where commands come from.
    pub broker: Broker,
    /// The ledger.
    pub pool: PgPool,
    /// The leases of schema `worker`.
    pub leases: Leases,
    /// Tells the commands of people from those of automation.
    pub vouch: Vouch,
}

impl Commands {
    /// Works whenever this worker holds the lease, until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let leases = self.leases.clone();
        leases
            .while_held(NAME, shutdown, |lease, stop| {
                let commands = self.clone();
                async move {
                    if let Err(error) = commands.follow(&lease, &stop).await {
                        tracing::error!(error = %format!("{error:#}"), "The intake of commands stopped");
                        // Not again at once: whatever it was is said above.
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                }
            })
            .await;
    }

    async fn follow(&self, lease: &Lease, stop: &CancellationToken) -> anyhow::Result<()> {
        let mark = past::mark(&self.pool, &self.broker).await?;
        let start = self.leases.position(NAME).await?;
        let mut position = start.seq;
        let mut follower = Follower::new(
            self.broker.clone(),
            INBOX_COMMANDS,
            COMMAND_ALL,
            start.seq,
            start.created,
        );
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        let mut patience = Patience::default();
        let mut broken = BTreeSet::new();
        loop {
            let batch = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                batch = follower.next_batch(BATCH) => batch?,
            };
            let Some(last) = batch.last() else { continue };
            let to = Position { seq: last.sequence, created: follower.created() };
            let taken =
                patience.within(self.take_over(lease, mark, &batch, &mut broken, position, to));
            match taken.await {
                Ok(true) => {
                    position = to.seq;
                    broken.clear();
                    backoff.reset();
                    #[allow(clippy::cast_precision_loss)] // a count of messages
                    metrics::gauge!("hookline_commands_lag_messages")
                        .set(follower.pending() as f64);
                }
                // Somebody else moves the position: leave it to them.
                Ok(false) => return Ok(()),
                Err(error) => {
                    tracing::warn!(%error, "Could not take commands over; trying again");
                    follower.rewind(position);
                    tokio::select! {
                        () = stop.cancelled() => return Ok(()),
                        () = tokio::time::sleep(backoff.next(rand::random())) => {}
                    }
                }
            }
        }
    }

    /// Takes a batch over, or nothing of it. Whatever breaks down is added to `broken`, the positions of commands that are not tried again.
    async fn take_over(
        &self,
        lease: &Lease,
        mark: Mark,
        batch: &[Received],
        broken: &mut BTreeSet<u64>,
        from: u64,
        to: Position,
    ) -> anyhow::Result<bool> {
        let mut tx = self.pool.begin().await?;
        failpoint!("commands.before_store");
        let intakes: Vec<_> = batch
            .iter()
            .map(|message| {
                let (sequence, stored_at) = (message.sequence, message.stored_at);
                if broken.contains(&sequence) {
                    return None;
                }
                let vouched = self.vouch.holds(&message.payload, message.header(vouch::HEADER));
                let read =
                    || read(&message.payload, &message.subject, sequence, stored_at, vouched);
                catch_unwind(read).unwrap_or_else(|_| {
                    panicked(sequence);
                    None
                })
            })
            .collect();
        let commands: Vec<_> = intakes.iter().flatten().map(|intake| &intake.command).collect();
        let known = past::known(&mut tx, &commands).await?;
        for (message, intake) in batch.iter().zip(intakes) {
            match intake {
                Some(intake) => {
                    let traceparent = message.header("traceparent");
                    let at = Position { seq: message.sequence, created: to.created };
                    let stored = async {
                        let covered = mark.covers(at);
                        let past = past::of(&self.broker, &intake.command, &known, covered).await?;
                        anyhow::Ok(intake.store(&mut tx, traceparent, &past).await?)
                    };
                    let Ok(stored) = AssertUnwindSafe(stored).catch_unwind().await else {
                        // What it has written goes with the transaction: once more, without it.
                        panicked(message.sequence);
                        broken.insert(message.sequence);
                        anyhow::bail!("command {} broke down", message.sequence);
                    };
                    let word = stored?;
                    metrics::counter!("hookline_commands_total", "outcome" => word).increment(1);
                }
                // Neither the body nor the subject names a channel, or reading it breaks down: no event can be of it, and it is kept where
                // people look.
                None => self.dead_letter(message).await?,
            }
        }
        failpoint!("commands.before_position");
        if !self.leases.move_position(&mut tx, lease, INBOX_COMMANDS, from, to).await? {
            return Ok(false);
        }
        past::advance(&mut tx, to).await?;
        facts::follow_up::conversation_state::wake(&mut tx).await?;
        failpoint!("commands.before_commit");
        tx.commit().await?;
        failpoint!("commands.after_commit");
        Ok(true)
    }

    async fn dead_letter(&self, message: &Received) -> anyhow::Result<()> {
        metrics::counter!("hookline_commands_total", "outcome" => "dead").increment(1);
        tracing::warn!(
            sequence = message.sequence,
            "Command {} cannot be read; it is kept as a dead letter",
            message.sequence
        );
        let dead = Outgoing {
            subject: subjects::dead("commands", None, ""),
            id: format!("dead:commands:{}", message.sequence),
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

fn panicked(sequence: u64) {
    metrics::counter!("hookline_commands_panics_total").increment(1);
    tracing::error!(sequence, "Taking command {sequence} over broke down: a bug; the others go on");
}
