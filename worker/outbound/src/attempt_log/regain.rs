//! What the log knows of parts, for a ledger that was filled again from commands and outcomes.

use std::collections::HashSet;

use schemas::subjects::SHARDS;

use super::{AttemptLog, fold, read};
use crate::ledger::{behind, logged};

impl AttemptLog {
    /// Writes the attempts of parts that have ended into their rows. All others are learnt as by any ledger that is behind the log: they may
    /// have been sent, and sending waits until every one of them is settled. Returns how many parts the log knows. May be called again.
    ///
    /// # Errors
    /// Broker or database failed: call again.
    pub(crate) async fn regain(&self) -> anyhow::Result<usize> {
        let shards: Vec<_> = (0..SHARDS).map(|shard| (shard, 0, u64::MAX)).collect();
        let gap = read::gap(&self.broker, &shards).await?;
        let attempts = fold::merge(&gap, &HashSet::new());
        logged::regain(&mut *self.pool.acquire().await?, &attempts).await?;
        self.catch_up().await?;
        // Every outcome is among the facts already, and was compared when its command was taken in.
        behind::outcomes_sought(&mut *self.pool.acquire().await?, None).await?;
        Ok(attempts.len())
    }
}
