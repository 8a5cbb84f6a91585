//! A whole hookline in a folder of its own: servers, roles as separate processes, and Meta.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use servers::{NatsOptions, NatsServer, PgOptions, Postgres};
use simulator::{SimulatorConfig, SimulatorHandle};
use sqlx::PgPool;
use tokio::process::{Child, Command};

use crate::client::{Api, Meta, eventually};

/// The secret that signs webhooks in tests.
pub const SECRET: &str = "test-app-secret";
/// The token of the GET handshake in tests.
pub const VERIFY_TOKEN: &str = "test-verify-token";
/// A person's API token with all rights.
pub const API_TOKEN: &str = "test-api-token";
const ENCRYPTION_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// Without progress for so long, what is in the streams hangs.
const SETTLES_WITHIN: Duration = Duration::from_secs(60);

/// A role, run as its own process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Ingest,
    Worker,
    Projector,
    Api,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Ingest, Self::Worker, Self::Projector, Self::Api];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Worker => "worker",
            Self::Projector => "projector",
            Self::Api => "api",
        }
    }

    const fn listens_at(self) -> &'static str {
        match self {
            Self::Ingest => "INGEST_LISTEN",
            Self::Worker | Self::Projector => "ADMIN_LISTEN",
            Self::Api => "API_LISTEN",
        }
    }
}

struct Running {
    child: Child,
    address: SocketAddr,
}

/// How the servers of a lab are set up.
#[derive(Clone, Copy, Debug, Default)]
pub struct LabOptions {
    /// `true`: broker and Postgres sync before they answer. `false`: neither does. As it is, only the broker does.
    pub durable: Option<bool>,
}

/// Everything a test needs, gone with it.
pub struct Lab {
    pub nats: NatsServer,
    pub postgres: Postgres,
    pub simulator: SimulatorHandle,
    /// Settings of every role; a test may change them before it starts one.
    pub settings: BTreeMap<String, String>,
    roles: BTreeMap<(Role, u32), Running>,
    ports: BTreeMap<(Role, u32), SocketAddr>,
    folder: PathBuf,
    pool: PgPool,
}

/// The binary under test: beside the test's own program.
pub fn hookline_binary() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(find_binary).clone()
}

fn find_binary() -> PathBuf {
    let mut folder = std::env::current_exe().unwrap();
    folder.pop();
    if folder.ends_with("deps") {
        folder.pop();
    }
    let release = if folder.ends_with("release") { " --release" } else { "" };
    let build = format!("cargo build --workspace --bin hookline{release}");
    let binary = folder.join("hookline");
    assert!(
        binary.exists(),
        "{} is missing: these tests start the real program, which cargo does not build for them; run `make test`, or `{build}` before",
        binary.display()
    );
    if let Some(source) = newer_source(&binary) {
        eprintln!(
            "{} is newer than {}: run `{build}`, or this tests the program as it was",
            source.display(),
            binary.display()
        );
    }
    binary
}

/// A file that the binary is made of and that was written after it, as cargo's own list beside the binary has them.
fn newer_source(binary: &Path) -> Option<PathBuf> {
    let written = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified()).ok();
    let built = written(binary)?;
    let list = std::fs::read_to_string(binary.with_extension("d")).ok()?;
    let (_, sources) = list.split_once(": ")?;
    // A space within a name is written with a backslash before it.
    let sources = sources.replace("\\ ", "\0");
    let mut sources =
        sources.split_whitespace().map(|source| PathBuf::from(source.replace('\0', " ")));
    sources.find(|source| written(source).is_some_and(|written| written > built))
}

/// An address nobody listens at, on loopback; not one that an outgoing connection may take while a role is down.
pub fn free_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], servers::ports::free().unwrap()))
}

impl Lab {
    /// Servers and Meta, no role yet.
    pub async fn start() -> Self {
        Self::start_with(LabOptions::default()).await
    }

