//! Notices that the ledger is behind the log, also while nothing is to be sent, and when it is not any more.

use std::time::Duration;

use runtime::db::within;
use runtime::health::Health;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::AttemptLog;
use crate::ledger::behind::{self, BehindLog};
use crate::ledger::{WITHIN, logged, queue};
use crate::retention::commands_gone_after;

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(1);
/// Looks between two times of tidying up.
const TIDY_EVERY: u32 = 60;
/// The check of `/readyz`.
const CHECK: &str = "sending";

/// Looks every second until `shutdown`; the check `sending` of `health` says whether the ledger is behind.
pub(crate) async fn watch(log: AttemptLog, health: Health, shutdown: CancellationToken) {
    let mut clock = tokio::time::interval(PERIOD);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let rounds = async {
        let mut round = 0_u32;
        loop {
            clock.tick().await;
            if let Err(error) = log.look(&health, round.is_multiple_of(TIDY_EVERY)).await {
                tracing::debug!(error = %format!("{error:#}"), "Could not compare the ledger with the log of attempts");
            }
            round = round.wrapping_add(1);
        }
    };
    shutdown.run_until_cancelled(rounds).await;
}

impl AttemptLog {
    async fn look(&self, health: &Health, tidy: bool) -> anyhow::Result<()> {
        if within(WITHIN, self.differs()).await? {
            self.catch_up().await?;
        }
        let behind = within(WITHIN, behind::read(&self.pool)).await?;
        metrics::gauge!("hookline_attempt_log_behind").set(if behind.is_some() {
            1.0
        } else {
            0.0
        });
        let Some(behind) = behind else {
            health.set(CHECK, Ok(()));
            if tidy {
                let older = commands_gone_after(self.broker.js()).await?;
                let mut conn = self.pool.acquire().await?;
                within(WITHIN, logged::forget_settled(&mut conn, older)).await?;
            }
            return Ok(());
        };
        health.set(CHECK, Err(reason(&behind)));
        if let Some(from) = within(WITHIN, behind::outcomes_wanted(&self.pool)).await? {
            self.seek_outcomes(from).await?;
            behind::outcomes_sought(&mut *self.pool.acquire().await?, from).await?;
        }
        self.end_when_settled(behind.since).await
    }

    /// Sending goes on once every attempt that was learnt is settled and the commands of that time are here again.
    async fn end_when_settled(&self, since: schemas::Timestamp) -> anyhow::Result<()> {
        let Some(now) = within(WITHIN, behind::read(&self.pool)).await? else {
            return Ok(());
        };
        if !now.outcomes_sought || !now.commands_read {
            return Ok(());
        }
        if logged::unsettled(&mut *self.pool.acquire().await?).await? > 0 {
            return Ok(());
        }
        // What the intake had begun to accept before the outcomes were kept.
        self.settle_reported().await?;
        let mut tx = self.pool.begin().await?;
        if logged::unsettled(&mut tx).await? > 0
            || !behind::end(&mut tx, since, now.attempts).await?
        {
            return Ok(());
        }
        logged::forget_settled(&mut tx, None).await?;
        queue::release(&mut tx).await?;
        facts::follow_up::conversation_state::wake(&mut tx).await?;
        tx.commit().await?;
        tracing::warn!(%since, "The ledger has caught up with the log of attempts; sending goes on");
        Ok(())
    }
}

fn reason(behind: &BehindLog) -> String {
    format!(
        "frozen: ledger behind the log since {}: {} sends that this Postgres did not know of are being settled; sending goes on by itself",
        behind.since, behind.attempts
    )
}
