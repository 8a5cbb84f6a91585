//! Every secret is rotated while webhooks come in: app secret, verify token, API token, encryption key, and the passwords of the Postgres roles
//! and of the NATS users. What a process reads again, it reads on SIGHUP; for the rest a second one of its role starts before it stops.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use servers::{NatsOptions, NatsServer};
use simulator::AccountSpec;
use sqlx::AssertSqlSafe;
use tests::body::{IG, instagram, now, text};
use tests::lab::{SECRET, signal};
use tests::shared::users;
use tests::traffic::soak;
use tests::{Api, Lab, LabOptions, Meta, Role, eventually};
use tokio::sync::RwLock;
use tokio_util::sync::CancellationToken;

use super::verb;

const OLD_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const NEW_KEY: &str = "abababababababababababababababababababababababababababababababab";
const WITHIN: Duration = Duration::from_secs(60);
/// Webhooks a second.
const RATE: f64 = 50.0;
/// Requests at a time.
const LANES: u64 = 5;

/// Where Meta delivers, and what it signs with. Whoever changes it waits for the requests that are under way.
type Door = Arc<RwLock<Meta>>;

/// Delivers until `stop`; what was refused.
async fn deliver(door: Door, rate: f64, sent: Arc<AtomicU64>, stop: CancellationToken) -> Vec<u16> {
    let lanes = (0..LANES).map(|_| {
        let (door, sent, stop) = (door.clone(), sent.clone(), stop.clone());
        tokio::spawn(async move {
            let mut refused = Vec::new();
            #[allow(clippy::cast_precision_loss)] // a handful
            let mut ticks = tokio::time::interval(Duration::from_secs_f64(LANES as f64 / rate));
            while stop.run_until_cancelled(ticks.tick()).await.is_some() {
                let n = sent.fetch_add(1, Ordering::Relaxed);
                let body =
                    instagram(text(IG, "5200000000000011", &format!("mid.{n}"), now(), "hi"));
                let status = door.read().await.post("/webhook", &body).await;
                refused.extend((status != 200).then_some(status));
            }
            refused
        })
    });
    let all = futures::future::join_all(lanes.collect::<Vec<_>>()).await;
    all.into_iter().flat_map(Result::unwrap).collect()
}

/// What processes are started with.
struct Secrets {
    key: String,
    /// Number and password of the NATS users.
    nats: (u32, &'static str),
    postgres: &'static str,
}

struct Rotation {
    lab: Lab,
    nats: NatsServer,
    superuser: String,
    door: Door,
    /// The process of each role.
    running: BTreeMap<Role, u32>,
    secrets: Secrets,
}

fn authorization(of: &[(u32, &str)]) -> String {
    let users: String = of.iter().map(|(n, password)| users::of_place(*n, password)).collect();
    format!("authorization {{\n timeout: 5\n users: [\n{users}] }}\n")
}

impl Rotation {
    async fn begin() -> Self {
        let mut lab = Lab::start_with(LabOptions::OWN).await;
        let dir = lab.data_folder().join("nats-with-users");
        let options = NatsOptions {
            password: false,
            extra_config: Some(authorization(&[(1, "old")])),
            ..NatsOptions::new(dir)
        };
        let nats = NatsServer::start(options).await.unwrap();
        lab.set("NATS_MONITOR_URL", &nats.monitor_url());
        lab.hookline_ok(&["db", "apply"]).await;
        let files = [
            ("META_APP_SECRETS", "main=first"),
            ("META_VERIFY_TOKENS", "first"),
            ("API_TOKENS", "tester=first:admin:person"),
        ];
        for (name, value) in files {
            std::fs::write(file(&lab, name), value).unwrap();
            lab.settings.remove(name);
            let path = file(&lab, name);
            lab.set(&format!("{name}_FILE"), path.to_str().unwrap());
        }
        let superuser = lab.settings["DATABASE_URL"].clone();
        let secrets = Secrets { key: OLD_KEY.to_owned(), nats: (1, "old"), postgres: "old" };
        let door = Arc::new(RwLock::new(Meta::new(String::new(), "first")));
        let mut rotation = Self { lab, nats, superuser, door, running: BTreeMap::new(), secrets };
        rotation.set_passwords("old").await;
        for role in [Role::Worker, Role::Projector, Role::Api, Role::Ingest] {
            rotation.roll(role).await;
        }
        rotation
    }

