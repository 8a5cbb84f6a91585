//! `hookline up`: all roles in one process, with private servers for what has no URL.

mod demo;
mod files;
mod keys;
mod print;
mod private;
mod roles;

use std::path::Path;

use anyhow::Context;
use runtime::config::{Origin, Settings, UP_FOLDER};
use runtime::health::Health;
use tokio_util::sync::CancellationToken;

use self::private::PrivateServers;
use self::roles::{Listeners, first_error};
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
        let connect = connect_address(&settings).await;
        print::announce(here, &settings, addresses, simulator.as_deref(), connect.as_deref());
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

/// A one-time link where accounts are connected in a browser; `None` where connecting is off.
async fn connect_address(settings: &Settings) -> Option<String> {
    let public = runtime::config::PublicUrl::from_settings(settings).ok().flatten()?;
    runtime::config::MetaApps::from_settings(settings).ok().filter(|apps| !apps.is_empty())?;
    let pool = runtime::db::pool(settings, "up", 1).ok()?;
    let code = crate::accounts::browser::link(&pool).await;
    pool.close().await;
    match code {
        Ok(code) => Some(crate::accounts::browser::address(&public, &code)),
        Err(error) => {
            tracing::warn!(
                error = format!("{error:#}"),
                "No link to connect accounts could be made"
            );
            None
        }
    }
}
