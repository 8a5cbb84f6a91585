//! Meta's door: verify, store, say 200. Nothing else happens here.
//!
//! Read in this order: `config`, `http` (what is asked and answered), `handshake`, `signature`, `scan` and `body` (what it is
//! made of), `callback` and `call_back` (people who remove the app), `secrets`, `webhook`, `store`, `queue` and `detach` (how a webhook becomes durable), `error`, `meters`, `log_limit`.
//!
//! Invariants: no 200 without a durable ack; no body is parsed in order to decide anything; an unsigned request is not stored, and its answer
//! says nothing about the broker; memory is bounded whatever clients do.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod body;
mod call_back;
mod callback;
mod config;
mod detach;
mod error;
mod handshake;
mod http;
mod log_limit;
mod meters;
mod queue;
mod scan;
mod secrets;
mod signature;
mod store;
mod webhook;

use std::net::SocketAddr;
use std::sync::Arc;

use runtime::broker::{Broker, Needs};
use runtime::config::Settings;
use runtime::health::{self, Health};
use runtime::reload::Current;
use runtime::serve::{self, Limits};
use runtime::streams::StreamName;
use runtime::{BoxFuture, admin};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use config::{Config, apps};

use crate::http::Door;
use crate::meters::Meters;
use crate::secrets::Secrets;
use crate::store::Store;

/// Many more than the 2,000 slow clients that must not keep others out. Each may hold some 10 KiB before its signature is checked.
const CONNECTIONS_MAX: u64 = 8192;
/// Files and sockets of our own, and of whatever else runs in this process.
const FILES_SPARE: u64 = 512;
/// Ingest only publishes to META_RAW, and may lack the permission to look at it.
const NEEDS: Needs = Needs { streams: &[StreamName::Raw], best_effort: true };

/// The ingest role, listening but not answering yet.
#[derive(Debug)]
pub struct Ingest {
    config: Config,
    settings: Settings,
    secrets: Current<Secrets>,
    listener: TcpListener,
    address: SocketAddr,
}

/// Runs the role until `shutdown`.
///
/// # Errors
/// When the configuration cannot be used or the address of the door is taken.
pub async fn run(settings: Settings, shutdown: CancellationToken) -> anyhow::Result<()> {
    let admin = admin::address(&settings)?;
    let (ingest, health) = (Ingest::bind(settings).await?, Health::new());
    let work = ingest.run(health.clone(), shutdown.clone());
    admin::beside(admin, &health, &shutdown, work).await
}

impl Ingest {
    /// Reads the configuration and listens. The broker need not be there.
    ///
    /// # Errors
    /// Names the variable that is missing or wrong, or the address that is taken.
    pub async fn bind(settings: Settings) -> anyhow::Result<Self> {
        let config = Config::from_settings(&settings)?;
        let secrets = Current::new(Secrets::from_settings(&settings)?);
        let listener = serve::bind("INGEST_LISTEN", config.listen).await?;
        let address = listener.local_addr()?;
        Ok(Self { config, settings, secrets, listener, address })
    }

    /// Where it listens.
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown`, then finishes open requests. Waits for a broker that is away, answering 503. Says in `health` what it lacks;
    /// its door gives a status only.
    ///
    /// # Errors
    /// When the broker's options cannot work.
    pub fn run(
        self,
        health: Health,
        shutdown: CancellationToken,
    ) -> BoxFuture<'static, anyhow::Result<()>> {
        Box::pin(self.answer(health, shutdown))
    }

    async fn answer(self, health: Health, shutdown: CancellationToken) -> anyhow::Result<()> {
        let Self { config, settings, secrets, listener, address } = self;
        // The broker is watched for as long as requests are open, which is longer than `shutdown`.
        let closed = CancellationToken::new();
        let _close = closed.clone().drop_guard();
        // Before the wait for the broker: a signal that comes meanwhile counts.
        let current = secrets.clone();
        runtime::reload::on_hangup("ingest", settings, shutdown.clone(), move |now| {
            current.set(Secrets::from_settings(now)?);
            Ok(())
        })?;
        let broker =
            Broker::connect("ingest", config.nats.0.clone(), NEEDS, closed.clone()).await?;
        health.set("secrets", Ok(()));
        health::watch_broker(&health, &broker, closed.clone());
        watch_max_payload(&health, &broker, config.max_body, closed);

        let meters = Arc::new(Meters::new());
        let store = Store::new(broker, config.max_body, meters.clone());
        let door = Door::new(config, secrets, store, meters);
        let callbacks = call_back::router(door.clone());
        let router = door.router().merge(callbacks).merge(admin::at_door(&health));
        let files = runtime::process::raise_open_files().saturating_sub(FILES_SPARE);
        let connections_max = usize::try_from(files.clamp(64, CONNECTIONS_MAX))?;
        tracing::info!(connections_max, "Listening for webhooks at {address}");
        serve::serve(listener, router, Limits { connections_max, ..Limits::default() }, shutdown)
            .await;
        tracing::info!("Ingest has stopped");
        Ok(())
    }
}

/// Keeps the check `max_payload` up to date; the broker may be another one after every reconnect.
fn watch_max_payload(health: &Health, broker: &Broker, max_body: usize, closed: CancellationToken) {
    let (health, mut state) = (health.clone(), broker.watch());
    tokio::spawn(async move {
        loop {
            let max_payload = state.borrow_and_update().max_payload;
            // 0 before the first connection: the check `nats` reports that.
            health.set(
                "max_payload",
                if max_payload == 0 { Ok(()) } else { config::fits(max_body, max_payload) },
            );
            tokio::select! {
                () = closed.cancelled() => return,
                changed = state.changed() => if changed.is_err() { return },
            }
        }
    });
}
