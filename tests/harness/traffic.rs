//! Deliveries as Meta makes them (batched, repeated, batched anew, tried again until accepted), and what must have become of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use schemas::subjects;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::body::{body, echo, entry, now, text};
use crate::client::Meta;
use crate::lab::Lab;

/// Accounts in each shard of META_RAW.
const ACCOUNTS_PER_SHARD: usize = 2;
/// Deliveries under way at once.
const AT_ONCE: usize = 16;
/// After this long without acceptance something is broken for good.
const GIVE_UP: Duration = Duration::from_secs(180);

/// A share of the numbers an issue names: the whole unless `HOOKLINE_SOAK` (a factor) says otherwise.
pub fn soak() -> f64 {
    std::env::var("HOOKLINE_SOAK").ok().map_or(1.0, |text| text.parse().unwrap())
}

/// What random choices of a test begin with: `HOOKLINE_SEED`, or another one each time. The test prints it.
pub fn seed() -> u64 {
    std::env::var("HOOKLINE_SEED").ok().map_or_else(rand::random, |text| text.parse().unwrap())
}

/// `whole` numbers, of which a test takes a share.
pub fn share(whole: usize, of: f64) -> usize {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let part = (whole as f64 * of).round() as usize;
    part.max(1)
}

struct Account {
    channel: &'static str,
    id: String,
    people: Vec<String>,
}

struct Message {
    account: usize,
    person: String,
    inbound: bool,
    text: String,
}

struct Delivery {
    path: &'static str,
    body: Vec<u8>,
}

/// What is to be delivered, and what it says.
pub struct Traffic {
    accounts: Vec<Account>,
    messages: BTreeMap<String, Message>,
    deliveries: Vec<Delivery>,
    seed: u64,
}

/// How delivering went.
#[derive(Debug)]
pub struct Sent {
    /// Longest time without a single acceptance.
    pub stall: Duration,
    /// Longest time from the first try of a webhook to its acceptance.
    pub slowest: Duration,
    /// Tries that were not accepted.
    pub refused: usize,
}

/// What must be nothing, and what is reported. Lists hold at most a few examples.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Accepted bodies that META_RAW does not have.
    pub missing_raw: usize,
    /// Messages without an event.
    pub missing_events: Vec<String>,
    /// Messages without a row.
    pub missing_rows: Vec<String>,
    /// Rows beyond one per message.
    pub duplicate_rows: usize,
    /// Rows that say something else.
    pub wrong_rows: Vec<String>,
    /// Conversations whose count of unread messages is wrong: conversation, is, should be.
    pub wrong_unread: Vec<(String, i64, i64)>,
    /// Conversations whose events are not in the order of their raw webhooks.
    pub inversions: Vec<String>,
    /// Events that stand twice in the stream: allowed, but nothing here outlasts the broker's window.
    pub repeated_events: usize,
}

