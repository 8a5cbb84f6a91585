//! Keeps the servers that the tests of one run share: starts them, cleans up after every lab, and stops them with the run, however that
//! ends. `test-servers FOLDER PID` is started by the first test that needs them; PID is the process whose life is the run.
//!
//! If this process is killed, the servers stop too (`::servers::guardian`).

#[path = "../harness/shared/files.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared with the harness")]
mod files;
#[path = "../harness/shared/users.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared with the harness")]
mod users;

use std::path::{Path, PathBuf};
use std::time::Duration;

use ::servers::{NatsOptions, NatsServer, PgOptions, Postgres};
use anyhow::Context;
use async_nats::jetstream;
use files::{PLACES, Place, Servers};
use futures::StreamExt;
use rand::RngExt;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A folder this old without a keeper is left from a run whose keeper was killed.
const STALE_AFTER: Duration = Duration::from_secs(3600);
const USER: &str = "hookline";

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(folder), Some(run), Some(binaries)) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        anyhow::bail!("usage: test-servers FOLDER PID FOLDER-OF-BINARIES");
    };
    let (folder, run) = (PathBuf::from(folder), Run::of(run.parse().context("PID")?));
    let lock = files::lock_file(&files::keeper_lock(&folder))?;
    if lock.try_lock().is_err() {
        return Ok(());
    }
    let parent = folder.parent().context("the folder of a run is in another")?;
    files::free_memory(parent);
    // No test of a shared server is about power cuts.
    let data = files::memory(folder.file_name().unwrap_or_default());
    let data = data.unwrap_or_else(|| folder.clone());
    let result = keep(&folder, &data, Path::new(&binaries), &run).await;
    let _ = std::fs::remove_dir_all(&data);
    files::free_memory(parent);
    match result {
        // The folder stays, with the log in it.
        Err(error) => Err(error),
        Ok(()) => match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        },
    }
}

async fn keep(folder: &Path, data: &Path, binaries: &Path, run: &Run) -> anyhow::Result<()> {
    remove_stale(folder);
    let password = hex::encode(rand::rng().random::<[u8; 16]>());
    let (nats, postgres) =
        tokio::try_join!(start_nats(data, &password), start_postgres(data, binaries))?;
    let (mut nats, mut postgres) = (nats, postgres);
    let servers = Servers {
        nats_port: nats.port(),
        nats_monitor_url: nats.monitor_url(),
        nats_password: password,
        postgres_port: postgres.port(),
        postgres_user: USER.to_owned(),
    };
    files::replace(&folder.join("servers.json"), &serde_json::to_string(&servers)?)?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    while run.lives() && nats.is_running() && postgres.is_running() {
        while let Some(place) = Place::abandoned(folder)? {
            if let Err(error) = clean(place, &servers).await {
                // Tried again at the next look; nobody takes the place before.
                eprintln!("{error:#}");
                break;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = terminate.recv() => break,
        }
    }
    // Nothing of it is kept.
    let _ = tokio::join!(nats.kill9(), postgres.kill9());
    Ok(())
}

/// One account per lab, each with a JetStream of its own, a user that may do everything, and the users of a deployment.
async fn start_nats(folder: &Path, password: &str) -> anyhow::Result<NatsServer> {
    let accounts: String = (0..PLACES)
        .map(|place| {
            let name = files::account(place);
            let users = users::of_place(place, password);
            format!("  {name} {{ jetstream: enabled, users: [{{ user: {name}, password: \"{password}\" }}\n{users}] }}\n")
        })
        .collect();
    let mut options = NatsOptions::new(folder.join("nats"));
    options.password = false;
    options.extra_config = Some(format!("accounts {{\n{accounts}}}"));
    NatsServer::start(options).await
}

/// Nobody is asked for a password: in a debug build the handshake costs a tenth of a second. Nothing is synced.
async fn start_postgres(folder: &Path, binaries: &Path) -> anyhow::Result<Postgres> {
    let hba = folder.join("pg_hba.conf");
    std::fs::write(&hba, "host all all 127.0.0.1/32 trust\n")?;
    let mut options = PgOptions::new(folder.join("postgres"));
    options.fsync = false;
    options.template_dir = Some(binaries.join("postgres-template"));
    let settings = [
        ("hba_file", hba.to_string_lossy().into_owned()),
        ("max_connections", "500".to_owned()),
        ("full_page_writes", "off".to_owned()),
        // Making and dropping databases need not write everybody's pages.
        ("max_wal_size", "1GB".to_owned()),
        ("checkpoint_timeout", "1h".to_owned()),
        ("bgwriter_lru_maxpages", "0".to_owned()),
        ("synchronous_commit", "off".to_owned()),
        ("wal_level", "minimal".to_owned()),
        ("max_wal_senders", "0".to_owned()),
        ("wal_init_zero", "off".to_owned()),
        ("jit", "off".to_owned()),
    ];
    options.settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Postgres::start(options).await
}

/// Takes away what a lab has left: the streams of its account, its databases.
async fn clean(place: Place, servers: &Servers) -> anyhow::Result<()> {
    let account = files::account(place.place);
    let client =
        async_nats::ConnectOptions::with_user_and_password(account, servers.nats_password.clone())
            .connect(format!("nats://127.0.0.1:{}", servers.nats_port))
            .await
            .context("connecting to the shared nats-server")?;
    let js = jetstream::new(client);
    let names: Vec<String> = js.stream_names().filter_map(async |name| name.ok()).collect().await;
    for name in names {
        js.delete_stream(&name).await.with_context(|| format!("deleting {name}"))?;
    }
    let url = format!(
        "postgres://{}@127.0.0.1:{}/postgres",
        servers.postgres_user, servers.postgres_port
    );
    let mut connection = PgConnection::connect(&url).await?;
    let databases: Vec<String> = sqlx::query_scalar(
        "select datname::text from pg_database where datname = $1 or starts_with(datname, $1 || '_')",
    )
    .bind(place.database())
    .fetch_all(&mut connection)
    .await?;
    for database in databases {
        let drop = format!("drop database \"{database}\" with (force)");
        sqlx::query(AssertSqlSafe(drop)).execute(&mut connection).await?;
    }
    connection.close().await?;
    place.clean()
}

/// Folders of runs whose keeper was killed.
fn remove_stale(folder: &Path) {
    let Some(parent) = folder.parent() else { return };
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let lock = files::keeper_lock(&entry.path());
        let held =
            lock.exists() && files::lock_file(&lock).is_ok_and(|lock| lock.try_lock().is_err());
        let old = entry
            .metadata()
            .and_then(|meta| meta.modified())
            .is_ok_and(|changed| changed.elapsed().is_ok_and(|age| STALE_AFTER < age));
        if name.to_string_lossy().starts_with(files::PREFIX) && old && !held {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// The process whose life is the run.
struct Run {
    pid: u32,
    started: Option<String>,
}

impl Run {
    fn of(pid: u32) -> Self {
        Self { pid, started: files::started(pid) }
    }

    /// The same process, not another one that got its number.
    fn lives(&self) -> bool {
        self.started.is_some() && files::started(self.pid) == self.started
    }
}
