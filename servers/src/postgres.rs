//! A private Postgres, on loopback.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

use crate::binaries::{self, PostgresBin};
use crate::data_folder::{self, SUPERUSER};
use crate::guardian::{Guardian, PATIENCE, StopSignal};
use crate::user::{self, User};
use crate::{files, ports, process};

/// Recovery after a crash comes before the first connection.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// A port found free may be taken before the server has it.
const PORT_TRIES: u32 = 5;

/// What a private Postgres should be like.
#[derive(Clone, Debug)]
pub struct PgOptions {
    /// Folder for data, password and log; made if missing. As root, the data may have to live elsewhere: `data-is-in` says where.
    pub dir: PathBuf,
    /// Port on 127.0.0.1; a free one when `None`.
    pub port: Option<u16>,
    /// False only where a power cut may cost everything (tests). A killed server loses nothing either way:
    /// commits are still written, just not flushed by the machine.
    pub fsync: bool,
    /// Folder where a fresh data folder is kept and copied from, as making one takes seconds. All copies share one password.
    pub template_dir: Option<PathBuf>,
    /// Further server settings, e.g. `("max_connections", "200")`.
    pub settings: Vec<(String, String)>,
    /// Further variables of the server's processes, for tests.
    pub variables: Vec<(String, String)>,
}

impl PgOptions {
    /// Durable, on a free port, data made from scratch.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            port: None,
            fsync: true,
            template_dir: None,
            settings: Vec::new(),
            variables: Vec::new(),
        }
    }
}

/// A private Postgres. Stopped by [`Postgres::stop`], by dropping it, and by the death of this process.
#[derive(Debug)]
pub struct Postgres {
    options: PgOptions,
    home: PathBuf,
    bin: PostgresBin,
    user: Option<User>,
    password: String,
    port: u16,
    guardian: Option<Guardian>,
    _lock: files::FolderLock,
}

impl Postgres {
    /// Starts the server, after making its data folder if there is none, and waits until it lets us in. An orphan of a
    /// crashed run is stopped first.
    ///
    /// # Errors
    /// No program, no user to run it as, folder in use by another hookline, or it did not come up: then with the end of its log.
    pub async fn start(options: PgOptions) -> anyhow::Result<Self> {
        let prepare = options.clone();
        let mut server = tokio::task::spawn_blocking(move || Self::prepare(prepare))
            .await
            .context("preparing Postgres")??;
        for tries_left in (0..PORT_TRIES).rev() {
            server.port = server.options.port.map_or_else(ports::free, Ok)?;
            match server.launch().await {
                Ok(()) => break,
                Err(error) if tries_left > 0 && server.may_choose_again(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(server)
    }

    fn prepare(options: PgOptions) -> anyhow::Result<Self> {
        let user = user::for_postgres()?;
        let home = user::home_for(&options.dir, user.as_ref())?;
        let lock = files::FolderLock::take(&home)?;
        let data = home.join("data");
        stop_orphan(&data)?;
        let bin = binaries::postgres(data_folder::data_major(&data))?;
        let password =
            data_folder::ensure(&home, &bin, user.as_ref(), options.template_dir.as_deref())?;
        Ok(Self { options, home, bin, user, password, port: 0, guardian: None, _lock: lock })
    }

    /// `postgres://user:password@127.0.0.1:port/database`. Holds a secret: not for logs.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{SUPERUSER}:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// Port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Process id of the running server.
    pub fn pid(&self) -> Option<u32> {
        self.guardian.as_ref().map(Guardian::server_pid)
    }

    /// Where the data really is.
    pub fn data_dir(&self) -> PathBuf {
        self.home.join("data")
    }

    /// False once the server has ended, asked or not.
    pub fn is_running(&mut self) -> bool {
        self.guardian.as_mut().is_some_and(|guardian| guardian.exit_status().is_none())
    }

    /// Makes a database unless it is there already.
    ///
    /// # Errors
    /// A name outside `[a-z0-9_]{1,63}`, or the server's own refusal.
    pub async fn create_database(&self, name: &str) -> anyhow::Result<()> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty() || 63 < name.len() || !name.chars().all(plain) {
            bail!("database name `{name}` must be 1 to 63 characters of a-z, 0-9 and _");
        }
        let create = async {
            let mut connection = self.connect().await?;
            let exists: bool =
                sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
                    .bind(name)
                    .fetch_one(&mut connection)
                    .await?;
            if !exists {
                // The name was checked above, letter by letter.
                let create = AssertSqlSafe(create_database_sql(name));
                sqlx::query(create).execute(&mut connection).await?;
            }
            connection.close().await
        };
        create.await.with_context(|| format!("creating database `{name}`"))
    }

    /// Stops the server fast: open transactions are rolled back. Data and port are kept for [`Postgres::restart`].
    ///
    /// # Errors
    /// When it does not end even by force.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        match self.guardian.take() {
            Some(guardian) => guardian.stop().await.context("stopping Postgres"),
            None => Ok(()),
        }
    }

