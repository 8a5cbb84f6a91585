//! The roles in one process.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use runtime::admin;
use runtime::broker::Broker;
use runtime::config::{NatsConfig, Origin, Settings};
use runtime::health::{self, Health};
use runtime::serve::Limits;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::answer;

/// Where the roles listen.
#[derive(Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) webhooks: SocketAddr,
    pub(crate) inbox: SocketAddr,
    /// `None` where the address is taken.
    pub(crate) admin: Option<SocketAddr>,
}

/// Roles with a port, bound and not yet running.
pub(crate) struct Listeners {
    ingest: ingest::Ingest,
    api: api::Api,
    admin: Option<tokio::net::TcpListener>,
    pub(crate) addresses: Addresses,
}

impl Listeners {
    /// Binds the ports of the settings, or the usual ones, or free ones; then the settings say which.
    pub(crate) async fn bind(settings: &mut Settings) -> anyhow::Result<Self> {
        let ingest = ingest::Ingest::bind(settings.clone()).await?;
        let api = api::Api::bind(settings.clone()).await?;
        let admin = admin::listen(admin::address(settings)?).await?;
        let addresses = Addresses {
            webhooks: ingest.local_addr(),
            inbox: api.local_addr(),
            admin: admin.as_ref().map(tokio::net::TcpListener::local_addr).transpose()?,
        };
        // Port 0 asks for any port; these are the ports.
        let doors = [("INGEST_LISTEN", addresses.webhooks), ("API_LISTEN", addresses.inbox)];
        let admin_listen = addresses.admin.map(|address| (admin::LISTEN, address));
        for (name, address) in doors.into_iter().chain(admin_listen) {
            settings.put(name, address.to_string(), Origin::Program);
        }
        Ok(Self { ingest, api, admin, addresses })
    }
}

/// Gives every role that has no address the usual port of loopback, or a free one where that is taken.
pub(crate) fn choose_ports(settings: &mut Settings) -> anyhow::Result<()> {
    for (name, default) in [("INGEST_LISTEN", 8080), ("API_LISTEN", 8081), (admin::LISTEN, 8082)] {
        if settings.get(name).is_none() {
            settings.put(name, free_address(default)?.to_string(), Origin::Program);
        }
    }
    Ok(())
}

/// The running roles, by name.
pub(crate) type Roles = JoinSet<(&'static str, anyhow::Result<()>)>;

/// Starts all of them; `stop` ends them. They share one admin listener and say in `health` what they lack.
pub(crate) async fn start(
    listeners: Listeners,
    health: Health,
    settings: &Settings,
    stop: &CancellationToken,
) -> anyhow::Result<Roles> {
    let mut roles = Roles::new();
    let Listeners { ingest, api, admin, .. } = listeners;
    if let Some(listener) = admin {
        let (router, limits) = (admin::router(&health), Limits::default());
        let serving = runtime::serve::serve(listener, router, limits, stop.clone());
        roles.spawn(async move {
            serving.await;
            ("admin", anyhow::Ok(()))
        });
    }
    let answering = ingest.run(health.of("ingest"), stop.clone());
    roles.spawn(async move { ("ingest", answering.await) });
    let answering = api.run(health.of("api"), stop.clone());
    roles.spawn(async move { ("api", answering.await) });
    let worker = worker::Config::from_settings(settings)?;
    worker.reread_secrets(stop)?;
    let config = NatsConfig::from_settings(settings)?;
    let pool = runtime::db::pool(settings, "up", 20)?;
    let looking_up = runtime::db::pool_by_index(settings, "up", 40)?;
    let stored = Arc::new(worker::facts::eras::Eras::new(pool.clone()));
    let broker = Broker::connect_knowing("up", config, worker::NEEDS, stored, stop.clone()).await?;
    health::watch_broker(&health, &broker, stop.clone());
    health::watch_postgres(&health, &pool, stop.clone());
    let working = worker::work(worker, broker.clone(), looking_up, health.clone(), stop.clone());
    roles.spawn(async move { ("worker", working.await) });
    let answering =
        answer::answer(settings, broker.clone(), pool.clone(), health.of("ops"), stop.clone());
    roles.spawn(async move { ("ops", answering.await) });
    let projecting = projector::project(broker, pool, health, stop.clone());
    roles.spawn(async move { ("projector", projecting.await) });
    Ok(roles)
}

/// Waits for the roles that were asked to stop.
pub(crate) async fn drain(mut roles: Roles) {
    let ended = async { while roles.join_next().await.is_some() {} };
    if tokio::time::timeout(runtime::shutdown::DRAIN, ended).await.is_err() {
        tracing::warn!(
            "Some work did not finish in time; it goes on from the stored positions at the next start"
        );
    }
}

/// Why the first role ended; `None` where it was asked to.
pub(crate) fn first_error(
    ended: Result<(&'static str, anyhow::Result<()>), JoinError>,
    shutdown: &CancellationToken,
) -> Option<anyhow::Error> {
    match ended {
        Ok((_, Ok(()))) if shutdown.is_cancelled() => None,
        Ok((role, Ok(()))) => Some(anyhow::anyhow!("{role} stopped by itself")),
        Ok((role, Err(error))) => Some(error.context(format!("{role} cannot go on"))),
        Err(error) => {
            Some(anyhow::anyhow!("a role broke down: {}", runtime::telemetry::task_end(&error)))
        }
    }
}

/// The default port, or a free one where it is taken.
fn free_address(default: u16) -> anyhow::Result<SocketAddr> {
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let listener =
        TcpListener::bind((loopback, default)).or_else(|_| TcpListener::bind((loopback, 0)))?;
    Ok(listener.local_addr()?)
}

/// Waits until all roles are ready, for ever: a role that cannot go on ends `up` in the meantime.
pub(crate) async fn wait_ready(addresses: Addresses, health: &Health) {
    let Ok(http) = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build()
    else {
        return;
    };
    let doors = [addresses.webhooks, addresses.inbox].map(|door| format!("http://{door}/readyz"));
    let mut said = false;
    let started = std::time::Instant::now();
    loop {
        let mut ready = health.problems().is_empty();
        for door in &doors {
            ready &=
                matches!(http.get(door).send().await, Ok(answer) if answer.status().is_success());
        }
        if ready {
            return;
        }
        if !said && started.elapsed() > Duration::from_secs(10) {
            said = true;
            let missing = health.problems_of_all();
            tracing::warn!(?missing, "Not ready yet; `/readyz` of {} says why", admin::LISTEN);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