    /// The same with servers as wished.
    pub async fn start_with(options: LabOptions) -> Self {
        let name = format!("hookline-lab-{}-{:08x}", std::process::id(), rand::random::<u32>());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let mut pg = PgOptions::new(folder.join("postgres"));
        pg.fsync = options.durable == Some(true);
        pg.template_dir = Some(hookline_binary().parent().unwrap().join("postgres-template"));
        let mut nats = NatsOptions::new(folder.join("nats"));
        nats.sync_always = options.durable != Some(false);
        let config = SimulatorConfig {
            secrets: simulator::AppSecrets::same(SECRET),
            policy: simulator::Policy::for_tests(),
            ..SimulatorConfig::default()
        };
        let (nats, postgres, simulator) = tokio::join!(
            NatsServer::start(nats),
            Postgres::start(pg),
            simulator::Simulator::start(config)
        );
        let (nats, postgres, simulator) = (nats.unwrap(), postgres.unwrap(), simulator.unwrap());
        postgres.create_database("hookline").await.unwrap();
        let url = postgres.url("hookline");
        let pool =
            sqlx::postgres::PgPoolOptions::new().max_connections(4).connect_lazy(&url).unwrap();
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
            ("RUST_LOG", std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned())),
        ];
        let settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self {
            nats,
            postgres,
            simulator,
            settings,
            roles: BTreeMap::new(),
            ports: BTreeMap::new(),
            folder,
            pool,
        }
    }

    /// Servers, Meta and all four roles, ready.
    pub async fn with_all_roles() -> Self {
        let mut lab = Self::start().await;
        lab.run_all().await;
        lab
    }

    /// Starts all four roles, waits until they are ready, and tells Meta where ingest is.
    pub async fn run_all(&mut self) {
        for role in Role::ALL {
            self.run(role).await;
        }
        self.all_ready().await;
        let door = url::Url::parse(&self.url(Role::Ingest)).unwrap();
        self.simulator.set_webhook_url(door);
    }

    /// Waits until `/readyz` of every role says 200.
    pub async fn all_ready(&self) {
        for role in Role::ALL {
            self.ready(role).await;
        }
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.insert(name.to_owned(), value.to_owned());
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts the first process of a role.
    pub async fn run(&mut self, role: Role) {
        self.run_nth(role, 0).await;
    }

    /// Starts process number `n` of a role; after a kill on the same port as before.
    pub async fn run_nth(&mut self, role: Role, n: u32) {
        let address = *self.ports.entry((role, n)).or_insert_with(free_address);
        let log = self.folder.join(format!("{}-{n}.log", role.name()));
        let log = std::fs::File::options().create(true).append(true).open(log).unwrap();
        let child = Command::new(hookline_binary())
            .arg(role.name())
            .current_dir(&self.folder)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(&self.settings)
            .env(role.listens_at(), address.to_string())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        self.roles.insert((role, n), Running { child, address });
    }

    /// Waits until `/readyz` of a role says 200.
    pub async fn ready(&self, role: Role) {
        self.ready_nth(role, 0).await;
    }

    pub async fn ready_nth(&self, role: Role, n: u32) {
        let url = format!("{}/readyz", self.url_nth(role, n));
        let meta = self.meta();
        eventually(
            &format!("{} is ready (log in {})", role.name(), self.folder.display()),
            Duration::from_secs(30),
            async || match meta.http.get(&url).send().await {
                Ok(answer) if answer.status() == 200 => Ok(()),
                Ok(answer) => Err(answer.text().await.unwrap_or_default()),
                Err(error) => Err(error.to_string()),
            },
        )
        .await;
    }

    pub fn url(&self, role: Role) -> String {
        self.url_nth(role, 0)
    }

    pub fn url_nth(&self, role: Role, n: u32) -> String {
        format!(
            "http://{}",
            self.roles
                .get(&(role, n))
                .map_or_else(|| self.ports[&(role, n)], |running| running.address)
        )
    }

    /// `kill -9`, and waits for the process to be gone.
    pub async fn kill9(&mut self, role: Role) {
        self.kill9_nth(role, 0).await;
    }

    pub async fn kill9_nth(&mut self, role: Role, n: u32) {
        let mut running = self.roles.remove(&(role, n)).expect("the role runs");
        running.child.kill().await.unwrap();
    }

    /// Postgres asks for no password from now on. In a debug build the handshake costs a tenth of a second of CPU, which matters where
    /// processes start again and again.
    pub async fn trust(&self) {
        let file: String = sqlx::query_scalar("show hba_file").fetch_one(&self.pool).await.unwrap();
        std::fs::write(file, "host all all 127.0.0.1/32 trust\n").unwrap();
        sqlx::query("select pg_reload_conf()").execute(&self.pool).await.unwrap();
    }

    /// Starts a process that will die at these failpoints (`runtime::failpoint`).
    pub async fn run_to_die(&mut self, role: Role, failpoints: &str) {
        self.set(runtime::failpoint::ENV, failpoints);
        self.run(role).await;
        self.settings.remove(runtime::failpoint::ENV);
    }

    /// Waits for a process to kill itself; `false`: it still runs. A process that ended in any other way is a failure.
    pub async fn died(&mut self, role: Role, within: Duration) -> bool {
        use std::os::unix::process::ExitStatusExt;
        let running = self.roles.get_mut(&(role, 0)).expect("the role runs");
        let Ok(status) = tokio::time::timeout(within, running.child.wait()).await else {
            return false;
        };
        let status = status.unwrap();
        assert_eq!(status.signal(), Some(9), "{} ended: {status}", role.name());
        self.roles.remove(&(role, 0));
        true
    }

    /// The leases of a role that is dead lapse now: a test need not wait for what only the clock would do.
    pub async fn lapse(&self, role: Role) {
        let sql = match role {
            Role::Worker => {
                "update worker.leases set expires_at = clock_timestamp() - interval '1 second'"
            }
            Role::Projector => {
                "update inbox_v1.leases set expires_at = clock_timestamp() - interval '1 second'"
            }
            Role::Ingest | Role::Api => return,
        };
        sqlx::query(sql).execute(&self.pool).await.unwrap();
    }

    /// SIGTERM; the exit code, or `None` where it did not end within 12 s.
    pub async fn stop(&mut self, role: Role) -> Option<i32> {
        let mut running = self.roles.remove(&(role, 0)).expect("the role runs");
        let pid = running.child.id().expect("it runs");
        signal(pid, rustix::process::Signal::TERM);
        let ended = tokio::time::timeout(Duration::from_secs(12), running.child.wait()).await;
        ended.ok().and_then(|status| status.unwrap().code())
    }

    /// The process id of a role.
    pub fn pid(&self, role: Role, n: u32) -> u32 {
        self.roles[&(role, n)].child.id().expect("it runs")
    }

    /// What a role logged.
    pub fn log(&self, role: Role) -> String {
        std::fs::read_to_string(self.folder.join(format!("{}-0.log", role.name())))
            .unwrap_or_default()
    }

    /// Runs a verb of the binary; exit code, standard output, standard error.
    pub async fn hookline(&self, arguments: &[&str]) -> (i32, String, String) {
        self.hookline_with(arguments, &[]).await
    }

    pub async fn hookline_with(
        &self,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> (i32, String, String) {
        let output = Command::new(hookline_binary())
            .args(arguments)
            .current_dir(&self.folder)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(&self.settings)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
    }

    /// `hookline accounts add`, which must succeed.
    pub async fn add_account(
        &self,
        channel: &str,
        login: &str,
        id: &str,
        token: &str,
        more: &[&str],
    ) {
        let mut arguments = vec![
            "accounts",
            "add",
            "--channel",
            channel,
            "--login",
            login,
            "--id",
            id,
            "--token-env",
            "TOKEN_OF_TEST",
        ];
        arguments.extend_from_slice(more);
        let (code, out, err) = self.hookline_with(&arguments, &[("TOKEN_OF_TEST", token)]).await;
        assert_eq!(code, 0, "{out}{err}");
    }

    /// From now on the database refuses facts for which `when` holds of `new`: it stands for any bug that data can trigger.
    pub async fn poison(&self, when: &str) {
        self.poison_in("worker.facts", when).await;
    }

    /// The same of another table.
    pub async fn poison_in(&self, table: &str, when: &str) {
        let rule = format!(
            "create or replace function public.poison() returns trigger language plpgsql as $$
                 begin raise exception 'poison' using errcode = '23514'; end $$;
             create trigger poison before insert on {table} for each row when ({when}) execute function public.poison();"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(rule)).execute(&self.pool).await.unwrap();
    }

    /// The bug is mended.
    pub async fn mend(&self) {
        self.mend_in("worker.facts").await;
    }

    /// The same of another table.
    pub async fn mend_in(&self, table: &str) {
        let mended = format!("drop trigger poison on {table}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(mended)).execute(&self.pool).await.unwrap();
    }

    /// The webhook door.
    pub fn meta(&self) -> Meta {
        let url = self
            .ports
            .get(&(Role::Ingest, 0))
            .map_or_else(String::new, |address| format!("http://{address}"));
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

    /// The log's head: how many messages a stream has ever taken.
    pub async fn last_sequence(&self, stream: &str) -> u64 {
        let js = self.jetstream().await;
        match js.get_stream(stream).await {
            Ok(stream) => stream.cached_info().state.last_sequence,
            Err(_) => 0,
        }
    }

    pub async fn jetstream(&self) -> async_nats::jetstream::Context {
        async_nats::jetstream::new(self.nats_client().await)
    }

    /// A client of the broker.
    pub async fn nats_client(&self) -> async_nats::Client {
        let settings = runtime::config::Settings::from_pairs(self.settings.clone());
        let config = runtime::config::NatsConfig::from_settings(&settings).unwrap();
        let (options, servers) =
            runtime::broker::identify(async_nats::ConnectOptions::new(), &config).await.unwrap();
        options.connect(servers).await.unwrap()
    }

    /// Every message of a stream, in order: subject, headers, body.
    pub async fn messages(&self, stream: &str) -> Vec<async_nats::jetstream::Message> {
        use futures::StreamExt;
        let js = self.jetstream().await;
        let Ok(stream) = js.get_stream(stream).await else { return Vec::new() };
        let count = usize::try_from(stream.cached_info().state.messages).unwrap();
        let config = async_nats::jetstream::consumer::pull::OrderedConfig::default();
        let consumer = stream.create_consumer(config).await.unwrap();
        let messages = consumer.messages().await.unwrap();
        messages.take(count).map(|message| message.unwrap()).collect().await
    }

    /// Every event, in order.
    pub async fn events(&self) -> Vec<Value> {
        let messages = self.messages("INBOX_EVENTS").await;
        messages.iter().map(|message| serde_json::from_slice(&message.payload).unwrap()).collect()
    }

    /// Waits until the projector has folded everything that is in the stream now and nothing new has come for a while. It may take long
    /// where much is in the streams, as long as it gets less.
    pub async fn settled(&self) {
        let mut before = (0, 0);
        let mut same_for = 0;
        let (mut least, mut since) = (u64::MAX, Instant::now());
        eventually("everything is projected", Duration::from_secs(3600), async || {
            let head =
                (self.last_sequence("META_RAW").await, self.last_sequence("INBOX_EVENTS").await);
            let lag = self.lag().await?;
            if lag < least {
                (least, since) = (lag, Instant::now());
            }
            same_for = if head == before && lag == 0 { same_for + 1 } else { 0 };
            before = head;
            assert!(
                since.elapsed() < SETTLES_WITHIN,
                "no progress for {SETTLES_WITHIN:?}: head {head:?}, lag {lag}"
            );
            if same_for >= 4 { Ok(()) } else { Err(format!("head {head:?}, lag {lag}")) }
        })
        .await;
    }

    /// Raw webhooks not yet normalised plus events not yet projected, by the positions in Postgres.
    async fn lag(&self) -> Result<u64, String> {
        let projected: Option<i64> = sqlx::query_scalar("select max(seq) from inbox.position")
            .fetch_one(&self.pool)
            .await
            .map_err(|error| error.to_string())?;
        let head = self.last_sequence("INBOX_EVENTS").await;
        let normalised: Vec<(String, i64)> =
            sqlx::query_as("select name, seq from worker.positions where name like 'raw-%'")
                .fetch_all(&self.pool)
                .await
                .map_err(|error| error.to_string())?;
        let behind = |head: u64, at: i64| head.saturating_sub(u64::try_from(at).unwrap_or(0));
        let mut lag = behind(head, projected.unwrap_or(0));
        let Ok(raw) = self.jetstream().await.get_stream("META_RAW").await else { return Ok(lag) };
        // Each shard has a head of its own.
        for shard in 0..schemas::subjects::SHARDS {
            let filter = schemas::subjects::raw_shard_filter(shard);
            let Ok(last) = raw.get_last_raw_message_by_subject(&filter).await else { continue };
            let name = format!("raw-{shard:02}");
            let at = normalised.iter().find(|(other, _)| *other == name).map_or(0, |(_, at)| *at);
            lag += behind(last.sequence, at);
        }
        Ok(lag)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("logs are kept in {}", self.folder.display());
            return;
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Sends a signal to a process that may be gone already.
pub fn signal(pid: u32, signal: rustix::process::Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}
