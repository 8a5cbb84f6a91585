//! Erasures as INBOX_EVENTS has them. A Postgres that was put back to before an erasure does not know of it: what it holds again is
//! erased again.

use facts::eras;
use facts::erase;
use runtime::db::{self, Patience};
use runtime::follow::{Reader, Received, Source, StreamRecreated, Taken, follow};
use runtime::lease::{Lease, Position};
use runtime::streams::StreamName;
use schemas::Event;
use schemas::subjects::INBOX_EVENTS;
use tokio_util::sync::CancellationToken;

use super::worker::Eraser;

/// The lease and position of this reader.
pub(crate) const NAME: &str = "withdrawals";
/// The subjects it reads.
pub(crate) const FILTER: &str = "inbox.v1.event.*.*.*.fact-withdrawn";
const BATCH: usize = 500;

impl Eraser {
    /// Follows the withdrawals whenever this worker holds their lease, until `shutdown`.
    pub(super) async fn hear(self, shutdown: CancellationToken) {
        let leases = self.leases.clone();
        let source = Source {
            stream: INBOX_EVENTS,
            filter: FILTER.to_owned(),
            messages_max: BATCH,
            bytes_max: usize::MAX,
        };
        leases
            .while_held(NAME, shutdown, |lease, stop| {
                let mut batches =
                    Batches { eraser: self.clone(), lease, patience: Patience::default() };
                let source = &source;
                async move {
                    let broker = batches.eraser.broker.clone();
                    follow(&broker, source, &mut batches, &stop).await;
                    batches.eraser.health.set(NAME, Ok(()));
                }
            })
            .await;
    }
}

struct Batches {
    eraser: Eraser,
    lease: Lease,
    patience: Patience,
}

impl Reader for Batches {
    type Error = anyhow::Error;

    async fn position(&mut self) -> anyhow::Result<Position> {
        Ok(self.eraser.leases.position(NAME).await?)
    }

    async fn take(&mut self, batch: &[Received], from: u64, to: Position) -> anyhow::Result<Taken> {
        let mut patience = self.patience;
        let taken = patience.within(self.learn(batch, from, to)).await;
        self.patience = patience;
        taken
    }

    fn failed(&mut self, error: &anyhow::Error, failures: u32) {
        tracing::warn!(error = %format!("{error:#}"), "Could not take in withdrawals; trying again");
        if let Some(error) = error.downcast_ref::<sqlx::Error>() {
            db::report(&self.eraser.health, NAME, error, failures);
        }
    }

    fn recovered(&mut self) {
        self.eraser.health.set(NAME, Ok(()));
    }

    fn lag(&mut self, messages: u64) {
        #[allow(clippy::cast_precision_loss)] // a count of messages
        metrics::gauge!("hookline_withdrawals_lag_messages").set(messages as f64);
    }

    fn recreated(&mut self, recreated: &StreamRecreated) {
        tracing::error!(error = %recreated, "Withdrawals are not taken in");
        metrics::gauge!("hookline_withdrawals_lag_messages").set(f64::NAN);
    }

    async fn put_back(&mut self, stored: Position) -> anyhow::Result<Taken> {
        let leases = &self.eraser.leases;
        Ok(eras::read_again(leases, &self.lease, StreamName::Events, stored).await?)
    }
}

impl Batches {
    async fn learn(&self, batch: &[Received], from: u64, to: Position) -> anyhow::Result<Taken> {
        let events: Vec<Event> =
            batch.iter().filter_map(|one| serde_json::from_slice(&one.payload).ok()).collect();
        let leases = &self.eraser.leases;
        let mut tx = leases.begin().await?;
        erase::learn(&mut tx, &events).await?;
        if !leases.move_position(&mut tx, &self.lease, INBOX_EVENTS, from, to).await? {
            return Ok(Taken::Lost);
        }
        tx.commit().await?;
        Ok(Taken::Yes)
    }
}
