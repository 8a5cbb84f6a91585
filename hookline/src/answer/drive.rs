//! Takes up the jobs that were asked for by HTTP, one after the other. A job belongs to whoever holds its claim: where the process dies, the
//! claim lapses and another process, or this one started again, goes on with what is left.

use std::sync::Mutex;

use ops::{Act, BEAT, Beat, Claim, JobState, Ops, Wish, record};
use runtime::broker::Broker;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::work::{self, Ended};

/// Works on jobs until `shutdown`.
pub(super) async fn drive(broker: Broker, pool: PgPool, shutdown: CancellationToken) {
    let owner = format!("ops-{}-{:016x}", std::process::id(), rand::random::<u64>());
    let ops = Ops::as_it_is(pool.clone());
    let mut looks = tokio::time::interval(BEAT);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            () = shutdown.cancelled() => return,
        }
        let claim = match ops.left_to_role().await {
            Ok(None) => continue,
            Ok(Some(id)) => ops.claim(&id, &owner).await,
            Err(error) => Err(error),
        };
        match claim {
            Ok(Some(claim)) => {
                let driver = Driver { broker: &broker, pool: &pool, claim: &claim };
                if let Err(error) = driver.one(&shutdown).await {
                    let (job, error) = (&claim.job.id, format!("{error:#}"));
                    tracing::warn!(job, error, "A job stopped; it is taken up again");
                }
            }
            Ok(None) => {}
            Err(error) => {
                let error = runtime::db::describe(&error).to_string();
                tracing::warn!(error, "No look for jobs; again in a second");
            }
        }
    }
}

struct Driver<'a> {
    broker: &'a Broker,
    pool: &'a PgPool,
    claim: &'a Claim,
}

impl Driver<'_> {
    /// Works on one job until it ends, somebody wishes otherwise, or the claim is lost.
    ///
    /// # Errors
    /// What passes: the job stays claimed until the claim lapses, and goes on then.
    async fn one(&self, shutdown: &CancellationToken) -> anyhow::Result<()> {
        let stop = shutdown.child_token();
        let progress = Mutex::new(json!({}));
        let seen = |now: Value| {
            if let Ok(mut progress) = progress.lock() {
                *progress = now;
            }
        };
        let job = &self.claim.job;
        tracing::info!(job = job.id, "Works on job {}", job.id);
        let working = work::work(self.broker, self.pool, job, &stop, &seen);
        tokio::pin!(working);
        let mut beats = tokio::time::interval(BEAT);
        let mut wish = None;
        let ended = loop {
            tokio::select! {
                ended = &mut working => break ended?,
                _ = beats.tick(), if !stop.is_cancelled() => {}
            }
            match self.claim.beat().await {
                Ok(Beat::Go { .. }) => {
                    let now = progress.lock().map(|now| now.clone()).unwrap_or_default();
                    let mut conn = self.pool.acquire().await?;
                    self.claim.save(&mut conn, &now).await?;
                }
                Ok(Beat::Stop(wished)) => {
                    wish = Some(wished);
                    stop.cancel();
                }
                // Somebody else works on it: nothing is to be ended here.
                Ok(Beat::Lost) => return Ok(()),
                // What is done cannot be saved either; the next beat shows whether the claim holds.
                Err(error) => {
                    let error = runtime::db::describe(&error).to_string();
                    tracing::warn!(error, "A job's claim was not renewed");
                }
            }
        };
        let last = progress.lock().map(|now| now.clone()).unwrap_or_default();
        self.end(ended, wish, &last).await
    }

    /// Ends the job with its record, in one transaction. Stopped by the end of the process it stays as it is: another one goes on.
    async fn end(&self, ended: Ended, wish: Option<Wish>, progress: &Value) -> anyhow::Result<()> {
        let (state, result, error) = match (ended, wish) {
            (Ended::Stopped, None) => return Ok(()),
            (Ended::Stopped, Some(Wish::Pause)) => (JobState::Paused, None, None),
            (Ended::Stopped, Some(Wish::Cancel)) => (JobState::Cancelled, None, None),
            (Ended::Done(result), _) => (JobState::Done, Some(result), None),
            (Ended::Failed(result, error), _) => (JobState::Failed, result, Some(error)),
        };
        let mut tx = self.pool.begin().await?;
        self.claim.save(&mut tx, progress).await?;
        let ours = self.claim.end(&mut tx, state, result.as_ref(), error.as_deref()).await?;
        if ours {
            let job = &self.claim.job;
            let act = Act {
                who: &job.started_by,
                verb: &job.verb,
                arguments: job.arguments.clone(),
                reason: job.reason.as_deref(),
                job: Some(&job.id),
                result: Some(json!({"state": state, "result": result})),
            };
            record(&mut tx, act).await?;
            tx.commit().await?;
            tracing::info!(job = job.id, state = state.as_str(), "Job {} ended", job.id);
        }
        Ok(())
    }
}
