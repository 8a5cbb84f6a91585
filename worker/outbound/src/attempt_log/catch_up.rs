//! Learns what the log has more than the ledger.

use std::collections::HashMap;

use facts::eras::ForeignStream;
use runtime::broker::made_anew;
use runtime::lease;
use schemas::Timestamp;
use schemas::subjects::{INBOX_ATTEMPTS, SHARDS};
use sqlx::PgConnection;

use super::fold::{self, Known, Learnt, PartKey, Placed};
use super::read::{self, Head};
use super::{AttemptLog, small};
use crate::ledger::attempt_log::{self as marks, MarkRow};
use crate::ledger::{behind, logged, parts};

/// Parts compared by one statement.
const PARTS_BATCH: usize = 1_000;
/// Outcomes are looked for from so long before the last attempt that the ledger knows: it may have been put back to before its end.
const OUTCOMES_BEFORE: std::time::Duration = std::time::Duration::from_secs(3600);

/// What the log has of one shard, where it is not where the ledger has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Difference {
    shard: u32,
    /// The ledger's mark.
    mark: u64,
    last: u64,
}

impl AttemptLog {
    /// Whether the log has more than the ledger knows, or is another one; without a lock, so a claim under way may look like it.
    ///
    /// # Errors
    /// Broker or database did not answer: call again.
    pub(super) async fn differs(&self) -> anyhow::Result<bool> {
        let marks = marks::read(&mut *self.pool.acquire().await?).await?;
        let head = read::head(&self.broker).await?;
        let known = marks.iter().map(|mark| mark.seq).max().unwrap_or(0);
        Ok(head.last != known || marks.iter().any(|mark| mark.era != Some(head.era)))
    }

    /// Learns what the log has more than the ledger, of all shards, and moves the marks there. What is learnt takes effect when its part
    /// is claimed.
    ///
    /// # Errors
    /// Broker or database failed: nothing was learnt, call again.
    pub(crate) async fn catch_up(&self) -> anyhow::Result<()> {
        // One at a time in this process; between processes the marks decide.
        let _alone = self.catching_up.lock().await;
        loop {
            let before = marks::read(&mut *self.pool.acquire().await?).await?;
            let head = read::head(&self.broker).await?;
            same_era(&before, head)?;
            let differences = self.differences(&before).await?;
            if differences.is_empty() {
                self.adopt(&before, head).await?;
                return Ok(());
            }
            if self.learn(&before, head, &differences).await? {
                return Ok(());
            }
        }
    }

    /// How the log differs from the marks.
    async fn differences(&self, marks: &[MarkRow]) -> anyhow::Result<Vec<Difference>> {
        let lasts = (0..SHARDS).map(async |shard| {
            let last = read::last_of(&self.broker, shard).await?;
            let known = marks.iter().find(|mark| mark.shard == small(shard));
            let mark = known.map_or(0, |mark| mark.seq);
            anyhow::Ok((last != mark).then_some(Difference { shard, mark, last }))
        });
        let lasts = futures::future::try_join_all(lasts).await?;
        Ok(lasts.into_iter().flatten().collect())
    }

    /// The ledger knows all of the log: it remembers which one that is.
    async fn adopt(&self, before: &[MarkRow], head: Head) -> anyhow::Result<()> {
        if before.iter().any(|mark| mark.era != Some(head.era)) {
            marks::adopt(&mut *self.pool.acquire().await?, head.era).await?;
        }
        Ok(())
    }

