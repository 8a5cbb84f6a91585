//! Any order, duplication or replay of the same set of events ends in the same rows: in Postgres, through the real projector.

pub(crate) mod history;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use runtime::config::{NatsConfig, Settings};
use runtime::streams::{self, StreamName};
use schemas::facts::Receipt;
use schemas::{Event, EventId, Fact, Kind};
use sqlx::{AssertSqlSafe, PgPool};
use tests::servers::Broker;
use tests::{Lab, Role};

const VIEWS: [&str; 9] = [
    "conversations",
    "messages",
    "contacts",
    "blocklist",
    "comments",
    "posts",
    "mentions",
    "insights",
    "parked",
];

/// An INBOX_EVENTS of its own, and the read model made from it.
struct Projection {
    _broker: Broker,
    client: async_nats::Client,
    pool: PgPool,
    published: u64,
    n: u32,
}

impl Projection {
    /// A broker and a database of their own in the lab; no projector yet.
    async fn new(lab: &mut Lab, n: u32) -> Self {
        let broker = tests::servers::another_broker().await;
        let database = format!("told_{n}");
        lab.postgres.create_database(&database).await;
        lab.set("NATS_URL", &broker.url());
        lab.set("DATABASE_URL", &lab.postgres.url(&database));
        let js = lab.jetstream().await;
        let config =
            NatsConfig::from_settings(&Settings::from_pairs(lab.settings.clone())).unwrap();
        streams::ensure(&js, StreamName::Events, &config).await.unwrap();
        let pool = PgPool::connect_lazy(&lab.postgres.url(&database)).unwrap();
        Self { _broker: broker, client: js.client().clone(), pool, published: 0, n }
    }

    /// Publishes without ids: what is published twice stands in the stream twice.
    async fn publish(&mut self, events: &[Event]) {
        for event in events {
            let body = serde_json::to_vec(event).unwrap();
            self.client.publish(event.nats_subject(), body.into()).await.unwrap();
        }
        self.client.flush().await.unwrap();
        self.published += events.len() as u64;
    }

    /// How far the projector has come.
    async fn position(&self) -> Result<u64, String> {
        let seq: Result<i64, sqlx::Error> =
            sqlx::query_scalar("select coalesce(max(seq), 0) from inbox.position")
                .fetch_one(&self.pool)
                .await;
        seq.map(|seq| u64::try_from(seq).unwrap_or(0)).map_err(|error| error.to_string())
    }

    /// Waits until everything published is projected.
    async fn projected(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let position = self.position().await;
            if position == Ok(self.published) {
                return;
            }
            assert!(Instant::now() < deadline, "{position:?} of {} are projected", self.published);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Publishes events in pieces of up to `most`, each projected before the next comes.
    async fn publish_in_pieces(&mut self, events: &[Event], most: usize, seed: u64) {
        let mut random = StdRng::seed_from_u64(seed);
        let mut rest = events;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(random.random_range(1..=most).min(rest.len()));
            self.publish(now).await;
            self.projected().await;
            rest = later;
        }
    }

    /// Every row of every public view, as text.
    async fn rows(&self) -> BTreeMap<String, Vec<String>> {
        let mut rows = BTreeMap::new();
        for view in VIEWS {
            let sql = format!("select to_jsonb(v)::text from inbox.{view} v order by 1");
            let found = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&self.pool).await.unwrap();
            rows.insert(view.to_owned(), found);
        }
        rows
    }
}

fn assert_same(
    one: &BTreeMap<String, Vec<String>>,
    other: &BTreeMap<String, Vec<String>>,
    what: &str,
) {
    for (view, rows) in one {
        let missing: Vec<_> =
            rows.iter().filter(|row| !other[view].contains(row)).take(3).collect();
        let added: Vec<_> = other[view].iter().filter(|row| !rows.contains(row)).take(3).collect();
        assert!(
            missing.is_empty() && added.is_empty(),
            "inbox.{view} differs when {what}:\n- {missing:#?}\n+ {added:#?}"
        );
        assert_eq!(
            rows.len(),
            other[view].len(),
            "inbox.{view} differs in its number of rows when {what}"
        );
    }
}

