//! `hookline up`: all roles in one process, with private servers for what has no URL.

pub mod demo;
pub mod files;
pub mod keys;

use std::collections::BTreeMap;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use runtime::broker::Broker;
use runtime::config::{NatsConfig, Origin, Settings, UP_FOLDER};
use tokio_util::sync::CancellationToken;

use crate::exit::{Exit, Failure, say};
use crate::private::{NatsOptions, NatsServer, PgOptions, Postgres};

/// What `up` was asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// With the Meta simulator, a demo account and traffic.
    pub simulate: bool,
}

/// Runs everything until a signal comes, or a role cannot go on.
///
/// # Errors
/// When something cannot be started; the error says what and what to do.
pub async fn run(options: Options, mut settings: Settings) -> anyhow::Result<Exit> {
    let here = std::env::current_dir().context("the current folder")?;
    let folder = here.join(UP_FOLDER);
    make_private_folder(&folder)?;
    let _lock = take_lock(&folder)?;
    let _telemetry = runtime::telemetry::init("up", &settings)?;
    runtime::waits::shorten_from_env()?;
    let shutdown = runtime::shutdown::on_signal()?;

    for (name, value) in keys::load_or_make(&folder, options.simulate)? {
        if settings.get(&name).is_none() {
            settings.put(&name, value, Origin::Program);
        }
    }
    // Before servers are started for nothing.
    for name in ["META_APP_SECRETS", "META_VERIFY_TOKENS"] {
        settings.require(name)?;
    }
    let mut servers = Servers::start(&folder, &mut settings).await?;
    let result = run_with_servers(&options, &here, &folder, settings, shutdown).await;
    // Whatever was told to other processes holds no longer.
    let _ = std::fs::remove_file(folder.join("env"));
    servers.stop().await;
    result
}

async fn run_with_servers(
    options: &Options,
    here: &Path,
    folder: &Path,
    mut settings: Settings,
    shutdown: CancellationToken,
) -> anyhow::Result<Exit> {
    for (name, default) in [("INGEST_LISTEN", 8080), ("API_LISTEN", 8081), ("ADMIN_LISTEN", 8082)] {
        if settings.get(name).is_none() {
            settings.put(name, free_address(default)?.to_string(), Origin::Program);
        }
    }
    let meta = match options.simulate {
        true => Some(demo::Meta::start(&mut settings).await?),
        false => None,
    };
    let ingest = ingest::Ingest::bind(settings.clone()).await?;
    let api = api::Api::bind(settings.clone()).await?;
    let (door, inbox) = (ingest.local_addr(), api.local_addr());
    let admin = settings.address("ADMIN_LISTEN", "127.0.0.1:8082")?;
    let admin_listener = runtime::serve::bind("ADMIN_LISTEN", admin).await?;
    let admin = admin_listener.local_addr()?;
    // Port 0 was a wish; these are the ports.
    for (name, address) in [("INGEST_LISTEN", door), ("API_LISTEN", inbox), ("ADMIN_LISTEN", admin)]
    {
        settings.put(name, address.to_string(), Origin::Program);
    }
    write_env(folder, &settings, door, inbox, meta.as_ref())?;

    let stop = shutdown.child_token();
    let health = runtime::health::Health::new();
    let admin_router = health.router(runtime::telemetry::metrics_handle());
    let mut roles = tokio::task::JoinSet::new();
    let admin_stop = stop.clone();
    roles.spawn(async move {
        runtime::serve::serve(
            admin_listener,
            admin_router,
            runtime::serve::Limits::default(),
            admin_stop,
        )
        .await;
        ("admin", anyhow::Ok(()))
    });
    let token = stop.clone();
    roles.spawn(async move { ("ingest", ingest.run(token).await) });
    let token = stop.clone();
    roles.spawn(async move { ("api", api.run(token).await) });
    let broker =
        Broker::connect("up", NatsConfig::from_settings(&settings)?, worker::NEEDS, stop.clone())
            .await?;
    let pool = runtime::db::pool(&settings, "up", 60)?;
    runtime::health::watch_broker(&health, &broker, stop.clone());
    runtime::health::watch_postgres(&health, &pool, stop.clone());
    let working = worker::work(
        worker::Config::from_settings(&settings)?,
        broker.clone(),
        pool.clone(),
        health.clone(),
        stop.clone(),
    );
    roles.spawn(async move { ("worker", working.await) });
    let projecting = projector::project(broker, pool, health.clone(), stop.clone());
    roles.spawn(async move { ("projector", projecting.await) });

    let started = async {
        wait_ready(door, inbox, admin).await;
        if let Some(meta) = &meta {
            meta.begin(&settings, door).await?;
        }
        announce(here, &settings, door, inbox, admin, meta.as_ref());
        anyhow::Ok(())
    };
    let mut failed = None;
    tokio::select! {
        () = shutdown.cancelled() => {}
        Some(ended) = roles.join_next() => failed = first_error(ended, &shutdown),
        result = started => match result {
            Err(error) => failed = Some(error),
            Ok(()) => tokio::select! {
                () = shutdown.cancelled() => {}
                Some(ended) = roles.join_next() => failed = first_error(ended, &shutdown),
            }
        }
    }
    stop.cancel();
    let drain = async { while roles.join_next().await.is_some() {} };
    if tokio::time::timeout(runtime::shutdown::DRAIN, drain).await.is_err() {
        tracing::warn!(
            "Some work did not finish in time; it goes on from the stored positions at the next start"
        );
    }
    if let Some(meta) = meta {
        meta.stop().await;
    }
    match failed {
        Some(error) => Err(error),
        None => Ok(Exit::Done),
    }
}

