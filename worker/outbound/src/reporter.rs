//! Publishes outcomes together: while some are on their way, the next gather.

use runtime::db::within;
use tokio::sync::mpsc;

use crate::ledger::WITHIN;
use crate::outcome;
use facts::FactStore;

/// Outcomes published together.
const BATCH: usize = 64;
/// Commands that wait for it at most; the sweep has the rest.
const QUEUE: usize = 4_096;

/// Takes commands that have ended; clones share the queue.
#[derive(Clone)]
pub(crate) struct Reporter {
    ended: mpsc::Sender<String>,
}

/// The other end: publishes their outcomes.
pub(crate) struct Reporting {
    ended: mpsc::Receiver<String>,
    facts: FactStore,
}

/// Both ends of a queue of commands that have ended.
pub(crate) fn reporter(facts: FactStore) -> (Reporter, Reporting) {
    let (sender, ended) = mpsc::channel(QUEUE);
    (Reporter { ended: sender }, Reporting { ended, facts })
}

impl Reporter {
    /// The outcome of this command is to be published. Waits for nothing: a send must not wait for the broker to take the outcome of
    /// another. Where it fails, or too many wait, the sweep does it later.
    pub(crate) fn report(&self, identity: String) {
        let _ = self.ended.try_send(identity);
    }
}

impl Reporting {
    /// Works until every [`Reporter`] is gone.
    pub(crate) async fn run(mut self) {
        let mut ended = Vec::with_capacity(BATCH);
        while self.ended.recv_many(&mut ended, BATCH).await > 0 {
            let published = within(WITHIN, outcome::publish_all(&self.facts, &ended)).await;
            if let Err(error) = published {
                // One of them may be at fault itself: the sweep publishes each on its own.
                tracing::debug!(error = %format!("{error:#}"), "Outcomes are published later");
            }
            ended.clear();
        }
    }
}
