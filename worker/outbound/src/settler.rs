//! Writes down plain successes together: while one transaction is under way, the next answers gather.

use facts::follow_up::conversation_state;
use runtime::db::within;
use runtime::failpoint;
use schemas::{AccountId, Channel};
use serde_json::Value;
use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};

use crate::ledger::WITHIN;
use crate::ledger::part_sets::{self, Answered};

/// Answers written down by one transaction.
const BATCH: usize = 128;

/// A success that says nothing but the message: the part is sent.
pub(crate) struct Success {
    pub(crate) identity: String,
    pub(crate) n: i32,
    pub(crate) attempt: u32,
    pub(crate) channel: Channel,
    pub(crate) account_id: AccountId,
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
        let parts: Vec<Answered<'_>> = jobs
            .iter()
            .map(|Job { success, .. }| Answered {
                identity: &success.identity,
                n: success.n,
                attempt: success.attempt,
                channel: success.channel,
                account_id: &success.account_id,
                item_id: &success.item_id,
                kept: &success.kept,
            })
            .collect();
        failpoint!("send.before_settle_commit");
        let sent =
            part_sets::settle_sent(&self.pool, &parts, &self.worker, conversation_state::WAKE)
                .await?;
        failpoint!("send.after_settle_commit");
        let row = |part: &Answered<'_>| {
            sent.iter().find(|row| row.identity == part.identity && row.n == part.n)
        };
        Ok(parts.iter().map(|part| row(part).map(|row| row.has_ended)).collect())
    }
}
