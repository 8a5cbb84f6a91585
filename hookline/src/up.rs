//! `hookline up`: all roles in one process, with private servers for what has no URL.

mod demo;
mod files;
mod keys;
mod print;
mod private;
mod roles;

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context;
use runtime::config::{MetaApps, Origin, PublicUrl, Settings, UP_FOLDER};
use runtime::health::Health;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use self::private::PrivateServers;
use self::roles::{Listeners, first_error};
use crate::accounts::browser;
use crate::exit::Exit;

/// Runs everything until a signal comes, or a role cannot go on. `simulate`: with the Meta simulator, a demo account and traffic.
///
/// # Errors
/// When something cannot be started; the error says what and what to do.
pub(crate) async fn run(simulate: bool, mut settings: Settings) -> anyhow::Result<Exit> {
    let here = std::env::current_dir().context("the current folder")?;
    let folder = here.join(UP_FOLDER);
    private::make_folder(&folder)?;
    let _lock = private::take_lock(&folder)?;
    let _telemetry = runtime::telemetry::init("up", &settings)?;
    runtime::waits::shorten_from_env()?;
    let shutdown = runtime::shutdown::on_signal()?;

    for (name, value) in keys::load_or_make(&folder, simulate)? {
        if settings.get(&name).is_none() {
            settings.put(&name, value, Origin::Program);
        }
    }
    // Before servers are started for nothing.
    for name in ["META_APP_SECRETS", "META_VERIFY_TOKENS"] {
        settings.require(name)?;
    }
    let mut servers = PrivateServers::start(&folder, &mut settings).await?;
    let result = run_with_servers(simulate, &here, &folder, settings, shutdown).await;
    // Its addresses are no longer true.
    let _ = std::fs::remove_file(folder.join("env"));
    servers.stop().await;
    result
}

async fn run_with_servers(
    simulate: bool,
    here: &Path,
    folder: &Path,
    mut settings: Settings,
    shutdown: CancellationToken,
) -> anyhow::Result<Exit> {
    roles::choose_ports(&mut settings)?;
    let meta = match simulate {
        true => Some(demo::Meta::start(&mut settings).await?),
        false => None,
    };
    let simulator = meta.as_ref().map(demo::Meta::url);
    let listeners = Listeners::bind(&mut settings).await?;
    let addresses = listeners.addresses;
    print::write_env(folder, &settings, addresses, simulator.as_deref())?;

    let stop = shutdown.child_token();
    let health = Health::new();
    let mut roles = roles::start(listeners, health.clone(), &settings, &stop).await?;
    let started = async {
        roles::wait_ready(addresses, &health).await;
        if let Some(meta) = &meta {
            meta.begin(&settings, addresses.webhooks).await?;
        }
        let links = links(&settings, addresses.inbox).await;
        print::announce(here, &settings, addresses, simulator.as_deref(), &links);
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
    roles::drain(roles).await;
    if let Some(meta) = meta {
        meta.stop().await;
    }
    match failed {
        Some(error) => Err(error),
        None => runtime::shutdown::check().map(|()| Exit::Done),
    }
}

/// One-time links: to the console, and to where accounts are connected. `None` where that is off.
async fn links(settings: &Settings, inbox: SocketAddr) -> print::Links {
    let public = PublicUrl::from_settings(settings).ok().flatten();
    let connects = MetaApps::from_settings(settings).is_ok_and(|apps| !apps.is_empty());
    let mut links = print::Links { console: None, connect: None };
    let Ok(pool) = runtime::db::pool(settings, "up", 1) else { return links };
    if let Some(public) = public.as_ref().filter(|_| connects) {
        links.connect = make_link(&pool).await.map(|code| browser::address(public, &code));
    }
    if settings.flag("API_CONSOLE", true).unwrap_or(false) {
        let code = make_link(&pool).await;
        links.console = code.map(|code| browser::console(public.as_ref(), inbox, &code));
    }
    pool.close().await;
    links
}

/// The code of a one-time link; `None` where none could be made, which is logged.
async fn make_link(pool: &PgPool) -> Option<String> {
    browser::link(pool)
        .await
        .inspect_err(|error| {
            tracing::warn!(error = format!("{error:#}"), "No one-time link could be made");
        })
        .ok()
}
