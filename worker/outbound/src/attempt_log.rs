//! The log of attempts, INBOX_ATTEMPTS: what is about to be asked of Meta is known outside Postgres before the first byte goes there.
//!
//! A claim publishes its attempts under the condition that the log stands where its ledger knows it to stand (the *mark*), in the
//! transaction that writes them down. So no attempt is ever made from a ledger that is behind, whatever happened to Postgres: the broker
//! refuses. Then what the log has more is learnt ([`AttemptLog::catch_up`]), and the claim of each part it names treats it as one that
//! may have been sent.
//!
//! Pure: `entry` (what is logged), `fold` (what is learnt from it). Around it: `read` (the log), `catch_up`, `outcomes` (what became of
//! commands whose end the ledger does not know), `watch` (the loop that notices and ends it).

mod catch_up;
mod entry;
mod fold;
mod outcomes;
mod read;
mod watch;

use std::collections::HashSet;
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

    /// Logs attempts that `tx` has written down, of one shard each, and moves the marks. Meta may be asked once `tx` is committed and
    /// [`Logged::made`] was called.
    ///
    /// # Errors
    /// [`Behind`], or the broker or the database failed: roll back.
    pub(crate) async fn append(
        &self,
        tx: &mut PgConnection,
        attempts: Vec<(u32, Vec<Entry>)>,
    ) -> anyhow::Result<Logged> {
        let shards: Vec<i16> = attempts.iter().map(|(shard, _)| small(*shard)).collect();
        let marks = marks::lock(tx, &shards).await?;
        // What the claim has read is from before the lock. Whoever held the marks meanwhile may have learnt of these very attempts, and
        // moved the marks past them.
        let entries = attempts.iter().flat_map(|(_, entries)| entries);
        let wanted: Vec<_> =
            entries.map(|one| (one.identity.as_str(), one.n, one.attempt)).collect();
        if logged::forbid(tx, &wanted).await? {
            return Err(Behind.into());
        }
        let number = self.batches.fetch_add(1, Ordering::Relaxed);
        // From here on it may be in the log. Dropped without having been made, it counts as given up.
        let logged = Logged { log: self.clone(), batch: format!("{}-{number}", self.worker) };
        let publishes = attempts.into_iter().map(|(shard, attempts)| {
            let known = marks.iter().find(|mark| mark.shard == small(shard));
            let last = known.map_or(0, |mark| mark.seq);
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
