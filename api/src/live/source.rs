//! What all clients of `/v1/live` share: the hub, and how many clients there may be.

use std::sync::Arc;

use runtime::broker::Broker;
use schemas::CommandId;
use schemas::subjects::INBOX_EVENTS;
use sqlx::PgPool;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::hub::{Hub, Outcome};
use crate::problem::Problem;
use crate::projected::Projected;

/// Clients of one process.
pub(super) const CLIENTS_MAX: usize = 512;
/// Clients that read the past at the same time; others wait for their turn.
const CATCHING_UP_MAX: usize = 8;

/// The shared part: the hub and its limits.
pub(crate) struct Live {
    pub(super) hub: Hub,
    pub(super) pool: PgPool,
    pub(super) broker: Broker,
    pub(super) projected: Projected,
    pub(super) shutdown: CancellationToken,
    pub(super) clients: Arc<Semaphore>,
    pub(super) catching_up: Arc<Semaphore>,
}

impl Live {
    /// Starts the shared reader.
    pub(crate) fn start(
        pool: PgPool,
        broker: Broker,
        projected: Projected,
        shutdown: CancellationToken,
    ) -> Self {
        let hub = Hub::start(pool.clone(), broker.clone(), projected.clone(), shutdown.clone());
        metrics::gauge!("hookline_api_live_clients").set(0.0);
        Self {
            hub,
            pool,
            broker,
            projected,
            shutdown,
            clients: Arc::new(Semaphore::new(CLIENTS_MAX)),
            catching_up: Arc::new(Semaphore::new(CATCHING_UP_MAX)),
        }
    }

    /// The outcome of a command that is published after this call, once it is projected.
    pub(crate) fn outcome_of(
        &self,
        command: &CommandId,
    ) -> impl Future<Output = Option<Outcome>> + Send + use<> {
        self.hub.outcome_of(command.clone())
    }

    /// First and last position of INBOX_EVENTS.
    pub(super) async fn ends(&self) -> Result<(u64, u64), Problem> {
        let away = || Problem::unavailable("the broker is not reachable");
        if !self.broker.is_connected() {
            return Err(away());
        }
        let stream = self.broker.js().get_stream(INBOX_EVENTS).await.map_err(|_| away())?;
        let state = &stream.cached_info().state;
        Ok((state.first_sequence, state.last_sequence))
    }
}
