//! What all clients of `/v1/live` share: the hub, and how many clients there may be.

use std::sync::Arc;
use std::time::Duration;

use runtime::broker::Broker;
use schemas::CommandId;
use schemas::subjects::INBOX_EVENTS;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::filter::Place;
use super::hub::{Hub, Outcome};
use crate::problem::Problem;
use crate::projected::Projected;
use crate::turns::{Full, Turn, Turns};

/// How long a client waits for the shared reader to start.
const START_WAIT: Duration = Duration::from_secs(5);
/// Clients of one process.
const CLIENTS_MAX: usize = 512;
/// Clients of one token.
const OF_TOKEN_MAX: usize = 128;
/// Clients that read the past from the broker at the same time; others wait for their turn.
const READING_MAX: usize = 8;
/// Of one token.
const READING_OF_TOKEN_MAX: usize = 2;

/// The shared part: the hub and its limits.
pub(crate) struct Live {
    pub(super) hub: Hub,
    pub(super) pool: PgPool,
    pub(super) broker: Broker,
    pub(super) shutdown: CancellationToken,
    pub(super) clients: Turns,
    pub(super) reading: Arc<Turns>,
}

impl Live {
    /// Starts the shared reader.
    pub(crate) fn start(
        pool: PgPool,
        broker: Broker,
        projected: Projected,
        shutdown: CancellationToken,
    ) -> Self {
        let hub = Hub::start(pool.clone(), broker.clone(), projected, shutdown.clone());
        metrics::gauge!("hookline_api_live_clients").set(0.0);
        Self {
            hub,
            pool,
            broker,
            shutdown,
            clients: Turns::new(CLIENTS_MAX, OF_TOKEN_MAX),
            reading: Arc::new(Turns::new(READING_MAX, READING_OF_TOKEN_MAX)),
        }
    }

    /// The outcome of a command that is published after this call, once it is projected.
    pub(crate) fn outcome_of(
        &self,
        command: &CommandId,
    ) -> impl Future<Output = Option<Outcome>> + Send + use<> {
        self.hub.outcome_of(command.clone())
    }

    /// The place of a client, once the shared reader has started.
    ///
    /// # Errors
    /// 503: there are too many, or there is no read model.
    pub(super) async fn join(&self, token: &str) -> Result<Turn, Problem> {
        let place = self.clients.at_once(token).map_err(|full| {
            Problem::too_many_clients(match full {
                Full::Token => {
                    format!(
                        "{OF_TOKEN_MAX} clients are connected with this token already: close some"
                    )
                }
                Full::All => format!("{CLIENTS_MAX} clients are connected already"),
            })
        })?;
        tokio::time::timeout(START_WAIT, self.hub.started()).await.map_err(|_| {
            Problem::unavailable("the read model is not there yet: start the projector")
        })?;
        Ok(place)
    }

    /// What is not kept any more of what came after a place, as the position and the first one that is kept. `Err`: the place is of another
    /// era than this, or beyond the end, which is the position given.
    ///
    /// # Errors
    /// 503 where the broker is away.
    pub(super) async fn gap_after(
        &self,
        era: u64,
        place: Place,
    ) -> Result<Result<Option<(u64, u64)>, u64>, Problem> {
        // What is in memory needs no broker.
        if place.era == era && self.hub.has(place.position) {
            return Ok(Ok(None));
        }
        let (first, last) = self.ends().await?;
        if place.era != era || last < place.position {
            return Ok(Err(last));
        }
        Ok(Ok((place.position + 1 < first).then_some((place.position, first))))
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
