//! What `up` owns in its folder: the lock, and private servers for what has no URL.

use std::fs::File;
use std::path::Path;

use anyhow::Context;
use runtime::config::{Origin, Settings};
use servers::{NatsOptions, NatsServer, PgOptions, Postgres};

use crate::exit::Failure;

/// Makes the folder of `up`.
pub(crate) fn make_folder(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        // Others may pass through (Postgres may run as another user) but not list; every file with a secret is 0600.
        .mode(0o711)
        .create(folder)
        .with_context(|| format!("making {}", folder.display()))
}

/// Held as long as `up` lives: other verbs believe `.hookline/env` only while it is.
pub(crate) fn take_lock(folder: &Path) -> anyhow::Result<File> {
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
pub(crate) struct PrivateServers {
    nats: Option<NatsServer>,
    postgres: Option<Postgres>,
}

impl PrivateServers {
    /// Starts them and puts their URLs into the settings.
    pub(crate) async fn start(folder: &Path, settings: &mut Settings) -> anyhow::Result<Self> {
        let mut servers = Self { nats: None, postgres: None };
        if settings.get("NATS_URL").is_none() {
            let server = NatsServer::start(NatsOptions::new(folder.join("nats"))).await?;
            settings.put("NATS_URL", server.url(), Origin::Program);
            settings.put("NATS_MONITOR_URL", server.monitor_url(), Origin::Program);
            servers.nats = Some(server);
        }
        if settings.get("DATABASE_URL").is_none() {
            let mut options = PgOptions::new(folder.join("postgres"));
            // Old WAL is removed, not kept for later under another name: an erasure ends sooner.
            options.settings = vec![("wal_recycle".to_owned(), "off".to_owned())];
            let server = Postgres::start(options).await?;
            server.create_database("hookline").await?;
            settings.put("DATABASE_URL", server.url("hookline"), Origin::Program);
            servers.postgres = Some(server);
        }
        Ok(servers)
    }

    /// Postgres first: the roles have ended.
    pub(crate) async fn stop(&mut self) {
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
