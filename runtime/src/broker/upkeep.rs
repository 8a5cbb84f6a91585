//! The task that watches the connection: durability and streams are read after every connect and from time to time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::connection::State;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::identity::Trouble;
use super::state::BrokerState;
use super::streams::Streams;
use crate::config::NatsConfig;
use crate::durability::{self, Durability};

/// How often the streams are looked at: one that was lost is reported within 10 s (docs/contract.md 4).
const CHECK_EVERY: Duration = Duration::from_secs(4);
/// How long a good durability counts, so that it is read anew at every second look.
const DURABILITY_FOR: Duration = Duration::from_secs(6);
/// How soon it is tried again while something is missing.
const CHECK_SOON: Duration = Duration::from_millis(500);
/// A broker that is not there by then is waited for, and that is logged.
const REPORT_AFTER: Duration = Duration::from_secs(1);

/// The task that watches the connection.
pub(super) struct Upkeep {
    pub(super) trouble: Trouble,
    pub(super) client: async_nats::Client,
    pub(super) config: Arc<NatsConfig>,
    pub(super) streams: Streams,
    pub(super) sender: watch::Sender<BrokerState>,
}

impl Upkeep {
    pub(super) async fn run(mut self, changed: Arc<Notify>, shutdown: CancellationToken) {
        let http = match reqwest::Client::builder()
            .timeout(Duration::from_secs(2))
            .no_proxy()
            .build()
        {
            Ok(http) => http,
            Err(error) => {
                tracing::error!(%error, "Cannot build an HTTP client; durability cannot be read");
                return;
            }
        };
        if !self.config.require_sync {
            tracing::warn!(
                "NATS_REQUIRE_SYNC=false: accepted webhooks may be lost when the broker loses power"
            );
        }
        let mut last_server: Option<(String, u64)> = None;
        let mut good: Option<(Instant, Durability)> = None;
        let (started, mut reported) = (Instant::now(), false);
        loop {
            let connected = self.client.connection_state() == State::Connected;
            let mut settled = false;
            if connected {
                let info = self.client.server_info();
                let reconnects =
                    self.client.statistics().connects.load(std::sync::atomic::Ordering::Relaxed);
                let server = (info.server_id.clone(), reconnects);
                let fresh = last_server.as_ref() != Some(&server);
                if fresh {
                    // What was read from another server, or before the break, no longer counts.
                    self.sender.send_modify(|state| {
                        state.connected = true;
                        state.max_payload = info.max_payload;
                        state.durability = None;
                        state.checked_connects = reconnects;
                    });
                    last_server = Some(server);
                }
                let kept = good.take().filter(|(at, _)| !fresh && at.elapsed() < DURABILITY_FOR);
                let (config, http) = (self.config.clone(), &http);
                let durability = async {
                    match kept {
                        Some(kept) => kept,
                        None => (Instant::now(), durability::read(http, &config).await),
                    }
                };
                let ((read_at, durability), found) = tokio::join!(durability, self.streams.look());
                let is_durable = !matches!(durability, Durability::NotDurable(_));
                good = is_durable.then(|| (read_at, durability.clone()));
                settled = found.ready.is_ok() && is_durable;
                self.report(&durability, &found.ready);
                self.sender.send_if_modified(|state| {
                    let before = state.clone();
                    state.connected = true;
                    state.durability = Some(durability);
                    state.streams = Some(found.ready);
                    state.eras = found.eras;
                    *state != before
                });
            } else {
                self.sender
                    .send_if_modified(|state| std::mem::replace(&mut state.connected, false));
                // The client reports a connection that was there and is lost.
                if last_server.is_none() && !reported && REPORT_AFTER <= started.elapsed() {
                    reported = true;
                    let reason = self.trouble.get().unwrap_or_default();
                    tracing::warn!(%reason, "Waiting for the broker (NATS_URL)");
                }
            }
            let pause = if settled { CHECK_EVERY } else { CHECK_SOON };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = changed.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Says once, not every time, that something is missing.
    fn report(&self, durability: &Durability, streams: &Result<(), String>) {
        let state = self.sender.borrow();
        if let Durability::NotDurable(reason) = durability
            && state.durability.as_ref() != Some(durability)
        {
            tracing::warn!(%reason, required = self.config.require_sync, "The broker is not durable");
        }
        if let Err(reason) = streams
            && state.streams.as_ref() != Some(streams)
        {
            tracing::warn!(%reason, "The broker's streams are not ready");
        }
    }
}