/// Why the first role that ended did; nothing where it was told to.
fn first_error(
    ended: Result<(&'static str, anyhow::Result<()>), tokio::task::JoinError>,
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

fn make_private_folder(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        // Others may pass through (Postgres may run as another user) but not list; every file with a secret is 0600.
        .mode(0o711)
        .create(folder)
        .with_context(|| format!("making {}", folder.display()))
}

/// Held as long as `up` lives: how other verbs know that `.hookline/env` is true.
fn take_lock(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .read(true)
        .open(&path)
        .with_context(|| format!("opening {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(Failure::refused(format!(
            "another `hookline up` runs in this folder ({} is locked)",
            path.display()
        ))),
    }
}

/// The private servers that were started.
struct Servers {
    nats: Option<NatsServer>,
    postgres: Option<Postgres>,
}

impl Servers {
    async fn start(folder: &Path, settings: &mut Settings) -> anyhow::Result<Self> {
        let mut servers = Self { nats: None, postgres: None };
        if settings.get("NATS_URL").is_none() {
            let server = NatsServer::start(NatsOptions::new(folder.join("nats"))).await?;
            settings.put("NATS_URL", server.url(), Origin::Program);
            settings.put("NATS_MONITOR_URL", server.monitor_url(), Origin::Program);
            servers.nats = Some(server);
        }
        if settings.get("DATABASE_URL").is_none() {
            let server = Postgres::start(PgOptions::new(folder.join("postgres"))).await?;
            server.create_database("hookline").await?;
            settings.put("DATABASE_URL", server.url("hookline"), Origin::Program);
            servers.postgres = Some(server);
        }
        Ok(servers)
    }

    async fn stop(&mut self) {
        if let Some(server) = &mut self.postgres
            && let Err(error) = server.stop().await
        {
            tracing::warn!(error = format!("{error:#}"), "Postgres did not stop in order");
        }
        if let Some(server) = &mut self.nats
            && let Err(error) = server.stop().await
        {
            tracing::warn!(error = format!("{error:#}"), "nats-server did not stop in order");
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

/// What other verbs and a person's shell need to reach this `up`.
fn write_env(
    folder: &Path,
    settings: &Settings,
    door: SocketAddr,
    inbox: SocketAddr,
    meta: Option<&demo::Meta>,
) -> anyhow::Result<()> {
    let mut values: BTreeMap<String, String> = runtime::config::VARIABLES
        .iter()
        .filter_map(|variable| {
            Some((variable.name.to_owned(), settings.get(variable.name)?.to_owned()))
        })
        .collect();
    values.insert("HOOKLINE_INGEST_URL".to_owned(), format!("http://{door}"));
    values.insert("HOOKLINE_API_URL".to_owned(), format!("http://{inbox}"));
    values.insert("HOOKLINE_API_TOKEN".to_owned(), first_token(settings));
    values.insert(
        "HOOKLINE_ADMIN_URL".to_owned(),
        format!("http://{}", settings.get("ADMIN_LISTEN").unwrap_or_default()),
    );
    if let Some(meta) = meta {
        values.insert("HOOKLINE_SIMULATOR_URL".to_owned(), meta.url());
    }
    let path = folder.join("env");
    files::write_private(&path, &files::pairs(&values))
        .with_context(|| format!("writing {}", path.display()))
}

/// The bare first API token, for curl.
fn first_token(settings: &Settings) -> String {
    let first =
        settings.get("API_TOKENS").unwrap_or_default().split(',').next().unwrap_or_default();
    let token = first.split_once('=').map_or(first, |(_, token)| token);
    token.split(':').next().unwrap_or_default().to_owned()
}

/// Waits until all roles say that they are ready; a role that cannot go on ends `up` elsewhere.
async fn wait_ready(door: SocketAddr, inbox: SocketAddr, admin: SocketAddr) {
    let Ok(http) = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build()
    else {
        return;
    };
    for address in [door, inbox, admin] {
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

fn announce(
    here: &Path,
    settings: &Settings,
    door: SocketAddr,
    inbox: SocketAddr,
    admin: SocketAddr,
    meta: Option<&demo::Meta>,
) {
    say("hookline is up.");
    say(format!(
        "  webhooks   http://{door}/webhook  (also /webhooks/instagram, /webhooks/facebook)"
    ));
    say(format!("  inbox API  http://{inbox}/v1/conversations  (docs: http://{inbox}/docs)"));
    say(format!("  health     http://{admin}/readyz  (metrics: /metrics)"));
    if let Some(meta) = meta {
        say(format!("  Meta       {}  (simulated: people write, Graph answers)", meta.url()));
    }
    say(format!("  API token  {}", first_token(settings)));
    say(format!(
        "  settings   {}/{UP_FOLDER}/env  (other `hookline` verbs in this folder find them)",
        here.display()
    ));
    say(format!(
        "Look here: curl -s -H 'Authorization: Bearer {}' http://{inbox}/v1/conversations",
        first_token(settings)
    ));
    say("Ctrl-C stops everything; the data stays in .hookline/.");
}