/// Rules of docs/contract.md 8 that can be said over the public views alone; each finds the rows that break it.
const RULES: [(&str, &str); 7] = [
    (
        "unread: inbound, not deleted, not backfilled, sent after the last read",
        "select c.id from inbox.conversations c where c.unread_count <> (select count(*) from inbox.messages m
          where m.conversation_id = c.id and m.direction = 'inbound' and m.deleted_at is null and not m.backfilled
            and m.sent_at > coalesce(c.read_until, '-infinity'))",
    ),
    (
        "window: 24 h after the latest message or postback of the person",
        "select c.id from inbox.conversations c where c.window_expires_at is distinct from (
          select max(m.sent_at) + interval '24 hours' from inbox.messages m where m.conversation_id = c.id and m.direction = 'inbound')",
    ),
    (
        "last message: the latest visible by (time, id)",
        "select c.id from inbox.conversations c where c.last_message_id is distinct from (
          select m.id from inbox.messages m where m.conversation_id = c.id order by m.sent_at desc, m.id collate \"C\" desc limit 1)
          or c.last_message->>'text' is distinct from (select m.text from inbox.messages m where m.id = c.last_message_id)",
    ),
    (
        "unsent: text and attachments are gone",
        "select m.id from inbox.messages m where m.deleted_at is not null and (m.text is not null or m.attachments <> '[]')",
    ),
    (
        "unsent: what is kept of it has no words",
        "select f.event_id from inbox.messages m join inbox_v1.facts f on f.entity = m.id where m.deleted_at is not null
          and (f.body->'fact' ?| array['text', 'attachments', 'quick_reply'] or f.body->'fact'->>'title' <> '')",
    ),
    (
        "sent_by: api by a reply, app by an app of ours, else other; nothing for inbound",
        "select m.id from inbox.messages m where m.sent_by is distinct from case
          when m.direction <> 'outbound' then null when m.reply_id is not null then 'api'
          when m.app_id in (select o.app_id from inbox.messages o where o.reply_id is not null) then 'app' else 'other' end",
    ),
    (
        "every message is in a conversation that is listed",
        "select m.id from inbox.messages m where not exists (select 1 from inbox.conversations c where c.id = m.conversation_id)",
    ),
];

