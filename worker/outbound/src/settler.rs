//! Writes down plain successes together: while one transaction is under way, the next answers gather.

use runtime::db::within;
use runtime::failpoint;
use serde_json::Value;
use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};

use crate::ledger::WITHIN;
use crate::ledger::transitions::{self, SentPart};

/// Answers written down by one transaction.
const BATCH: usize = 128;

/// A success that says nothing but the message: the part is sent.
pub(crate) struct Success {
    pub(crate) identity: String,
    pub(crate) n: i32,
    pub(crate) attempt: u32,
    /// Meta's id of the message.
    pub(crate) item_id: String,
    /// What the ledger keeps of the answer.
    pub(crate) kept: Value,
}

struct Job {
    success: Success,
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
    pub(crate) async fn settle(&self, success: Success) -> Option<bool> {
        let (done, answer) = oneshot::channel();
        self.jobs.send(Job { success, done }).await.ok()?;
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
        let parts: Vec<SentPart<'_>> = jobs
            .iter()
            .map(|Job { success, .. }| SentPart {
                identity: &success.identity,
                n: success.n,
                attempt: success.attempt,
                item_id: &success.item_id,
                kept: &success.kept,
            })
            .collect();
        let mut tx = self.pool.begin().await?;
        let settled = transitions::mark_all_sent(&mut tx, &parts, &self.worker).await?;
        failpoint!("send.before_settle_commit");
        tx.commit().await?;
        failpoint!("send.after_settle_commit");
        Ok(settled)
    }
}
