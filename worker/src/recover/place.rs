//! What a recovery works with, and what its stages share.

use std::time::Duration;

use anyhow::Context;
use facts::regain::Halted;
use facts::seal::Seal;
use facts::{FactStore, eras};
use runtime::broker::Broker;
use runtime::lease::Leases;
use runtime::streams::{Era, StreamName, era_of};
use runtime::vouch::Vouch;
use sqlx::{PgPool, Postgres, Transaction};

use super::rows;
use super::stage::{Done, Stage};

/// Of two processes that fill one database, one goes on.
const OVERTAKEN: &str = "another process recovers this database: watch or stop that one";

/// Where the work is: stage, position in its stream, and the end of that.
#[derive(Clone, Copy, Debug)]
pub struct At {
    /// What is being done.
    pub stage: Stage,
    /// How far it is.
    pub position: u64,
    /// The last position that is read.
    pub end: u64,
}

/// Called with progress.
pub type Show<'a> = &'a mut (dyn FnMut(At) + Send);

/// What is needed to fill a database.
pub struct Recovery {
    pub(super) broker: Broker,
    pub(super) pool: PgPool,
    pub(super) facts: FactStore,
    pub(super) leases: Leases,
    pub(super) vouch: Vouch,
    /// `AUTO_REPLY_MAX_AGE`
    pub(super) max_age: Duration,
}

impl Recovery {
    /// Over `broker` into `pool`, as `owner` (unique per process). `max_age`: `AUTO_REPLY_MAX_AGE`.
    pub fn new(
        broker: Broker,
        pool: PgPool,
        (seal, vouch): (Seal, Vouch),
        max_age: Duration,
        owner: String,
    ) -> Self {
        let facts = FactStore::new(broker.clone(), pool.clone(), seal);
        let leases = Leases::new(pool.clone(), "worker", owner, runtime::waits::LEASE.get());
        Self { broker, pool, facts, leases, vouch, max_age }
    }

    /// The next stage begins.
    pub(super) async fn go_on(&self, from: Stage, to: Stage, done: &Done) -> anyhow::Result<()> {
        if !rows::turn(&self.pool, from, to, done).await? {
            return Err(Halted(OVERTAKEN).into());
        }
        runtime::failpoint!("recover.after_stage");
        Ok(())
    }

    /// The era of a stream, and its last position.
    pub(super) async fn stands(&self, name: StreamName) -> anyhow::Result<(Era, u64)> {
        let info = eras::there(self.broker.js(), name).await?;
        Ok((era_of(&info), info.state.last_sequence))
    }
}

/// Stores how far a stage is with what was read `from` there `to` here.
pub(super) async fn commit(
    mut tx: Transaction<'static, Postgres>,
    stage: Stage,
    (from, to): (u64, u64),
    done: &Done,
) -> anyhow::Result<()> {
    if !rows::advance(&mut tx, stage, (from, to), done).await? {
        return Err(Halted(OVERTAKEN).into());
    }
    runtime::failpoint!("recover.before_commit");
    tx.commit().await.with_context(|| format!("storing what stage {} read", stage.as_str()))?;
    runtime::failpoint!("recover.after_commit");
    Ok(())
}
