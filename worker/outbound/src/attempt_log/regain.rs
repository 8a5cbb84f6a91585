//! What the log knows of parts, for a ledger that was filled again from commands and outcomes.

use std::collections::HashSet;

use schemas::subjects::SHARDS;

use super::{AttemptLog, fold, read};
use crate::ledger::{behind, logged};

/// Parts written by one statement.
const PARTS_BATCH: usize = 1_000;

impl AttemptLog {
    /// Writes the attempts of parts that have ended into their rows. All others are learnt as by any ledger that is behind the log: they may
    /// have been sent, and sending waits until every one of them is settled. Returns how many parts the log knows. May be called again.
    ///
    /// # Errors
    /// Broker or database failed: call again.
    pub(crate) async fn regain(&self) -> anyhow::Result<usize> {
        let lasts = (0..SHARDS).map(async |shard| {
            let last = read::last_of(&self.broker, shard).await?;
            anyhow::Ok((shard, 0, last))
        });
        let shards = futures::future::try_join_all(lasts).await?;
        let gap = read::gap(&self.broker, &shards).await?;
        let attempts: Vec<_> = fold::merge(&gap, &HashSet::new()).into_iter().collect();
        for some in attempts.chunks(PARTS_BATCH) {
            let some: Vec<_> = some.iter().map(|(key, logged)| (key, logged)).collect();
            logged::regain(&mut *self.pool.acquire().await?, &some).await?;
        }
        self.catch_up().await?;
        // Every outcome is among the facts already, and was compared when its command was taken in.
        behind::outcomes_sought(&mut *self.pool.acquire().await?, None).await?;
        Ok(attempts.len())
    }
}