/// `delivered_at` and `read_at` by the earliest receipt that holds and covers the message: from the events, by hand.
async fn assert_receipts(pool: &PgPool, events: &[Event]) {
    let withdrawn: BTreeSet<&EventId> = events
        .iter()
        .filter_map(|event| match &event.data.fact {
            Fact::FactWithdrawn(body) => Some(&body.event_id),
            _ => None,
        })
        .collect();
    let version = |event: &Event| (event.revision(), event.data.origin.via.rank());
    let mut held: BTreeMap<&EventId, Vec<&Event>> = BTreeMap::new();
    for event in events.iter().filter(|event| !withdrawn.contains(&event.id)) {
        let best = held.entry(&event.id).or_default();
        if best.first().is_some_and(|other| version(other) < version(event)) {
            best.clear();
        }
        if best.first().is_none_or(|other| version(other) == version(event)) {
            best.push(event);
        }
    }
    // Of two readings that are equal in revision and rank the digest decides: not worth saying again here.
    let holds: Vec<&Event> =
        held.values().filter(|best| best.len() == 1).map(|best| best[0]).collect();
    let unclear: BTreeSet<Option<&str>> = held
        .values()
        .filter(|best| best.len() > 1)
        .flatten()
        .map(|event| event.data.conversation_id.as_ref().map(schemas::ConversationId::as_str))
        .collect();
    type Row = (
        String,
        String,
        String,
        String,
        DateTime<Utc>,
        Option<DateTime<Utc>>,
        Option<DateTime<Utc>>,
    );
    let rows: Vec<Row> = sqlx::query_as(
        "select channel, account_id, conversation_id, message_id, sent_at, delivered_at, read_at from inbox.messages
          where direction = 'outbound'",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let mut seen = 0;
    for (channel, account, conversation, mid, sent_at, delivered, read) in rows {
        if unclear.contains(&Some(conversation.as_str())) {
            continue;
        }
        let covers = |event: &Event, receipt: &Receipt| {
            let data = &event.data;
            let by_id = receipt.message_id.as_ref().is_some_and(|named| named.as_str() == mid)
                && (data.channel.as_str(), data.account_id.as_str()) == (&channel, &account);
            let by_time =
                receipt.watermark.is_some_and(|watermark| watermark.to_datetime() >= sent_at)
                    && data.conversation_id.as_ref().is_some_and(|id| id.as_str() == conversation);
            by_id || by_time
        };
        let earliest = |kind: Kind| {
            let receipts = holds.iter().filter(|event| event.kind() == kind).filter(|event| {
                match &event.data.fact {
                    Fact::MessageDelivered(body) | Fact::MessageRead(body) => covers(event, body),
                    _ => false,
                }
            });
            receipts.map(|event| event.time.to_datetime()).min()
        };
        let expected = (earliest(Kind::MessageDelivered), earliest(Kind::MessageRead));
        assert_eq!((delivered, read), expected, "delivered_at, read_at of {mid}");
        seen += usize::from(expected.0.is_some()) + usize::from(expected.1.is_some());
    }
    assert!(seen > 5, "only {seen} receipts could be judged");
}

fn seed() -> u64 {
    let seed = std::env::var("HOOKLINE_SEED").ok().and_then(|text| text.parse().ok());
    seed.unwrap_or_else(rand::random)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_order_ends_in_the_same_rows() {
    let seed = seed();
    println!("HOOKLINE_SEED={seed}");
    let events = history::generate(seed, 50);
    let mut lab = Lab::start().await;
    // All at once, as a rebuild reads it.
    let mut at_once = Projection::new(&mut lab, 0).await;
    at_once.publish(&events).await;
    lab.run_nth(Role::Projector, at_once.n).await;
    // In another order, in small pieces as they happen, a part of them twice.
    let mut live = Projection::new(&mut lab, 1).await;
    lab.run_nth(Role::Projector, live.n).await;
    // Backwards, and then everything once more in yet another order.
    let mut replayed = Projection::new(&mut lab, 2).await;
    lab.run_nth(Role::Projector, replayed.n).await;
    for n in 0..3 {
        lab.ready_nth(Role::Projector, n).await;
    }
    let mut twice = events.clone();
    twice.extend_from_slice(&events[..events.len() / 4]);
    let backwards: Vec<Event> = events.iter().rev().cloned().collect();
    tokio::join!(
        async {
            live.publish_in_pieces(&history::shuffled(&twice, seed ^ 1), 60, seed).await;
        },
        async {
            replayed.publish(&backwards).await;
            replayed.projected().await;
            replayed.publish_in_pieces(&history::shuffled(&events, seed ^ 2), 200, seed).await;
        },
        at_once.projected(),
    );
    let rows = at_once.rows().await;
    for (view, rows) in &rows {
        assert_eq!(rows.is_empty(), view == "parked", "inbox.{view} has {} rows", rows.len());
    }
    assert_same(&rows, &live.rows().await, "events come in another order, in pieces, some twice");
    assert_same(&rows, &replayed.rows().await, "events come backwards and are replayed");
    for (rule, broken) in RULES {
        let ids: Vec<String> = sqlx::query_scalar(broken).fetch_all(&at_once.pool).await.unwrap();
        assert!(ids.is_empty(), "{rule}: {ids:?}");
    }
    assert_receipts(&at_once.pool, &events).await;
}

impl Projection {
    /// The median time from publishing one event to its rows.
    async fn median(&mut self, events: impl IntoIterator<Item = Event>) -> Duration {
        let mut times = Vec::new();
        for event in events {
            let started = Instant::now();
            self.publish(&[event]).await;
            self.projected().await;
            times.push(started.elapsed());
        }
        times.sort();
        times[times.len() / 2]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_conversation_costs_no_more_per_event_than_a_short_one() {
    let mut lab = Lab::start().await;
    let mut projection = Projection::new(&mut lab, 0).await;
    lab.run_nth(Role::Projector, projection.n).await;
    lab.ready_nth(Role::Projector, projection.n).await;
    // Ten thousand unread messages of one person; two thousand messages to another one, each with its receipts.
    let sent = |n| {
        [Kind::MessageSent, Kind::MessageDelivered, Kind::MessageRead]
            .map(|kind| history::long(1, kind, n, 0))
    };
    let unread = (0..10_000).map(|n| history::long(0, Kind::MessageReceived, n, 0));
    let long: Vec<Event> = unread.chain((0..2_000).flat_map(sent)).collect();
    projection.publish(&long).await;
    projection.projected().await;

    let several = |who: usize, kind: Kind, from: usize, revision: u32| {
        (from..from + 30).map(move |n| history::long(who, kind, n, revision))
    };
    let acts = [
        ("one more unread message", several(0, Kind::MessageReceived, 10_000, 0)),
        ("an unread message published anew", several(0, Kind::MessageReceived, 0, 1)),
        ("an unread message that is unsent", several(0, Kind::MessageDeleted, 0, 0)),
        ("a mark of reading", several(0, Kind::ConversationRead, 0, 0)),
        ("one more message to them", several(1, Kind::MessageSent, 2_000, 0)),
        ("one more receipt", several(1, Kind::MessageRead, 2_000, 0)),
        ("a receipt published anew", several(1, Kind::MessageRead, 0, 1)),
    ];
    for (n, (what, events)) in acts.into_iter().enumerate() {
        // In turns, so that both see the same load of the machine.
        let short = projection.median(several(2, Kind::MessageReceived, 30 * n, 0)).await;
        let long = projection.median(events).await;
        println!("{what}: {long:?}; in a short conversation {short:?}");
        assert!(
            long < 5 * short + Duration::from_millis(25),
            "{what}: {long:?}; in a short conversation {short:?}"
        );
    }
}
