//! The roles in one process.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use runtime::broker::Broker;
use runtime::config::{NatsConfig, Origin, Settings};
use runtime::health::{self, Health};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// Where the roles listen.
#[derive(Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) webhooks: SocketAddr,
    pub(crate) inbox: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// Roles with a port, bound and not yet running.
pub(crate) struct Listeners {
    ingest: ingest::Ingest,
    api: api::Api,
    admin: tokio::net::TcpListener,
    pub(crate) addresses: Addresses,
}

impl Listeners {
    /// Binds the ports of the settings, or the usual ones, or free ones; then the settings say which.
    pub(crate) async fn bind(settings: &mut Settings) -> anyhow::Result<Self> {
        let ingest = ingest::Ingest::bind(settings.clone()).await?;
        let api = api::Api::bind(settings.clone()).await?;
        let admin = settings.address("ADMIN_LISTEN", "127.0.0.1:8082")?;
        let admin = runtime::serve::bind("ADMIN_LISTEN", admin).await?;
        let addresses = Addresses {
            webhooks: ingest.local_addr(),
            inbox: api.local_addr(),
            admin: admin.local_addr()?,
        };
        // Port 0 asks for any port; these are the ports.
        for (name, address) in [
            ("INGEST_LISTEN", addresses.webhooks),
            ("API_LISTEN", addresses.inbox),
            ("ADMIN_LISTEN", addresses.admin),
        ] {
            settings.put(name, address.to_string(), Origin::Program);
        }
        Ok(Self { ingest, api, admin, addresses })
    }
}

/// Gives every role that has no address the usual port of loopback, or a free one where that is taken.
pub(crate) fn choose_ports(settings: &mut Settings) -> anyhow::Result<()> {
    for (name, default) in [("INGEST_LISTEN", 8080), ("API_LISTEN", 8081), ("ADMIN_LISTEN", 8082)] {
        if settings.get(name).is_none() {
            settings.put(name, free_address(default)?.to_string(), Origin::Program);
        }
    }
    Ok(())
}

/// The running roles, by name.
pub(crate) type Roles = JoinSet<(&'static str, anyhow::Result<()>)>;

/// Starts all of them; `stop` ends them.
pub(crate) async fn start(
    listeners: Listeners,
    settings: &Settings,
    stop: &CancellationToken,
) -> anyhow::Result<Roles> {
    let health = Health::new();
    let admin_router = health.router(runtime::telemetry::metrics_handle());
    let mut roles = Roles::new();
    let Listeners { ingest, api, admin, .. } = listeners;
    let token = stop.clone();
    roles.spawn(async move {
        let limits = runtime::serve::Limits::default();
        runtime::serve::serve(admin, admin_router, limits, token).await;
        ("admin", anyhow::Ok(()))
    });
    let token = stop.clone();
    roles.spawn(async move { ("ingest", ingest.run(token).await) });
    let token = stop.clone();
    roles.spawn(async move { ("api", api.run(token).await) });
    let config = NatsConfig::from_settings(settings)?;
    let pool = runtime::db::pool(settings, "up", 20)?;
    let looking_up = runtime::db::pool_by_index(settings, "up", 40)?;
    let stored = Arc::new(worker::facts::eras::Eras::new(pool.clone()));
    let broker = Broker::connect_knowing("up", config, worker::NEEDS, stored, stop.clone()).await?;
    health::watch_broker(&health, &broker, stop.clone());
    health::watch_postgres(&health, &pool, stop.clone());
    let working = worker::work(
        worker::Config::from_settings(settings)?,
        broker.clone(),
        looking_up,
        health.clone(),
        stop.clone(),
    );
    roles.spawn(async move { ("worker", working.await) });
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
pub(crate) async fn wait_ready(addresses: Addresses) {
    let Ok(http) = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build()
    else {
        return;
    };
    for address in [addresses.webhooks, addresses.inbox, addresses.admin] {
        let url = format!("http://{address}/readyz");
        let mut said = false;
        let started = std::time::Instant::now();
        while !matches!(http.get(&url).send().await, Ok(answer) if answer.status().is_success()) {
            if !said && started.elapsed() > Duration::from_secs(10) {
                said = true;
                tracing::warn!(%url, "Not ready yet; the address says why");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
