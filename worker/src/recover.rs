//! An empty database is filled again from the streams (docs/contract.md 6, docs/decisions/34): `hookline recover`.
//!
//! The stages follow each other ([`stage`]): events become facts, raw webhooks show what events do not hold, commands and attempts become the
//! ledger, and the readers' positions come last. Every batch is one transaction with its position in `worker.recovery`, so whoever is killed goes
//! on there. Nothing is published. While it is not finished, no worker works on this database ([`gate`]).

mod events;
pub mod gate;
mod place;
pub mod plan;
mod raws;
mod rows;
pub mod stage;
mod waiting;

use std::time::Duration;

use facts::eras;
use facts::regain::Halted;
use outbound::recover::Ledger;
use runtime::BoxFuture;
use runtime::broker::Needs;
use runtime::follow::stored;
use runtime::lease::Position;
use runtime::streams::StreamName;
use schemas::subjects::{EVENT_ALL, INBOX_EVENTS};

pub use place::{At, Recovery, Show};
use stage::{Done, Stage};

/// The streams are there already, or there is nothing to recover from.
pub const NEEDS: Needs = Needs { streams: &[], best_effort: true };
/// Messages older than the automatic reply's age by so much are surely not answered by it.
const ANSWERED_BEFORE: Duration = Duration::from_secs(60);
/// Its row went.
const UNDONE: &str = "the recovery was undone: look at this Postgres with `hookline doctor`";
/// Somebody else has it.
const HELD: &str = "a worker runs: stop all workers, then run the same command again";

impl Recovery {
    /// Begins or goes on, to the end. The database is migrated and was found to be empty, or is left by an interrupted recovery.
    ///
    /// # Errors
    /// Broker or Postgres failed, or a worker runs: run it again, it goes on where it stopped.
    pub fn run<'a>(&'a self, show: Show<'a>) -> BoxFuture<'a, anyhow::Result<Done>> {
        Box::pin(async move {
            for name in plan::READ {
                self.declare(name).await?;
            }
            rows::begin(&self.pool).await?;
            loop {
                let row = rows::read(&self.pool).await?.ok_or(Halted(UNDONE))?;
                if row.finished {
                    return Ok(row.done);
                }
                self.stage(row.stage, row.position, row.done, &mut *show).await?;
            }
        })
    }

    async fn stage(
        &self,
        stage: Stage,
        position: u64,
        done: Done,
        show: Show<'_>,
    ) -> anyhow::Result<()> {
        let at = |position, end| At { stage, position, end };
        match stage {
            Stage::Events => events::read(self, position, done, show).await,
            Stage::Raws => raws::read(self, position, done, show).await,
            Stage::Commands => {
                let (_, end) = self.stands(StreamName::Commands).await?;
                self.ledger().commands(&mut |position| show(at(position, end))).await?;
                self.go_on(stage, Stage::Attempts, &done).await
            }
            Stage::Attempts => {
                let parts = self.ledger().attempts().await? as u64;
                self.go_on(stage, Stage::Positions, &Done { parts_attempted: parts, ..done }).await
            }
            Stage::Positions => {
                self.set_positions(&done).await?;
                rows::finish(&self.pool, &done).await?;
                Ok(())
            }
        }
    }

    fn ledger(&self) -> Ledger {
        Ledger {
            broker: self.broker.clone(),
            pool: self.pool.clone(),
            leases: self.leases.clone(),
            vouch: self.vouch.clone(),
        }
    }

    /// The positions that are stored are of the streams that are there.
    async fn declare(&self, name: StreamName) -> anyhow::Result<()> {
        if eras::current(&self.pool, name.as_str()).await?.is_some() {
            return Ok(());
        }
        let (era, _) = self.stands(name).await?;
        eras::declare(&mut *self.pool.acquire().await?, name.as_str(), era).await?;
        Ok(())
    }

    /// Where the readers go on. The last webhooks of each shard are read again, for they may have been published in part.
    async fn set_positions(&self, done: &Done) -> anyhow::Result<()> {
        for (shard, read) in done.shards.iter().enumerate() {
            let reader = inbound::reader_name(u32::try_from(shard)?);
            self.set_position(StreamName::Raw, &reader, read.position).await?;
        }
        let old = runtime::now().minus(self.max_age + ANSWERED_BEFORE);
        let first = stored::first_since(self.broker.js(), INBOX_EVENTS, EVENT_ALL, old).await?;
        let name = outbound::automate::NAME;
        self.set_position(StreamName::Events, name, first.saturating_sub(1)).await
    }

    async fn set_position(&self, name: StreamName, reader: &str, seq: u64) -> anyhow::Result<()> {
        if seq == 0 || self.leases.position(reader).await?.seq > 0 {
            return Ok(());
        }
        let era = eras::current(&self.pool, name.as_str()).await?.map(|known| known.era);
        let lease = self.leases.acquire(reader).await?.ok_or(Halted(HELD))?;
        let mut tx = self.leases.begin().await?;
        let to = Position { seq, era, at: None };
        let moved = self.leases.move_position(&mut tx, &lease, name.as_str(), 0, to).await?;
        if !moved {
            return Err(Halted(HELD).into());
        }
        tx.commit().await?;
        let _ = self.leases.release(&lease).await;
        Ok(())
    }
}