    /// Learns the differences, unless the marks have moved since `before` (`false`).
    async fn learn(
        &self,
        before: &[MarkRow],
        head: Head,
        differences: &[Difference],
    ) -> anyhow::Result<bool> {
        // Read with no transaction open: it may be long. Nobody can append to these shards before the marks have moved.
        let ahead: Vec<_> = differences
            .iter()
            .filter(|one| one.mark < one.last)
            .map(|one| (one.shard, one.mark, one.last))
            .collect();
        let gap = read::gap(&self.broker, &ahead).await?;
        let from = self.outcomes_from(&ahead).await?;
        let commands = read::commands_head(&self.broker).await?;
        let given_up = self.given_up().clone();
        let mut tx = self.pool.begin().await?;
        if marks::lock_all(&mut tx).await? != before {
            return Ok(false);
        }
        let ledger = ledger_of(&mut tx, &gap, &given_up).await?;
        let learnt = fold::learn(&gap, &given_up, &ledger);
        write(&mut tx, &learnt).await?;
        if learnt.put_back {
            let attempts = i64::try_from(learnt.recalled.len()).unwrap_or(i64::MAX);
            behind::begin(&mut tx, attempts, commands.era, commands.last, from).await?;
            // Positions went back too, and a reader that has nothing to do would not look.
            lease::end_all(&mut tx, "worker").await?;
        }
        let moved: Vec<(i16, u64)> =
            differences.iter().map(|one| (small(one.shard), one.last)).collect();
        marks::set(&mut tx, &moved).await?;
        marks::adopt(&mut tx, head.era).await?;
        facts::follow_up::conversation_state::wake(&mut tx).await?;
        tx.commit().await?;
        report(differences, &learnt);
        self.given_up().retain(|batch| !gap.iter().any(|placed| placed.batch.batch == *batch));
        Ok(true)
    }

    /// From when on outcomes may be in the stream that the ledger does not know: a while before its last mark. `None`: all may.
    async fn outcomes_from(&self, ahead: &[(u32, u64, u64)]) -> anyhow::Result<Option<Timestamp>> {
        let mut from: Option<Timestamp> = None;
        for (_, mark, _) in ahead {
            let at = match mark {
                0 => None,
                mark => read::stored_at(&self.broker, *mark).await?,
            };
            let Some(at) = at else { return Ok(None) };
            from = Some(from.map_or(at, |from| from.min(at)));
        }
        Ok(from.map(|from| from.minus(OUTCOMES_BEFORE)))
    }
}

async fn ledger_of(
    conn: &mut PgConnection,
    gap: &[Placed],
    given_up: &std::collections::HashSet<String>,
) -> sqlx::Result<HashMap<PartKey, Known>> {
    let keys: Vec<PartKey> = fold::merge(gap, given_up).into_keys().collect();
    let mut ledger = HashMap::with_capacity(keys.len());
    for keys in keys.chunks(PARTS_BATCH) {
        for row in parts::standing(conn, keys).await? {
            let known =
                Known { state: row.state, attempt: row.attempt, accepted_at: row.accepted_at };
            ledger.insert((row.identity, row.n), known);
        }
    }
    Ok(ledger)
}

async fn write(conn: &mut PgConnection, learnt: &Learnt) -> sqlx::Result<()> {
    logged::keep(conn, &learnt.recalled).await?;
    logged::doubt(conn, &learnt.doubted).await
}

/// Marks of another era say nothing about this log, and it nothing about what was attempted before: an operator decides.
fn same_era(marks: &[MarkRow], head: Head) -> Result<(), ForeignStream> {
    match marks.iter().filter_map(|mark| mark.era).find(|era| *era != head.era) {
        Some(known) => Err(ForeignStream::Another(made_anew(INBOX_ATTEMPTS, head.era, known))),
        None => Ok(()),
    }
}

fn report(differences: &[Difference], learnt: &Learnt) {
    for one in differences.iter().filter(|one| one.last < one.mark) {
        tracing::warn!(
            shard = one.shard,
            mark = one.mark,
            last = one.last,
            "INBOX_ATTEMPTS ends before what the ledger knows of it; the ledger counts"
        );
    }
    let (recalled, put_back) = (learnt.recalled.len(), learnt.put_back);
    if recalled > 0 || put_back {
        metrics::counter!("hookline_attempt_log_recalled_total").increment(recalled as u64);
        tracing::warn!(
            attempts = recalled,
            put_back,
            "The ledger was behind the log: {recalled} parts may have been sent and are looked for"
        );
    }
}
