//! This worker's share of the shards: it acquires, renews and releases their leases.

use std::time::Duration;

use runtime::BoxFuture;
use runtime::lease::Lease;
use schemas::subjects;
use tokio_util::sync::CancellationToken;

use crate::normalizer::{FINISH, Inbound};
use crate::release::Release;
use crate::{members, shard};

/// How often a free shard is sought.
const SEEK_EVERY: Duration = Duration::from_millis(500);

impl Inbound {
    /// Works on this worker's share of the shards until `shutdown`; returns when all are released.
    pub fn run(self, shutdown: CancellationToken) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let shares = members::Shares::new();
            let pool = self.facts.pool().clone();
            let mut tasks = tokio::task::JoinSet::new();
            tasks.spawn(members::keep(
                pool,
                self.leases.owner().to_owned(),
                self.leases.ttl(),
                shares.clone(),
                shutdown.clone(),
            ));
            for number in 0..subjects::SHARDS {
                tasks.spawn(self.clone().seek(number, shares.clone(), shutdown.clone()));
            }
            tasks.spawn(Release::new(self.clone()).run(shutdown.clone()));
            while let Some(ended) = tasks.join_next().await {
                if let Err(error) = ended {
                    // A bug; the other shards go on, and this one's lease lapses for another worker to take.
                    tracing::error!(
                        error = runtime::telemetry::task_end(&error),
                        "A task of the normaliser failed"
                    );
                }
            }
        })
    }

    /// Seeks one shard and works on it while it is ours.
    async fn seek(self, number: u32, shares: members::Shares, shutdown: CancellationToken) {
        let name = crate::reader_name(number);
        while !shutdown.is_cancelled() {
            if let Some(place) = shares.take(number, &shutdown) {
                match self.leases.acquire(&name).await {
                    Ok(Some(lease)) => {
                        tracing::info!(
                            shard = number,
                            epoch = lease.epoch,
                            "Normalising shard {number:02}"
                        );
                        self.hold(number, &lease, &place.stop).await;
                    }
                    Ok(None) => {}
                    Err(error) => {
                        tracing::debug!(shard = number, %error, "Could not ask for the shard")
                    }
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(SEEK_EVERY.mul_f64(0.5 + rand::random::<f64>())) => {}
            }
        }
    }

    /// Works on a shard until `stop` or until its lease is lost, then releases the lease.
    async fn hold(&self, number: u32, lease: &Lease, stop: &CancellationToken) {
        let finish = async {
            stop.cancelled().await;
            tokio::time::sleep(FINISH).await;
        };
        tokio::select! {
            () = shard::Shard::new(self, lease, number).run(stop) => {}
            () = self.renew(lease) => {
                tracing::warn!(shard = number, "Lost shard {number:02}; another worker goes on from the stored position");
            }
            () = finish => {
                tracing::warn!(shard = number, "Shard {number:02} did not finish in time; what was not committed comes again");
            }
        }
        // Whoever holds it next reports its lag.
        metrics::gauge!("hookline_normalize_lag_messages", "shard" => format!("{number:02}"))
            .set(0.0);
        if let Err(error) = self.leases.release(lease).await {
            tracing::debug!(shard = number, %error, "Could not let go of the shard; its lease lapses by itself");
        }
    }

    /// Returns when the lease is lost. While the database cannot be asked nothing can be committed either, so that is no reason.
    async fn renew(&self, lease: &Lease) {
        loop {
            tokio::time::sleep(self.leases.ttl() / 3).await;
            match self.leases.renew(lease).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::debug!(lease = %lease.name, %error, "Could not renew the lease")
                }
            }
        }
    }
}
