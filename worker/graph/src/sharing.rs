//! The budget of all workers: what each learns from its answers is written down and read by the others, once a second and never on the way of
//! a call (docs/decisions/39).

use std::time::Duration;

use runtime::db::within;
use runtime::steady::Steady;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::client::Graph;
use super::shared;

/// How often figures are exchanged.
const EVERY: Duration = Duration::from_secs(1);
/// How long an exchange may take.
const WITHIN: Duration = Duration::from_secs(5);

impl Graph {
    /// Exchanges what is known of the budget with the other workers, until `shutdown`.
    pub async fn share_budget(self, pool: PgPool, shutdown: CancellationToken) {
        loop {
            let now = Steady::now();
            let learnt = self.budget().changed(now);
            match within(WITHIN, self.exchange(&pool, &learnt, now)).await {
                Ok(()) => {}
                Err(error) => {
                    tracing::debug!(%error, "Could not exchange the rate budget; trying again");
                    self.budget().not_shared(learnt);
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    async fn exchange(
        &self,
        pool: &PgPool,
        learnt: &[shared::Figure],
        now: Steady,
    ) -> sqlx::Result<()> {
        let mut conn = pool.acquire().await?;
        if !learnt.is_empty() {
            shared::put(&mut conn, learnt).await?;
        }
        let known = shared::read(&mut conn, self.budget().measured_for()).await?;
        self.budget().adopt(&known, now);
        Ok(())
    }
}
