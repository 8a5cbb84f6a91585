//! Writes down plain successes together: while one transaction is under way, the next answers gather.

use runtime::db::within;
use runtime::failpoint;
use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};

use crate::ledger::WITHIN;
use crate::ledger::part_sets::{self, Answered};

/// Answers written down by one transaction.
const BATCH: usize = 128;

struct Job {
    answered: Answered,
    /// Whether the command has ended by it. `None`: it was not written down this way.
    done: oneshot::Sender<Option<bool>>,
}

/// Takes successes; clones share the queue.
#[derive(Clone)]
pub(crate) struct Settler {
    jobs: mpsc::Sender<Job>,
}

/// The other end: writes them down.
pub(crate) struct Settling {
    jobs: mpsc::Receiver<Job>,
    pool: PgPool,
    worker: String,
}

/// Both ends of a queue of successes of one worker.
pub(crate) fn settler(pool: PgPool, worker: &str) -> (Settler, Settling) {
    let (sender, jobs) = mpsc::channel(BATCH);
    (Settler { jobs: sender }, Settling { jobs, pool, worker: worker.to_owned() })
}

impl Settler {
    /// Writes a success down; whether its command has ended by it. `None`: it must be settled on its own, as an answer that is late, or was overtaken, or could not be written.
    pub(crate) async fn settle(&self, answered: Answered) -> Option<bool> {
        let (done, answer) = oneshot::channel();
        self.jobs.send(Job { answered, done }).await.ok()?;
        answer.await.ok().flatten()
    }
}

impl Settling {
    /// Works until every [`Settler`] is gone.
    pub(crate) async fn run(mut self) {
        let mut jobs = Vec::with_capacity(BATCH);
        while self.jobs.recv_many(&mut jobs, BATCH).await > 0 {
            let settled = within(WITHIN, self.settle(&jobs)).await.unwrap_or_else(|error| {
                tracing::debug!(%error, "Could not write down answers together; each on its own");
                vec![None; jobs.len()]
            });
            for (job, ended) in jobs.drain(..).zip(settled) {
                let _ = job.done.send(ended);
            }
        }
    }

    async fn settle(&self, jobs: &[Job]) -> sqlx::Result<Vec<Option<bool>>> {
        let parts: Vec<&Answered> = jobs.iter().map(|job| &job.answered).collect();
        failpoint!("send.before_settle_commit");
        let sent = part_sets::settle_sent(&self.pool, &parts, &self.worker).await?;
        failpoint!("send.after_settle_commit");
        let row = |part: &Answered| {
            sent.iter().find(|row| row.identity == part.identity && row.n == part.n)
        };
        Ok(parts.iter().map(|part| row(part).map(|row| row.has_ended)).collect())
    }
}
