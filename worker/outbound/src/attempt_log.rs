//! The log of attempts, INBOX_ATTEMPTS: what is about to be asked of Meta is known outside Postgres before the first byte goes there.
//!
//! A claim publishes its attempts under the condition that the log stands where its ledger knows it to stand (the *mark*), in the
//! transaction that writes them down. So no attempt is ever made from a ledger that is behind, whatever happened to Postgres: the broker
//! refuses. Then what the log has more is learnt ([`AttemptLog::catch_up`]), and the claim of each part it names treats it as one that
//! may have been sent.
//!
//! Pure: `entry` (what is logged), `fold` (what is learnt from it). Around it: `read` (the log), `catch_up`, `outcomes` (what became of
//! commands whose end the ledger does not know), `watch` (the loop that notices and ends it), `regain`
//! (the ledger of an empty database).

mod catch_up;
mod entry;
mod fold;
mod outcomes;
mod read;
mod regain;
mod watch;

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use runtime::append::AppendFailure;
use runtime::broker::Broker;
use schemas::{AccountId, Channel, subjects};
use sqlx::{PgConnection, PgPool};

use crate::ledger::{attempt_log as marks, logged};
pub(crate) use entry::{Batch, Entry};
#[cfg(test)]
pub(crate) use fold::{Known, Placed, learn};
pub(crate) use watch::watch;

/// How long the durable ack of a batch may take. The transaction of the claim is open meanwhile.
const ACK_WITHIN: Duration = Duration::from_secs(4);

/// The ledger is behind the log: nothing was attempted. Roll back, catch up, claim again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ledger is behind the log of attempts")]
pub(crate) struct Behind;

/// The log as one worker writes and reads it; clones share it.
#[derive(Clone)]
pub(crate) struct AttemptLog {
    broker: Broker,
    pool: PgPool,
    worker: Arc<str>,
    batches: Arc<AtomicU64>,
    given_up: Arc<Mutex<HashSet<String>>>,
    catching_up: Arc<tokio::sync::Mutex<()>>,
}

impl AttemptLog {
    /// The broker, for what else is published from here.
    pub(crate) const fn broker(&self) -> &Broker {
        &self.broker
    }

    pub(crate) fn new(broker: Broker, pool: PgPool, worker: &str) -> Self {
        Self {
            broker,
            pool,
            worker: worker.into(),
            batches: Arc::default(),
            given_up: Arc::default(),
            catching_up: Arc::default(),
        }
    }

    /// Locks the marks of these shards until `tx` ends. What is read of the log and its attempts behind it is as new as the marks.
    ///
    /// # Errors
    /// The database failed: roll back.
    pub(crate) async fn lock(tx: &mut PgConnection, shards: &BTreeSet<u32>) -> sqlx::Result<Marks> {
        let shards: Vec<i16> = shards.iter().copied().map(small).collect();
        Ok(Marks { rows: marks::lock(tx, &shards).await? })
    }

    /// Logs one attempt that `tx` has written down before it locked any mark. Otherwise as [`Self::append`].
    ///
    /// # Errors
    /// As [`Self::append`].
    pub(crate) async fn append_one(
        &self,
        tx: &mut PgConnection,
        shard: u32,
        entry: Entry,
    ) -> anyhow::Result<Logged> {
        let marks = Self::lock(tx, &BTreeSet::from([shard])).await?;
        // What the claim has read is from before the lock. Whoever held the marks meanwhile may have learnt of this very attempt, and
        // moved the marks past it.
        if logged::forbid(tx, &[(&entry.identity, entry.n, entry.attempt)]).await? {
            return Err(Behind.into());
        }
        self.append(tx, &marks, vec![(shard, vec![entry])]).await
    }

    /// Logs attempts that `tx` has written down, of one shard each, and moves their marks. The claim has read what the ledger knows of the log
    /// after it had locked the marks. Meta may be asked once `tx` is committed and [`Logged::made`] was called.
    ///
    /// # Errors
    /// [`Behind`], or the broker or the database failed: roll back.
    pub(crate) async fn append(
        &self,
        tx: &mut PgConnection,
        marks: &Marks,
        attempts: Vec<(u32, Vec<Entry>)>,
    ) -> anyhow::Result<Logged> {
        let number = self.batches.fetch_add(1, Ordering::Relaxed);
        // From here on it may be in the log. Dropped without having been made, it counts as given up.
        let logged = Logged { log: self.clone(), batch: format!("{}-{number}", self.worker) };
        let publishes = attempts.into_iter().map(|(shard, attempts)| {
            let last = marks.of(shard);
            let batch = Batch::new(&self.worker, &logged.batch, attempts);
            async move {
                let payload = serde_json::to_vec(&batch)?.into();
                let stored =
                    self.broker.append(subjects::attempt(shard), payload, last, ACK_WITHIN);
                match stored.await {
                    Ok(seq) => Ok((small(shard), seq)),
                    Err(AppendFailure::Moved) => Err(Behind.into()),
                    Err(AppendFailure::Failed(failure)) => Err(anyhow::Error::from(failure)),
                }
            }
        });
        let stored: Vec<anyhow::Result<(i16, u64)>> = futures::future::join_all(publishes).await;
        let stored: Vec<(i16, u64)> = stored.into_iter().collect::<anyhow::Result<_>>()?;
        marks::advance(tx, &stored).await?;
        Ok(logged)
    }

    /// Makes sure that the ledger knows the whole log of a shard, for a verdict that makes no attempt of the part, `(identity, n, number of
    /// the attempt that would be next)`. Until `tx` ends, nobody logs an attempt of the shard.
    ///
    /// # Errors
    /// [`Behind`], or the broker or the database failed: roll back.
    pub(crate) async fn verify(
        &self,
        tx: &mut PgConnection,
        shard: u32,
        part: (&str, i32, u32),
    ) -> anyhow::Result<()> {
        let known = marks::lock(tx, &[small(shard)]).await?;
        if logged::forbid(tx, &[part]).await? {
            return Err(Behind.into());
        }
        let last = read::last_of(&self.broker, shard).await?;
        match known.first() {
            Some(mark) if last <= mark.seq => Ok(()),
            _ => Err(Behind.into()),
        }
    }

    fn given_up(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Marks that are locked.
pub(crate) struct Marks {
    rows: Vec<marks::MarkRow>,
}

impl Marks {
    /// The position of a shard that the ledger knows last; 0 before the first.
    fn of(&self, shard: u32) -> u64 {
        self.rows.iter().find(|mark| mark.shard == small(shard)).map_or(0, |mark| mark.seq)
    }
}

/// A batch that may be in the log.
pub(crate) struct Logged {
    log: AttemptLog,
    batch: String,
}

impl Logged {
    /// Its transaction is committed: from now on its attempts are made.
    pub(crate) fn made(mut self) {
        self.batch.clear();
    }
}

impl Drop for Logged {
    /// This process never asks Meta for it, whether it is in the log or not.
    fn drop(&mut self) {
        if !self.batch.is_empty() {
            self.log.given_up().insert(std::mem::take(&mut self.batch));
        }
    }
}

/// The shard of an account.
pub(crate) fn shard_of(channel: Channel, account: &AccountId) -> u32 {
    subjects::attempt_shard(channel, account)
}

fn small(shard: u32) -> i16 {
    i16::try_from(shard).unwrap_or(i16::MAX)
}
