//! The broker and the Postgres of a lab: a part of the shared ones, or its own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::servers::{NatsOptions, NatsServer, PgOptions, Postgres};

use crate::binary;
use crate::clock::Clock;
use crate::shared::{Share, users};

const OWN: &str = "this lab shares its servers with others: start it with `LabOptions::own`";

/// A nats-server, or an account of the shared one.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // one per test
pub enum Broker {
    Own(NatsServer),
    Shared(Arc<Share>),
}

impl Broker {
    /// `nats://user:password@127.0.0.1:port`
    pub fn url(&self) -> String {
        match self {
            Self::Own(server) => server.url(),
            Self::Shared(share) => share.nats_url(),
        }
    }

    /// Where durability is read.
    pub fn monitor_url(&self) -> String {
        match self {
            Self::Own(server) => server.monitor_url(),
            Self::Shared(share) => share.servers().nats_monitor_url.clone(),
        }
    }

    pub fn port(&self) -> u16 {
        match self {
            Self::Own(server) => server.port(),
            Self::Shared(share) => share.servers().nats_port,
        }
    }

    /// User and password.
    pub fn credentials(&self) -> (String, String) {
        match self {
            Self::Own(server) => {
                let (user, password) = server.credentials().expect("it asks for a password");
                (user.to_owned(), password.to_owned())
            }
            Self::Shared(share) => share.nats_credentials(),
        }
    }

    /// The server itself, to do with it what others would notice.
    pub fn own(&mut self) -> &mut NatsServer {
        match self {
            Self::Own(server) => server,
            Self::Shared(_) => panic!("{OWN}"),
        }
    }

    /// It dies, and is back after `away`.
    pub async fn kill_for(&mut self, away: Duration) {
        self.own().kill9().await.unwrap();
        tokio::time::sleep(away).await;
        self.own().restart().await.unwrap();
    }
}

/// A Postgres, or some databases of the shared one.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // one per test
pub enum Database {
    Own(Postgres),
    Shared(Arc<Share>),
}

impl Database {
    /// The URL of a database that was made.
    pub fn url(&self, name: &str) -> String {
        match self {
            Self::Own(server) => server.url(name),
            Self::Shared(share) => share.database_url(name),
        }
    }

    pub fn port(&self) -> u16 {
        match self {
            Self::Own(server) => server.port(),
            Self::Shared(share) => share.servers().postgres_port,
        }
    }

    /// Makes an empty database.
    pub async fn create_database(&self, name: &str) {
        match self {
            Self::Own(server) => server.create_database(name).await.unwrap(),
            Self::Shared(share) => share.create_database(name, false).await,
        }
    }

    /// The server itself, to do with it what others would notice.
    pub fn own(&mut self) -> &mut Postgres {
        match self {
            Self::Own(server) => server,
            Self::Shared(_) => panic!("{OWN}"),
        }
    }

    /// It dies, and is back after `away`.
    pub async fn kill_for(&mut self, away: Duration) {
        self.own().kill9().await.unwrap();
        tokio::time::sleep(away).await;
        self.own().restart().await.unwrap();
    }
}

impl From<NatsServer> for Broker {
    fn from(server: NatsServer) -> Self {
        Self::Own(server)
    }
}

/// A broker beside that of a lab: another account of the shared nats-server.
pub async fn another_broker() -> Broker {
    Broker::Shared(Arc::new(Share::take().await))
}

/// Starts servers for one lab alone. `durable` and `counted` as in `LabOptions`; Postgres runs by `clock`, where there is one.
///
/// # Errors
/// Postgres did not come up: it is to count, and has no module for that.
pub(crate) async fn own(
    folder: &Path,
    durable: Option<bool>,
    counted: bool,
    clock: Option<&Clock>,
) -> anyhow::Result<(Broker, Database)> {
    let mut pg = PgOptions::new(folder.join("postgres"));
    pg.settings = vec![("jit".to_owned(), "off".to_owned())];
    pg.fsync = durable == Some(true);
    if counted {
        let module = ("shared_preload_libraries".to_owned(), "pg_stat_statements".to_owned());
        pg.settings.push(module);
    }
    pg.variables = clock.map(Clock::variables).unwrap_or_default();
    pg.template_dir = Some(binary::folder().join("postgres-template"));
    let mut nats = NatsOptions::new(folder.join("nats"));
    nats.sync_always = durable != Some(false);
    let (nats, postgres) = tokio::join!(NatsServer::start(nats), Postgres::start(pg));
    let postgres = postgres?;
    postgres.create_database("hookline").await?;
    Ok((Broker::Own(nats?), Database::Own(postgres)))
}

/// A part of the shared servers, with a database that is migrated unless it is to be `empty`.
pub(crate) async fn shared(empty: bool) -> (Broker, Database) {
    let share = Arc::new(Share::take().await);
    share.create_database("hookline", !empty).await;
    (Broker::Shared(share.clone()), Database::Shared(share))
}

/// A nats-server with the users of `deploy/nats-users.conf`, each with its name as password.
pub async fn nats_with_deployed_users(dir: std::path::PathBuf) -> NatsServer {
    let options = NatsOptions {
        password: false,
        extra_config: Some(users::by_name()),
        ..NatsOptions::new(dir)
    };
    NatsServer::start(options).await.unwrap()
}