    /// Kills the server and its backends as a crash would.
    ///
    /// # Errors
    /// When something survives.
    pub async fn kill9(&mut self) -> anyhow::Result<()> {
        match self.guardian.take() {
            Some(guardian) => guardian.kill9().await.context("killing Postgres"),
            None => Ok(()),
        }
    }

    /// Starts the server again on the same data and port, after stopping it if it runs.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.stop().await?;
        self.launch().await
    }

    async fn launch(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        let log_path = self.home.join("postgres.log");
        loop {
            let (log, log_start) = files::open_log(&log_path)?;
            let mut shell = user::command("/bin/sh", self.user.as_ref());
            shell.current_dir(self.data_dir());
            let variables = self.options.variables.iter();
            shell.envs(variables.map(|(name, value)| (name, value)));
            let mut guardian =
                Guardian::spawn(shell, &self.server_command(), log, StopSignal::Int)?;
            let problem = loop {
                if let Some(status) = guardian.exit_status() {
                    break format!("Postgres ended at once ({status})");
                }
                if self.is_ready().await && guardian.exit_status().is_none() {
                    self.guardian = Some(guardian);
                    tracing::info!(
                        "Started private Postgres {} on port {}, data in `{}`",
                        self.bin.version,
                        self.port,
                        self.data_dir().display()
                    );
                    return Ok(());
                }
                if deadline <= Instant::now() {
                    guardian.stop().await.ok();
                    break format!("Postgres was not ready within {} s", READY_WITHIN.as_secs());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            };
            let tail = files::log_tail(&log_path, log_start);
            // Backends of a server that was killed need a moment to notice; it must not start beside them.
            if tail.contains("pre-existing shared memory block") && Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
            bail!("{problem}. The end of {}:\n{tail}", log_path.display());
        }
    }

    fn server_command(&self) -> Command {
        let mut command = Command::new(self.bin.dir.join("postgres"));
        command.arg("-D").arg(self.data_dir());
        let on_off = if self.options.fsync { "on" } else { "off" };
        let port = self.port.to_string();
        let ours = [
            ("listen_addresses", "127.0.0.1"),
            ("port", port.as_str()),
            ("unix_socket_directories", ""),
            ("logging_collector", "off"),
            ("log_statement", "none"),
            // Statements and their parameters may hold people's words.
            ("log_min_error_statement", "panic"),
            ("log_parameter_max_length_on_error", "0"),
            ("log_error_verbosity", "terse"),
            ("max_connections", "200"),
            ("fsync", on_off),
        ];
        for (name, value) in ours {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        for (name, value) in &self.options.settings {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        command
    }

    fn may_choose_again(&self, error: &anyhow::Error) -> bool {
        self.options.port.is_none() && error.to_string().contains("Address already in use")
    }

    /// Ready when the server that lets us in is the one on our data: copies of one template share a password.
    async fn is_ready(&self) -> bool {
        let ask = async {
            let mut connection = self.connect().await?;
            let data: String = sqlx::query_scalar("select current_setting('data_directory')")
                .fetch_one(&mut connection)
                .await?;
            connection.close().await?;
            Ok::<_, sqlx::Error>(Path::new(&data) == self.data_dir())
        };
        matches!(tokio::time::timeout(Duration::from_secs(5), ask).await, Ok(Ok(true)))
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let options = PgConnectOptions::new_without_pgpass()
            .host(&Ipv4Addr::LOCALHOST.to_string())
            .port(self.port)
            .username(SUPERUSER)
            .password(&self.password)
            .database("postgres")
            .ssl_mode(PgSslMode::Disable);
        options.connect().await
    }
}

/// What makes a database of this name, which is taken as it is. It cannot run in a transaction.
pub fn create_database_sql(name: &str) -> String {
    format!("create database \"{name}\"")
}

/// Stops a postmaster that still works on our data, and removes a lock file whose pid is somebody else's by now.
///
/// The lock file of a dead postmaster stays: Postgres itself clears it, after checking that no backend is left.
fn stop_orphan(data: &Path) -> anyhow::Result<()> {
    let pid_file = data.join("postmaster.pid");
    let Ok(text) = fs::read_to_string(&pid_file) else { return Ok(()) };
    let Some(pid) = text.lines().next().and_then(|line| line.trim().parse().ok()) else {
        return Ok(());
    };
    if is_our_server(&process::command_line(pid), data) {
        tracing::warn!("Stopping Postgres {pid}, left behind by a run that crashed");
        if !process::stop_orphan(pid, StopSignal::Int.signal(), PATIENCE) {
            bail!("Postgres {pid} of an earlier run does not stop: kill it by hand");
        }
    }
    // Still known to the kernel means reused, or a zombie nobody reaps; Postgres would refuse to start because of either.
    if process::pid_exists(pid) {
        fs::remove_file(&pid_file).or_else(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(error).with_context(|| format!("removing stale {}", pid_file.display())),
        })?;
    }
    Ok(())
}

fn is_our_server(command_line: &[String], data: &Path) -> bool {
    command_line.first().is_some_and(|program| program.ends_with("postgres"))
        && command_line.iter().any(|argument| Path::new(argument) == data)
}
