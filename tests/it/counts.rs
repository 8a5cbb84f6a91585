//! What a batch costs in statements and commits, however many events it has. Times are for `make bench`; these numbers are the same on
//! every machine.

use projector::{NAME, SchemaName, Store, read};
use runtime::lease::Position;
use serde_json::{Value, json};
use servers::{PgOptions, Postgres};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tests::up::Folder;
use tokio_util::sync::CancellationToken;

const ACCOUNT: &str = "17841400000000101";
/// Events in a batch, and how many statements and commits the batch may have at most, after the connection has seen some. With one event
/// they stand for the latency of a live event.
const BATCHES: [(usize, i64); 3] = [(1, 15), (100, 21), (1000, 21)];

/// The `n`th event: messages of ten people, answers, receipts, edits, marks of reading, profiles.
fn event(n: usize) -> Value {
    let contact = format!("52000000000000{:02}", n % 10);
    let (kind, mut data) = match n % 12 {
        6 | 7 => ("message.sent", json!({"message_id": format!("mid.{n}"), "text": "yes"})),
        8 => ("message.delivered", json!({"watermark": "2026-11-21T10:00:00.000Z"})),
        9 => ("message.read", json!({"watermark": "2026-11-21T10:00:00.000Z"})),
        10 => ("message.edited", json!({"message_id": format!("mid.{}", n - 10), "text": "hello"})),
        11 => ("conversation.read", json!({})),
        _ => ("message.received", json!({"message_id": format!("mid.{n}"), "text": "hi"})),
    };
    data["channel"] = json!("instagram");
    data["account_id"] = json!(ACCOUNT);
    data["contact_id"] = json!(contact);
    data["origin"] = json!({"via": "webhook", "revision": 0});
    json!({
        "specversion": "1.0", "id": format!("evt_{n:010}"), "type": format!("hookline.{kind}.v1"),
        "source": format!("/instagram/{ACCOUNT}"), "time": "2026-11-21T10:00:00.000Z", "data": data,
    })
}

/// A Postgres that counts statements; where its contrib modules are not installed, one that counts transactions only.
async fn postgres(folder: &Folder) -> (Postgres, bool) {
    let with = |counts: bool| {
        let mut options =
            PgOptions::new(folder.path().join(if counts { "counts" } else { "plain" }));
        options.fsync = false;
        let module = ("shared_preload_libraries".to_owned(), "pg_stat_statements".to_owned());
        options.settings.extend(counts.then_some(module));
        // It commits in the database it looks at.
        options.settings.push(("autovacuum".to_owned(), "off".to_owned()));
        options
    };
    match Postgres::start(with(true)).await {
        Ok(server) => (server, true),
        Err(_) => (Postgres::start(with(false)).await.unwrap(), false),
    }
}

/// Statements with their calls so far, and commits among them. Without the module: commits of the database, among which there may be others.
async fn counted(pool: &PgPool, observer: &PgPool, statements: bool) -> (i64, i64) {
    if statements {
        return sqlx::query_as(
            "select coalesce(sum(calls), 0)::bigint, coalesce(sum(calls) filter (where query ilike 'commit%'), 0)::bigint
               from pg_stat_statements s join pg_database d on d.oid = s.dbid where d.datname = 'counted'",
        )
        .fetch_one(observer)
        .await
        .unwrap();
    }
    sqlx::query("select pg_stat_force_next_flush()").execute(pool).await.unwrap();
    let commits: i64 =
        sqlx::query_scalar("select xact_commit from pg_stat_database where datname = 'counted'")
            .fetch_one(observer)
            .await
            .unwrap();
    (0, commits)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_as_many_statements_however_many_events_it_has() {
    let folder = Folder::new("counts");
    let (server, statements) = postgres(&folder).await;
    server.create_database("counted").await.unwrap();
    server.create_database("observer").await.unwrap();
    let observer = PgPool::connect(&server.url("observer")).await.unwrap();
    if statements {
        sqlx::query("create extension pg_stat_statements").execute(&observer).await.unwrap();
    } else {
        eprintln!("notice: pg_stat_statements is not installed here; only commits are counted");
    }
    let pool =
        PgPoolOptions::new().max_connections(1).connect(&server.url("counted")).await.unwrap();
    projector::migrate(&pool, &CancellationToken::new()).await.unwrap();
    let store = Store::new(pool.clone(), &SchemaName::first(), "counts".to_owned());
    let lease = store.leases().acquire(NAME).await.unwrap().expect("nobody holds it");
    let mut at = Position::default();
    let mut n = 0;
    let subject = format!("inbox.v1.event.07.instagram.{ACCOUNT}.message-received");
    // The first batch prepares the statements; of the others every number stands for the batch alone.
    for (size, most) in [(240, i64::MAX), BATCHES[0], BATCHES[1], BATCHES[2]] {
        // Single events of each kind, one after the other.
        let batches = if size == 1 { 12 } else { 1 };
        for _ in 0..batches {
            let batch: Vec<_> = (n..n + size)
                .map(|n| read(n as u64 + 1, &subject, event(n).to_string().as_bytes()))
                .collect();
            n += size;
            let to = Position { seq: n as u64, ..Position::default() };
            let before = counted(&pool, &observer, statements).await;
            let aside = store.apply(&lease, at, to, batch).await.unwrap();
            assert!(aside.is_empty(), "{aside:?}");
            at = to;
            let after = counted(&pool, &observer, statements).await;
            let (calls, commits) = (after.0 - before.0, after.1 - before.1);
            // Without the module the count has that of looking, and others of the moment.
            let commits_most = if statements { 1 } else { 5 };
            eprintln!("{size} events: {calls} statements, {commits} commits");
            assert!(calls <= most, "{size} events take {calls} statements, not at most {most}");
            assert!(commits <= commits_most, "{size} events take {commits} commits");
        }
    }
}
