//! A whole hookline in a folder of its own: servers, roles as processes, and Meta.

mod backups;
mod least;
mod places;
mod poison;
mod process;
mod roles;
mod streams;
mod verbs;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use simulator::{SimulatorConfig, SimulatorHandle};
use sqlx::PgPool;

pub use crate::binary::hookline_binary;
use crate::client::{Api, Meta};
use crate::clock::Clock;
use crate::servers::{self, Broker, Database};
use crate::shared::files;
pub use places::files_with;
pub use process::Role;
use process::{Ports, Running};
pub use roles::{is_stopped, signal};

/// The secret that signs webhooks in tests.
pub const SECRET: &str = "test-app-secret";
/// The token of the GET handshake in tests.
pub const VERIFY_TOKEN: &str = "test-verify-token";
/// A person's API token with all rights.
pub const API_TOKEN: &str = "test-api-token";
/// What labs wait for less long than hookline does.
pub const WAITS: &str = "lease=3s;reads_apart=2s;claim=3s;redrive_progress=3s";
const ENCRYPTION_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// How the servers of a lab are set up. Unless said otherwise it shares them with the other tests of the run, its database is migrated, the
/// broker syncs and Postgres does not.
#[derive(Clone, Copy, Debug, Default)]
pub struct LabOptions {
    /// Servers of its own, and an empty database.
    pub own: bool,
    /// Of its own servers: `true`: broker and Postgres sync before they answer. `false`: neither does. As it is, only the broker does.
    pub durable: Option<bool>,
    /// Its database has no schema yet.
    pub empty: bool,
    /// Its own Postgres counts statements (`pg_stat_statements`), where the module is installed.
    pub counted: bool,
    /// Its own Postgres runs by a clock that the test sets ([`Lab::clock_of_postgres`]), where libfaketime is installed.
    pub clock: bool,
}

impl LabOptions {
    /// Servers that nobody else uses: to be stopped, killed, frozen, filled, reconfigured, or looked at as a whole.
    pub const OWN: Self =
        Self { own: true, durable: None, empty: true, counted: false, clock: false };
    /// As before the first start of a role.
    pub const EMPTY: Self = Self { own: false, ..Self::OWN };
}

/// Everything a test needs, gone with it.
pub struct Lab {
    pub nats: Broker,
    pub postgres: Database,
    pub simulator: SimulatorHandle,
    /// Settings of every role; a test may change them before it starts one.
    pub settings: BTreeMap<String, String>,
    /// What roles are started from; a test may change it before it starts one.
    pub program: PathBuf,
    roles: BTreeMap<(Role, u32), Running>,
    together: Option<Running>,
    ports: BTreeMap<(Role, u32), Ports>,
    folder: PathBuf,
    data: PathBuf,
    pool: PgPool,
    clock: Option<Clock>,
    /// Its database had its schemas, owners and rights from the beginning.
    is_migrated: bool,
    /// A worker was started, or is about to be: it makes the streams.
    has_worker: bool,
}

/// An address nobody listens at, on loopback; not one that an outgoing connection may take while a role is down.
pub fn free_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], ::servers::ports::free().unwrap()))
}

impl Lab {
    /// Servers and Meta, no role yet.
    pub async fn start() -> Self {
        Self::start_with(LabOptions::default()).await
    }

    /// The same with servers as wished.
    pub async fn start_with(options: LabOptions) -> Self {
        Self::try_start_with(options).await.unwrap()
    }

    /// The same.
    ///
    /// # Errors
    /// Servers of its own did not come up, such as a Postgres that is to count and cannot.
    pub async fn try_start_with(options: LabOptions) -> anyhow::Result<Self> {
        let name =
            format!("{}{}-{:08x}", files::LAB_PREFIX, std::process::id(), rand::random::<u32>());
        let folder = std::env::temp_dir().join(&name);
        std::fs::create_dir_all(&folder).unwrap();
        // What has to be durable is on a disk.
        let memory = match options.durable {
            Some(true) => None,
            _ => files::memory(name.as_ref()),
        };
        let data = memory.unwrap_or_else(|| folder.clone());
        let config = SimulatorConfig {
            secrets: simulator::AppSecrets::same(SECRET),
            policy: simulator::Policy::for_tests(),
            ..SimulatorConfig::default()
        };
        let clock = if options.clock { Clock::new(&data, "clock-of-postgres") } else { None };
        let servers = async {
            match options.own {
                true => servers::own(&data, options.durable, options.counted, clock.as_ref()).await,
                false => Ok(servers::shared(options.empty).await),
            }
        };
        let (servers, simulator) = tokio::join!(servers, simulator::Simulator::start(config));
        let (nats, postgres) = servers?;
        let simulator = simulator.unwrap();
        let url = postgres.url("hookline");
        let pool =
            sqlx::postgres::PgPoolOptions::new().max_connections(4).connect_lazy(&url).unwrap();
        let settings = settings(&nats, url, &simulator);
        Ok(Self {
            nats,
            postgres,
            simulator,
            settings,
            program: hookline_binary(),
            roles: BTreeMap::new(),
            together: None,
            ports: BTreeMap::new(),
            folder,
            data,
            pool,
            clock,
            is_migrated: !options.own && !options.empty,
            has_worker: false,
        })
    }

