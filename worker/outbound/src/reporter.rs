//! Publishes outcomes together: while some are on their way, the next gather.

use runtime::db::within;
use tokio::sync::mpsc;

use crate::ledger::WITHIN;
use crate::outcome;
use facts::FactStore;

/// Outcomes published together.
const BATCH: usize = 64;

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
    let (sender, ended) = mpsc::channel(4 * BATCH);
    (Reporter { ended: sender }, Reporting { ended, facts })
}

impl Reporter {
    /// The outcome of this command is to be published. Where that fails, the sweep does it later.
    pub(crate) async fn report(&self, identity: String) {
        let _ = self.ended.send(identity).await;
    }
}

impl Reporting {
    /// Works until every [`Reporter`] is gone.
    pub(crate) async fn run(mut self) {
        let mut ended = Vec::with_capacity(BATCH);
        while self.ended.recv_many(&mut ended, BATCH).await > 0 {
            let published = within(WITHIN, outcome::publish_all(&self.facts, &ended)).await;
            if let Err(error) = published {
                tracing::debug!(error = %format!("{error:#}"), "Outcomes are published one by one");
                for identity in &ended {
                    let published = within(WITHIN, outcome::publish(&self.facts, identity));
                    if let Err(error) = published.await {
                        tracing::debug!(error = %format!("{error:#}"), "The outcome of a command is published later");
                    }
                }
            }
            ended.clear();
        }
    }
}
