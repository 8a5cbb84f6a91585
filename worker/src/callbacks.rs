//! Carries out Meta's callbacks: a person removed the app, or asked for the deletion of their data. Ingest has verified and stored them.
//!
//! Effect and position are one transaction, and a signed request acts once: delivered again, it changes nothing. A request
//! for deletion is kept in the same transaction. Whose data it is about is decided by [`crate::erase`], which carries it out; the page of the
//! request shows where it stands.

mod read;

use facts::accounts::AccountStore;
use facts::eras;
use runtime::BoxFuture;
use runtime::broker::Broker;
use runtime::db::{self, Patience};
use runtime::follow::{Reader, Received, Source, StreamRecreated, Taken, follow};
use runtime::health::Health;
use runtime::lease::{Lease, Leases, Position};
use runtime::streams::StreamName;
use schemas::subjects::{CALLBACK_ALL, META_RAW};
use tokio_util::sync::CancellationToken;

/// The lease and position of this reader.
pub(crate) const NAME: &str = "callbacks";
const BATCH: usize = 50;

/// Carries out callbacks.
#[derive(Clone)]
pub(crate) struct Callbacks {
    broker: Broker,
    accounts: AccountStore,
    leases: Leases,
    health: Health,
}

impl Callbacks {
    pub(crate) fn new(
        broker: &Broker,
        accounts: &AccountStore,
        leases: &Leases,
        health: &Health,
    ) -> Self {
        Self {
            broker: broker.clone(),
            accounts: accounts.clone(),
            leases: leases.clone(),
            health: health.clone(),
        }
    }

    /// Works whenever this worker holds the lease, until `shutdown`.
    pub(crate) fn run(self, shutdown: CancellationToken) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let leases = self.leases.clone();
            let source = Source {
                stream: META_RAW,
                filter: CALLBACK_ALL.to_owned(),
                messages_max: BATCH,
                bytes_max: usize::MAX,
            };
            leases
                .while_held(NAME, shutdown, |lease, stop| {
                    let mut batches =
                        Batches { callbacks: self.clone(), lease, patience: Patience::default() };
                    let source = &source;
                    async move {
                        let broker = batches.callbacks.broker.clone();
                        follow(&broker, source, &mut batches, &stop).await;
                        batches.callbacks.health.set(NAME, Ok(()));
                    }
                })
                .await;
        })
    }
}

struct Batches {
    callbacks: Callbacks,
    lease: Lease,
    patience: Patience,
}

impl Reader for Batches {
    type Error = anyhow::Error;

    async fn position(&mut self) -> anyhow::Result<Position> {
        Ok(self.callbacks.leases.position(NAME).await?)
    }

    async fn take(&mut self, batch: &[Received], from: u64, to: Position) -> anyhow::Result<Taken> {
        let mut patience = self.patience;
        let taken = patience.within(self.carry_out(batch, from, to)).await;
        self.patience = patience;
        taken
    }

    fn failed(&mut self, error: &anyhow::Error, failures: u32) {
        tracing::warn!(error = %format!("{error:#}"), "Could not carry out a callback; trying again");
        if let Some(error) = error.downcast_ref::<sqlx::Error>() {
            db::report(&self.callbacks.health, NAME, error, failures);
        }
    }

    fn recovered(&mut self) {
        self.callbacks.health.set(NAME, Ok(()));
    }

    fn lag(&mut self, messages: u64) {
        #[allow(clippy::cast_precision_loss)] // a count of messages
        metrics::gauge!("hookline_callbacks_lag_messages").set(messages as f64);
    }

    fn recreated(&mut self, recreated: &StreamRecreated) {
        tracing::error!(error = %recreated, "Callbacks are not carried out");
        metrics::gauge!("hookline_callbacks_lag_messages").set(f64::NAN);
    }

    async fn put_back(&mut self, stored: Position) -> anyhow::Result<Taken> {
        Ok(eras::read_again(&self.callbacks.leases, &self.lease, StreamName::Raw, stored).await?)
    }
}

impl Batches {
    async fn carry_out(
        &self,
        batch: &[Received],
        from: u64,
        to: Position,
    ) -> anyhow::Result<Taken> {
        let Self { callbacks: Callbacks { accounts, leases, .. }, lease, .. } = self;
        let mut tx = leases.begin().await?;
        for message in batch {
            let Some(callback) = read::callback(message) else {
                count("unreadable");
                tracing::error!(
                    sequence = message.sequence,
                    "A callback cannot be read; it is left out"
                );
                continue;
            };
            match accounts.call_back(&mut tx, &callback).await? {
                None => count("known"),
                Some(0) => count("nobody"),
                Some(_) => count("disconnected"),
            }
        }
        if !leases.move_position(&mut tx, lease, META_RAW, from, to).await? {
            return Ok(Taken::Lost);
        }
        tx.commit().await?;
        Ok(Taken::Yes)
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("hookline_callbacks_total", "outcome" => outcome).increment(1);
}
