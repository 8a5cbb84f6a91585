//! Servers of its own, streams and databases for the rounds, and the projector as a process.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use runtime::config::{NatsConfig, Settings};
use runtime::streams::{self, StreamName};
use schemas::Event;
use servers::{NatsOptions, NatsServer, PgOptions, Postgres};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio_util::sync::CancellationToken;

/// The argument with which this program is a projector.
pub(crate) const ROLE: &str = "be-a-projector";

/// Postgres syncs before it answers; the broker does not, so that filling the stream takes no time.
pub(crate) struct Stage {
    nats: NatsServer,
    postgres: Postgres,
    folder: PathBuf,
    databases: u32,
}

/// A database with a read model in it.
pub(crate) struct Model {
    pub(crate) url: String,
    pub(crate) pool: PgPool,
}

impl Stage {
    pub(crate) async fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("hookline-bench-{}", std::process::id()));
        let mut pg = PgOptions::new(folder.join("postgres"));
        pg.settings = [("max_wal_size", "8GB"), ("shared_buffers", "512MB")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let nats = NatsOptions { sync_always: false, ..NatsOptions::new(folder.join("nats")) };
        let (nats, postgres) = tokio::join!(NatsServer::start(nats), Postgres::start(pg));
        Self { nats: nats.unwrap(), postgres: postgres.unwrap(), folder, databases: 0 }
    }

    /// Where Postgres may write files.
    pub(crate) fn files(&self) -> PathBuf {
        self.postgres.data_dir()
    }

    pub(crate) fn settings(&self, database: &str) -> Settings {
        Settings::from_pairs([
            ("NATS_URL", self.nats.url()),
            ("NATS_MONITOR_URL", self.nats.monitor_url()),
            ("NATS_REQUIRE_SYNC", "false".to_owned()),
            ("DATABASE_URL", database.to_owned()),
        ])
    }

    /// Puts events into INBOX_EVENTS, which it makes.
    pub(crate) async fn publish(&self, events: Vec<Event>) {
        let (user, password) = self.nats.credentials().unwrap();
        let options = async_nats::ConnectOptions::with_user_and_password(
            user.to_owned(),
            password.to_owned(),
        );
        let client = options.connect(format!("127.0.0.1:{}", self.nats.port())).await.unwrap();
        let js = async_nats::jetstream::new(client.clone());
        let config = NatsConfig::from_settings(&self.settings("postgres://-")).unwrap();
        streams::ensure(&js, StreamName::Events, &config).await.unwrap();
        let stream = js.get_stream(StreamName::Events.as_str()).await.unwrap();
        let target = stream.cached_info().state.last_sequence + events.len() as u64;
        for event in events {
            let body = serde_json::to_vec(&event).unwrap();
            client.publish(event.nats_subject(), body.into()).await.unwrap();
        }
        client.flush().await.unwrap();
        while stream.get_info().await.unwrap().state.last_sequence < target {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A database with an empty read model.
    pub(crate) async fn model(&mut self) -> Model {
        self.databases += 1;
        let name = format!("round_{}", self.databases);
        self.postgres.create_database(&name).await.unwrap();
        let url = self.postgres.url(&name);
        let pool = PgPoolOptions::new().max_connections(4).connect(&url).await.unwrap();
        projector::migrate(&pool, &CancellationToken::new()).await.unwrap();
        Model { url, pool }
    }

    /// Ends a database; large ones would fill the disk.
    pub(crate) async fn gone(&self, model: Model) {
        model.pool.close().await;
        let name = model.url.rsplit('/').next().unwrap().to_owned();
        let pool = PgPool::connect(&self.postgres.url("postgres")).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("drop database {name} with (force)")))
            .execute(&pool)
            .await
            .unwrap();
    }

    /// Starts a projector.
    pub(crate) fn projector(&self, model: &Model) -> Role {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(ROLE).env_clear().stdout(Stdio::null());
        for (name, value) in [
            ("NATS_URL", self.nats.url()),
            ("NATS_MONITOR_URL", self.nats.monitor_url()),
            ("NATS_REQUIRE_SYNC", "false".to_owned()),
            ("DATABASE_URL", model.url.clone()),
            ("ADMIN_LISTEN", format!("127.0.0.1:{}", servers::ports::free().unwrap())),
            ("RUST_LOG", "info".to_owned()),
            ("PATH", std::env::var("PATH").unwrap_or_default()),
        ] {
            command.env(name, value);
        }
        let log = std::fs::File::create(self.folder.join("projector.log")).unwrap();
        Role(command.stderr(log).spawn().unwrap())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(Path::new(&self.folder));
    }
}

/// A projector that runs.
pub(crate) struct Role(Child);

impl Role {
    /// CPU seconds of the process so far.
    pub(crate) fn cpu(&self) -> f64 {
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
        let ticks =
            |n: usize| fields.get(n).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
        (ticks(11) + ticks(12)) / 100.0
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Model {
    /// How far the read model is.
    pub(crate) async fn position(&self) -> u64 {
        let seq: Option<i64> = sqlx::query_scalar("select seq from inbox.position")
            .fetch_optional(&self.pool)
            .await
            .unwrap();
        u64::try_from(seq.unwrap_or(0)).unwrap()
    }

    /// Waits until it has come to `target`. Returns seconds per event, from the first batch to the last: starting up does not count.
    pub(crate) async fn come_to(&self, from: u64, target: u64) -> f64 {
        let mut first: Option<(u64, Instant)> = None;
        loop {
            let position = self.position().await;
            let now = Instant::now();
            match first {
                None if position > from => first = Some((position, now)),
                Some((seen, since)) if position >= target => {
                    #[allow(clippy::cast_precision_loss)]
                    return (now - since).as_secs_f64() / (position - seen).max(1) as f64;
                }
                _ => {}
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