    async fn set_passwords(&self, password: &str) {
        for role in ["worker", "projector", "api"] {
            let sql = format!("alter role hookline_{role} password '{password}'");
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(self.lab.pool()).await.unwrap();
        }
    }

    /// Starts a process with the secrets of now, and stops the one before it.
    async fn roll(&mut self, role: Role) {
        let Secrets { key, nats: (number, password), postgres } = &self.secrets;
        let user = users::in_place(role.name(), *number);
        let nats = format!("nats://{user}:{password}@127.0.0.1:{}", self.nats.port());
        let mut database = url::Url::parse(&self.superuser).unwrap();
        database.set_username(&format!("hookline_{}", role.name())).unwrap();
        database.set_password(Some(postgres)).unwrap();
        self.lab.set("NATS_URL", &nats);
        self.lab.set("DATABASE_URL", database.as_str());
        self.lab.set("ENCRYPTION_KEY", key);
        let n = self.running.get(&role).map_or(0, |n| n + 1);
        self.lab.run_nth(role, n).await;
        self.lab.ready_nth(role, n).await;
        self.lab.set("DATABASE_URL", &self.superuser.clone());
        if role == Role::Ingest {
            self.door.write().await.url = self.lab.url_nth(role, n);
        }
        if let Some(before) = self.running.insert(role, n) {
            self.lab.stop_nth(role, before).await;
        }
    }

    /// Writes the file of a variable, and has a role read it again.
    fn reread(&self, name: &str, value: &str, roles: &[Role]) {
        std::fs::write(file(&self.lab, name), value).unwrap();
        for role in roles {
            signal(self.lab.pid(*role, self.running[role]), rustix::process::Signal::HUP);
        }
    }

    fn url(&self, role: Role) -> String {
        self.lab.url_nth(role, self.running[&role])
    }

    fn api(&self, token: &str) -> Api {
        Api::new(self.url(Role::Api), token)
    }

    async fn app_secret(&self) {
        let both = [Role::Ingest, Role::Worker];
        let url = self.url(Role::Ingest);
        let posts =
            async |secret: &str| Meta::new(url.clone(), secret).post("/webhook", b"{}").await;
        self.reread("META_APP_SECRETS", &format!("main={SECRET},main=first"), &both);
        is_so("the new app secret is good", async || posts(SECRET).await == 200).await;
        self.door.write().await.secret = SECRET.to_owned();
        self.reread("META_APP_SECRETS", &format!("main={SECRET}"), &both);
        is_so("the old app secret is over", async || posts("first").await == 401).await;
    }

    async fn verify_token(&self) {
        let url = self.url(Role::Ingest);
        let http = self.lab.meta().http;
        let shakes = async |token: &str| {
            let query = format!("hub.mode=subscribe&hub.challenge=7&hub.verify_token={token}");
            let answer = http.get(format!("{url}/webhook?{query}")).send().await.unwrap();
            answer.status().is_success()
        };
        self.reread("META_VERIFY_TOKENS", "second,first", &[Role::Ingest]);
        is_so("the new verify token is good", async || shakes("second").await).await;
        assert!(shakes("first").await);
        self.reread("META_VERIFY_TOKENS", "second", &[Role::Ingest]);
        is_so("the old verify token is over", async || !shakes("first").await).await;
    }

    async fn api_token(&self) {
        let asks = async |token: &str| self.api(token).get("/v1/accounts").await.0;
        let new = "tester=second:admin:person";
        self.reread("API_TOKENS", &format!("{new},old=first:admin:person"), &[Role::Api]);
        is_so("the new API token is good", async || asks("second").await == 200).await;
        assert_eq!(asks("first").await, 200);
        self.reread("API_TOKENS", new, &[Role::Api]);
        is_so("the old API token is over", async || asks("first").await == 401).await;
    }