impl Traffic {
    /// `conversations` spread over accounts in all shards, sent in `deliveries` webhooks.
    pub fn new(seed: u64, conversations: usize, deliveries: usize) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut accounts = accounts();
        for n in 0..conversations {
            let at = n % accounts.len();
            accounts[at].people.push(format!("5200000000{n:06}"));
        }
        let mut traffic =
            Self { accounts, messages: BTreeMap::new(), deliveries: Vec::new(), seed };
        let began = now();
        let mut posted: Vec<Vec<Value>> = vec![Vec::new(); traffic.accounts.len()];
        for n in 0..deliveries {
            let at = rng.random_range(0..traffic.accounts.len());
            let time = began + i64::try_from(n).unwrap();
            let mut items = Vec::new();
            // Now and then an item that was sent before comes again beside new ones.
            if rng.random_range(0..12) == 0 && !posted[at].is_empty() {
                items.push(posted[at][rng.random_range(0..posted[at].len())].clone());
            }
            for part in 0..[1, 1, 1, 2, 3][rng.random_range(0..5)] {
                let item = traffic.message(&mut rng, at, &format!("mid.{n}.{part}"), time);
                posted[at].push(item.clone());
                items.push(item);
            }
            let account = &traffic.accounts[at];
            let (object, path) = match account.channel {
                "instagram" => ("instagram", "/webhooks/instagram"),
                _ => ("page", "/webhooks/facebook"),
            };
            let body = body(object, &[entry(&account.id, time, &items)]);
            traffic.deliveries.push(Delivery { path, body });
        }
        traffic
    }

    fn message(&mut self, rng: &mut StdRng, at: usize, mid: &str, time: i64) -> Value {
        let account = &self.accounts[at];
        let person = account.people[rng.random_range(0..account.people.len())].clone();
        let (inbound, words) = (rng.random_range(0..5) != 0, format!("text of {mid}"));
        let item = if inbound {
            text(&account.id, &person, mid, time, &words)
        } else {
            echo(&account.id, &person, mid, time, &words)
        };
        self.messages.insert(mid.to_owned(), Message { account: at, person, inbound, text: words });
        item
    }

    /// How many messages all webhooks hold together.
    pub fn messages(&self) -> usize {
        self.messages.len()
    }

    /// How many webhooks there are.
    pub fn deliveries(&self) -> usize {
        self.deliveries.len()
    }

    /// Adds the accounts to a lab.
    pub async fn add_accounts(&self, lab: &Lab) {
        for account in &self.accounts {
            let login = if account.channel == "instagram" { "instagram" } else { "facebook" };
            lab.add_account(account.channel, login, &account.id, "no-graph-needed", &[]).await;
        }
    }

    /// Delivers everything, each webhook until it is accepted and some once more, as fast as `gate` has permits.
    pub async fn deliver(self: Arc<Self>, meta: Meta, gate: Arc<Semaphore>) -> Sent {
        let accepted = Arc::new(Mutex::new((Vec::new(), Duration::ZERO, 0)));
        let mut sending = tokio::task::JoinSet::new();
        accepted.lock().unwrap().0.push(Instant::now());
        for n in 0..self.deliveries.len() {
            gate.acquire().await.unwrap().forget();
            if sending.len() >= AT_ONCE {
                sending.join_next().await.unwrap().unwrap();
            }
            let (traffic, meta, accepted) = (self.clone(), meta.clone(), accepted.clone());
            sending.spawn(async move {
                let mut rng = StdRng::seed_from_u64(traffic.seed ^ n as u64);
                let Delivery { path, body } = &traffic.deliveries[n];
                for _ in 0..if rng.random_range(0..10) == 0 { 2 } else { 1 } {
                    let began = Instant::now();
                    while !matches!(meta.try_post(path, body).await, Ok(200)) {
                        assert!(began.elapsed() < GIVE_UP, "webhook {n} is never accepted");
                        accepted.lock().unwrap().2 += 1;
                        let pause = rng.random_range(50..400);
                        tokio::time::sleep(Duration::from_millis(pause)).await;
                    }
                    let mut accepted = accepted.lock().unwrap();
                    accepted.0.push(Instant::now());
                    accepted.1 = accepted.1.max(began.elapsed());
                }
            });
        }
        while let Some(sent) = sending.join_next().await {
            sent.unwrap();
        }
        let accepted = accepted.lock().unwrap();
        let gaps = accepted.0.windows(2).map(|pair| pair[1].saturating_duration_since(pair[0]));
        Sent { stall: gaps.max().unwrap_or_default(), slowest: accepted.1, refused: accepted.2 }
    }

    /// Waits until every message has a row, or nothing moves any more; then until nothing new comes.
    pub async fn arrive(&self, lab: &Lab) {
        let (mut before, mut moved) = (-1, Instant::now());
        let whole = i64::try_from(self.messages.len()).unwrap();
        while moved.elapsed() < Duration::from_secs(60) {
            let rows = sqlx::query_scalar("select count(*) from inbox.messages");
            let rows: i64 = rows.fetch_one(lab.pool()).await.unwrap_or(-1);
            if rows >= whole {
                return lab.settled().await;
            }
            if rows != before {
                (before, moved) = (rows, Instant::now());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Compares META_RAW, INBOX_EVENTS and the rows with what was accepted.
    pub async fn check(&self, lab: &Lab) -> Findings {
        let mut findings = Findings::default();
        let raws = lab.messages("META_RAW").await;
        let bodies: BTreeSet<Vec<u8>> =
            raws.iter().map(|raw| Sha256::digest(&raw.payload).to_vec()).collect();
        findings.missing_raw = self
            .deliveries
            .iter()
            .filter(|delivery| !bodies.contains(Sha256::digest(&delivery.body).as_slice()))
            .count();
        let events = lab.events().await;
        self.check_events(&raws, &events, &mut findings);
        self.check_rows(lab, &mut findings).await;
        findings
    }

    fn check_events(
        &self,
        raws: &[async_nats::jetstream::Message],
        events: &[Value],
        findings: &mut Findings,
    ) {
        let mut posted = Order::default();
        for raw in raws {
            let raw: Value = serde_json::from_slice(&raw.payload).unwrap();
            for item in raw["entry"][0]["messaging"].as_array().unwrap() {
                posted.add(self, item["message"]["mid"].as_str().unwrap());
            }
        }
        let (mut published, mut seen) = (Order::default(), BTreeSet::new());
        for event in events {
            let id = event["id"].as_str().unwrap().to_owned();
            let revision = event["data"]["origin"]["revision"].as_u64().unwrap_or(0);
            if !seen.insert((id, revision)) {
                findings.repeated_events += 1;
            }
            let kind = event["type"].as_str().unwrap();
            if kind.contains("message.received") || kind.contains("message.sent") {
                published.add(self, event["data"]["message_id"].as_str().unwrap());
            }
        }
        let missing = self.messages.keys().filter(|mid| !published.seen.contains(*mid));
        findings.missing_events = missing.take(20).cloned().collect();
        for (conversation, should) in &posted.conversations {
            let is = published.conversations.get(conversation).map_or(&[][..], Vec::as_slice);
            if let Some(at) = (0..should.len()).find(|at| should.get(*at) != is.get(*at)) {
                let (should, is) = (&should[at..], &is[at.min(is.len())..]);
                let few = |list: &[String]| list.iter().take(6).cloned().collect::<Vec<_>>();
                findings.inversions.push(format!(
                    "{conversation}: from number {at} on {:?}, should be {:?}",
                    few(is),
                    few(should)
                ));
            }
        }
    }

    async fn check_rows(&self, lab: &Lab, findings: &mut Findings) {
        let rows: Vec<(String, String, Option<String>)> =
            sqlx::query_as("select message_id, direction, text from inbox.messages")
                .fetch_all(lab.pool())
                .await
                .unwrap();
        let by_mid: BTreeMap<_, _> =
            rows.iter().map(|(mid, direction, text)| (mid.as_str(), (direction, text))).collect();
        findings.duplicate_rows = rows.len() - by_mid.len();
        let mut unread: BTreeMap<(String, String), i64> = BTreeMap::new();
        for (mid, message) in &self.messages {
            let account = self.accounts[message.account].id.clone();
            *unread.entry((account, message.person.clone())).or_default() +=
                i64::from(message.inbound);
            let direction = if message.inbound { "inbound" } else { "outbound" };
            match by_mid.get(mid.as_str()) {
                None => findings.missing_rows.push(mid.clone()),
                Some((is, text)) if *is == direction && text.as_ref() == Some(&message.text) => {}
                Some(_) => findings.wrong_rows.push(mid.clone()),
            }
        }
        findings.missing_rows.truncate(20);
        let counts: Vec<(String, String, i64)> = sqlx::query_as(
            "select account_id, contact_id, unread_count::bigint from inbox.conversations",
        )
        .fetch_all(lab.pool())
        .await
        .unwrap();
        for (account, contact, is) in counts {
            let should = unread.remove(&(account.clone(), contact.clone())).unwrap_or(0);
            if is != should {
                findings.wrong_unread.push((format!("{account}/{contact}"), is, should));
            }
        }
        let gone = unread.into_iter().map(|((a, c), should)| (format!("{a}/{c}"), -1, should));
        findings.wrong_unread.extend(gone);
    }
}

/// First appearances of messages, by conversation.
#[derive(Default)]
struct Order {
    conversations: BTreeMap<String, Vec<String>>,
    seen: BTreeSet<String>,
}

impl Order {
    fn add(&mut self, traffic: &Traffic, mid: &str) {
        if self.seen.insert(mid.to_owned()) {
            let message = &traffic.messages[mid];
            let name = format!("{}/{}", traffic.accounts[message.account].id, message.person);
            self.conversations.entry(name).or_default().push(mid.to_owned());
        }
    }
}

/// Some in every shard, of both channels.
fn accounts() -> Vec<Account> {
    let mut accounts = Vec::new();
    for shard in 0..subjects::SHARDS {
        let ids = (0..).map(|n: u32| format!("178414000000{n:05}"));
        let here = ids.filter(|id| subjects::shard(id) == shard).take(ACCOUNTS_PER_SHARD);
        for (n, id) in here.enumerate() {
            let channel = if n % 2 == 0 { "instagram" } else { "messenger" };
            accounts.push(Account { channel, id, people: Vec::new() });
        }
    }
    accounts
}

/// A gate that lets `per_second` deliveries through.
pub fn paced(per_second: usize) -> (Arc<Semaphore>, tokio_util::task::AbortOnDropHandle<()>) {
    let gate = Arc::new(Semaphore::new(0));
    let permits = gate.clone();
    let task = tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        let mut given = 0;
        let began = Instant::now();
        loop {
            tick.tick().await;
            let due = usize::try_from(began.elapsed().as_millis()).unwrap() * per_second / 1000;
            permits.add_permits(due - given);
            given = due;
        }
    });
    (gate, tokio_util::task::AbortOnDropHandle::new(task))
}
