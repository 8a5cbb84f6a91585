//! The nats-server and the Postgres that the tests of one run share. The first test that needs them starts their keeper (`keeper/main.rs`),
//! which stops them with the run.
//!
//! A run is what one `cargo nextest run` or `cargo test` starts, or a single test program started by hand. Each lab has an account of the
//! nats-server and a database of its own and sees nothing of the others. Tests that kill, freeze, fill or reconfigure a server, or that
//! count what a whole server holds, start their own instead (`LabOptions::own`).

pub mod files;
pub mod users;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::binary::hookline_command;
pub use files::Servers;
use files::{Place, lock_file};

/// How long the servers may take to start on a busy machine.
const STARTS_WITHIN: Duration = Duration::from_secs(120);
const TEMPLATE: &str = "hookline_template";

/// One lab's part of the shared servers; given back when dropped.
#[derive(Debug)]
pub struct Share {
    place: Place,
    servers: Servers,
}

impl Share {
    /// Takes a part, after starting the servers if this is the first one.
    pub async fn take() -> Self {
        let folder = run_folder();
        let servers = match running(folder) {
            Some(servers) => servers,
            None => start(folder).await,
        };
        let deadline = Instant::now() + STARTS_WITHIN;
        loop {
            let wanted = tokio::task::spawn_blocking(|| Place::take(run_folder()));
            if let Some(place) = wanted.await.unwrap().unwrap() {
                return Self { place, servers };
            }
            assert!(Instant::now() < deadline, "all places are taken: {}", keeper_says(folder));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// `nats://user:password@127.0.0.1:port` of this lab's account.
    pub fn nats_url(&self) -> String {
        let (user, password) = self.nats_credentials();
        format!("nats://{user}:{password}@127.0.0.1:{}", self.servers.nats_port)
    }

    /// User and password of this lab's account.
    pub fn nats_credentials(&self) -> (String, String) {
        (files::account(self.place.place), self.servers.nats_password.clone())
    }

    /// The user of a service in this lab's account, with what `deploy/nats-users.conf` gives it. It has the password of the account's own.
    pub(crate) fn nats_user(&self, service: &str) -> String {
        users::in_place(service, self.place.place)
    }

    pub fn servers(&self) -> &Servers {
        &self.servers
    }

    /// The URL of a database by its whole name.
    fn url(&self, database: &str) -> String {
        let Servers { postgres_user, postgres_port, .. } = &self.servers;
        format!("postgres://{postgres_user}@127.0.0.1:{postgres_port}/{database}")
    }

    /// The URL of one of this lab's databases.
    pub fn database_url(&self, name: &str) -> String {
        self.url(&format!("{}_{name}", self.place.database()))
    }

    /// Makes a database of this lab: empty, or with everything migrated.
    pub async fn create_database(&self, name: &str, migrated: bool) {
        if migrated {
            self.template().await;
        }
        let name = format!("{}_{name}", self.place.database());
        let template = if migrated { TEMPLATE } else { "template0" };
        let mut connection = PgConnection::connect(&self.url("postgres")).await.unwrap();
        let create = format!("create database \"{name}\" template {template} strategy file_copy");
        sqlx::query(AssertSqlSafe(create)).execute(&mut connection).await.unwrap();
        if migrated {
            // Rights on a database are not copied with it.
            let grant = format!("grant create on database \"{name}\" to hookline_projector");
            sqlx::query(AssertSqlSafe(grant)).execute(&mut connection).await.unwrap();
        }
        connection.close().await.unwrap();
    }

    /// Makes the database that migrated ones are copied from, unless it is there. Nobody may be connected to it afterwards.
    async fn template(&self) {
        let done = run_folder().join("template-is-made");
        if done.exists() {
            return;
        }
        let _lock = lock(&run_folder().join("template.lock")).await;
        if done.exists() {
            return;
        }
        let mut connection = PgConnection::connect(&self.url("postgres")).await.unwrap();
        let drop = AssertSqlSafe(format!("drop database if exists {TEMPLATE} with (force)"));
        sqlx::query(drop).execute(&mut connection).await.unwrap();
        let create = AssertSqlSafe(format!("create database {TEMPLATE}"));
        sqlx::query(create).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        // Everything migrated, with the role of each service.
        let mut apply = hookline_command();
        apply.args(["db", "apply"]).env("DATABASE_URL", self.url(TEMPLATE));
        let applied = apply.current_dir(run_folder()).output().await.unwrap();
        assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
        let mut connection = PgConnection::connect(&self.url(TEMPLATE)).await.unwrap();
        sqlx::query("truncate ops.audit").execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        std::fs::write(done, "").unwrap();
    }
}

/// The folder of this run.
fn run_folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let pid = run_pid();
        let user = rustix::process::geteuid().as_raw();
        let started = files::started(pid).unwrap_or_default();
        std::env::temp_dir().join(format!("{}{user}-{pid}-{started}", files::PREFIX))
    })
}

/// The process whose life is the run: cargo or nextest, which start the test programs, else this test program itself.
fn run_pid() -> u32 {
    let parent = std::os::unix::process::parent_id();
    let by_cargo = || {
        std::fs::read_to_string(format!("/proc/{parent}/comm"))
            .is_ok_and(|name| name.trim() == "cargo")
    };
    if std::env::var_os("NEXTEST_RUN_ID").is_some() || by_cargo() {
        parent
    } else {
        std::process::id()
    }
}

/// The servers, if somebody looks after them.
fn running(folder: &Path) -> Option<Servers> {
    let keeper = lock_file(&files::keeper_lock(folder)).ok()?;
    if keeper.try_lock().is_ok() {
        return None;
    }
    files::servers(folder)
}

async fn lock(path: &Path) -> std::fs::File {
    let file = lock_file(path).unwrap();
    tokio::task::spawn_blocking(move || {
        file.lock().unwrap();
        file
    })
    .await
    .unwrap()
}

/// Starts the keeper, unless somebody else was faster, and waits until the servers are ready.
async fn start(folder: &Path) -> Servers {
    std::fs::create_dir_all(folder).unwrap();
    // Postgres may run as another user; what is secret in here is closed by itself.
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    let _lock = lock(&folder.join("start.lock")).await;
    if let Some(servers) = running(folder) {
        return servers;
    }
    let _ = std::fs::remove_file(folder.join("servers.json"));
    let binaries = crate::binary::folder();
    let keeper = binaries.join("test-servers");
    assert!(
        keeper.exists(),
        "{} is missing: `cargo build -p tests --bin test-servers`, or run `make test`",
        keeper.display()
    );
    let log = std::fs::File::create(files::keeper_log(folder)).unwrap();
    let mut command = Command::new(keeper);
    command
        .arg(folder)
        .arg(run_pid().to_string())
        .arg(binaries)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    // Ctrl-C in a terminal, and whoever kills a test with all its processes, must not reach it.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    // The keeper outlives this test: whoever started it does not wait for it.
    #[allow(clippy::zombie_processes)]
    let mut child = command.spawn().unwrap();
    let deadline = Instant::now() + STARTS_WITHIN;
    loop {
        if let Some(servers) = running(folder) {
            return servers;
        }
        let ended = child.try_wait().unwrap();
        assert!(
            ended.is_none() && Instant::now() < deadline,
            "the shared servers do not start ({ended:?}): {}",
            keeper_says(folder)
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn keeper_says(folder: &Path) -> String {
    std::fs::read_to_string(files::keeper_log(folder)).unwrap_or_default()
}