    /// Every process opens with both keys before one seals with the new one.
    async fn encryption_key(&mut self) {
        for key in [format!("old:{OLD_KEY},new:{NEW_KEY}"), format!("new:{NEW_KEY},old:{OLD_KEY}")]
        {
            self.secrets.key = key;
            self.roll(Role::Worker).await;
            self.roll(Role::Api).await;
        }
        let (code, moved) = verb(&self.lab, &["accounts", "rekey"]).await;
        assert_eq!((code, &moved["tokens"]["moved"]), (0, &json!(1)), "{moved}");
        self.secrets.key = NEW_KEY.to_owned();
    }

    fn nats_reads_again(&self, of: &[(u32, &str)]) {
        let config: PathBuf = self.lab.data_folder().join("nats-with-users/nats.conf");
        let text = std::fs::read_to_string(&config).unwrap();
        let (before, _) = text.split_once("authorization {").unwrap();
        std::fs::write(&config, format!("{before}{}", authorization(of))).unwrap();
        signal(self.nats.pid().unwrap(), rustix::process::Signal::HUP);
    }

    /// New users beside the old ones, new passwords of the Postgres roles; then every role once more, and the old users go.
    async fn passwords(&mut self) {
        self.nats_reads_again(&[(1, "old"), (2, "new")]);
        self.set_passwords("new").await;
        self.secrets.nats = (2, "new");
        self.secrets.postgres = "new";
        for role in [Role::Worker, Role::Projector, Role::Api, Role::Ingest] {
            self.roll(role).await;
        }
        self.nats_reads_again(&[(2, "new")]);
    }
}

fn file(lab: &Lab, name: &str) -> PathBuf {
    lab.folder().join(format!("{name}.secret"))
}

async fn is_so(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    eventually(what, WITHIN, async || tests::client::holds(is_so().await, || "not yet".to_owned()))
        .await;
}

async fn nothing_is_refused(rate: f64) {
    let mut rotation = Rotation::begin().await;
    let shop = rotation.lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    rotation.lab.add_account("instagram", "instagram", IG, &shop.token(), &[]).await;
    let (sent, stop) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
    let delivering = deliver(rotation.door.clone(), rate, sent.clone(), stop.clone());
    let delivering = tokio::spawn(delivering);

    rotation.app_secret().await;
    rotation.verify_token().await;
    rotation.api_token().await;
    rotation.encryption_key().await;
    rotation.passwords().await;
    // Each lane begins one after the answer to the one before.
    let before = sent.load(Ordering::Relaxed);
    is_so("webhooks are taken by the new users alone", async || {
        sent.load(Ordering::Relaxed) >= before + 2 * LANES
    })
    .await;
    stop.cancel();
    let refused = delivering.await.unwrap();
    let sent = sent.load(Ordering::Relaxed);
    eprintln!("{sent} webhooks, {} refused", refused.len());
    assert!(sent > 20 && refused.is_empty(), "of {sent}: {refused:?}");

    // All became events, and a reply goes out under the new secrets.
    is_so("all have become events", async || {
        let messages: i64 =
            sqlx::query_scalar("select count(*) from worker.facts where kind = 'message.received'")
                .fetch_one(rotation.lab.pool())
                .await
                .unwrap();
        u64::try_from(messages) == Ok(sent)
    })
    .await;
    let door = url::Url::parse(&rotation.url(Role::Ingest)).unwrap();
    rotation.lab.simulator.set_webhook_url(door);
    let person = shop.person("Ann Berg");
    person.says("is anybody there?").accepted().await.unwrap();
    let api = rotation.api("second");
    let conversation = eventually("the conversation is there", WITHIN, async || {
        let all = api.conversations().await;
        let found = all.iter().find(|one| one["contact"]["id"] == person.id());
        found.map(|one| one["id"].as_str().unwrap().to_owned()).ok_or_else(|| format!("{all:?}"))
    })
    .await;
    let path = format!("/v1/conversations/{conversation}/messages?wait=20s");
    let (status, reply) = api.post_once(&path, "key-1", json!({"text": "we are here"})).await;
    assert_eq!((status, &reply["status"]), (200, &json!("sent")), "{reply}");
    for role in Role::ALL {
        let n = rotation.running[&role];
        rotation.lab.stop_nth(role, n).await;
    }
    rotation.nats.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_secret_is_rotated_and_no_webhook_refused() {
    nothing_is_refused(RATE / 5.0).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak"]
async fn soak_rotation() {
    nothing_is_refused(RATE * soak()).await;
}