    /// Servers, Meta and all four roles in one process, ready.
    pub async fn with_all_roles() -> Self {
        let mut lab = Self::start().await;
        lab.run_all().await;
        lab
    }

    /// Servers, Meta and all four roles in a process each, ready: for tests that kill, freeze or look at one.
    pub async fn with_roles_apart() -> Self {
        let mut lab = Self::start().await;
        lab.run_apart().await;
        lab
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.insert(name.to_owned(), value.to_owned());
    }

    /// From now on processes wait as long as users' do, where no contract says how long (`runtime::waits`).
    pub fn wait_really(&mut self) {
        self.settings.remove(runtime::waits::ENV);
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// For the data of servers: in memory where there is room, unless the lab is durable.
    pub fn data_folder(&self) -> &Path {
        &self.data
    }

    /// The webhook door.
    pub fn meta(&self) -> Meta {
        let url = self
            .ports
            .get(&(Role::Ingest, 0))
            .map_or_else(String::new, |ports| format!("http://{}", ports.door));
        Meta::new(url, SECRET)
    }

    pub fn api(&self) -> Api {
        Api::new(self.url(Role::Api), API_TOKEN)
    }

    pub fn vouch(&self) -> runtime::vouch::Vouch {
        runtime::vouch::Vouch::from_hex(ENCRYPTION_KEY).unwrap()
    }

    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The clock of its own Postgres. `None`: it was not asked for, or libfaketime is not installed.
    pub fn clock_of_postgres(&self) -> Option<&Clock> {
        self.clock.as_ref()
    }
}

/// The settings of every role, with short waits.
fn settings(nats: &Broker, url: String, simulator: &SimulatorHandle) -> BTreeMap<String, String> {
    let settings = [
        ("NATS_URL", nats.url()),
        ("NATS_MONITOR_URL", nats.monitor_url()),
        ("DATABASE_URL", url),
        ("META_APP_SECRETS", format!("main={SECRET}")),
        ("META_VERIFY_TOKENS", VERIFY_TOKEN.to_owned()),
        ("GRAPH_FACEBOOK_URL", simulator.facebook_url().to_string()),
        ("GRAPH_INSTAGRAM_URL", simulator.instagram_url().to_string()),
        ("GRAPH_TIMEOUT", "2s".to_owned()),
        ("API_TOKENS", format!("tester={API_TOKEN}:admin:person")),
        ("ENCRYPTION_KEY", ENCRYPTION_KEY.to_owned()),
        ("TWIN_GRACE", "300ms".to_owned()),
        ("SEND_LEASE", "4s".to_owned()),
        ("RECONCILE_AFTER", "1s".to_owned()),
        ("RETRY_MIN", "100ms".to_owned()),
        ("RETRY_MAX", "1s".to_owned()),
        // Comparing with Graph is calls, too: only where it is tested.
        ("COMPLETENESS_EVERY", "30d".to_owned()),
        // Upkeep asks Meta by itself: only where it is tested.
        (runtime::waits::ENV, format!("{WAITS};upkeep=1h")),
        ("RUST_LOG", std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned())),
    ];
    settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("logs are kept in {}", self.folder.display());
            keep_logs(&self.data, &self.folder);
        } else {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
        if self.data != self.folder {
            let _ = std::fs::remove_dir_all(&self.data);
        }
    }
}

/// What servers in memory logged is kept with the rest.
fn keep_logs(data: &Path, folder: &Path) {
    for server in std::fs::read_dir(data).into_iter().flatten().flatten() {
        let to = folder.join(server.file_name());
        for file in std::fs::read_dir(server.path()).into_iter().flatten().flatten() {
            if file.path().extension().is_some_and(|end| end == "log") {
                let _ = std::fs::create_dir_all(&to);
                let _ = std::fs::copy(file.path(), to.join(file.file_name()));
            }
        }
    }
}
