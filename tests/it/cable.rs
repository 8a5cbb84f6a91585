//! Connections that break, freeze, or are forgotten by something in between: every role recovers by itself, and nothing is lost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use simulator::AccountSpec;
use tests::body::{IG, instagram, now, text};
use tests::cable::Cable;
use tests::traffic::{Findings, Traffic, paced};
use tests::{Lab, LabOptions, Role, eventually};

/// How soon a role says why it is not ready.
const WITHIN: Duration = Duration::from_secs(20);
const RECOVERS: Duration = Duration::from_secs(60);

/// Traffic all the time, the cable troubled in between: afterwards everything accepted is there.
async fn goes_on(lab: &Lab, cable: &Cable, what: &str) {
    let traffic = Arc::new(Traffic::new(rand::random(), 40, 800));
    traffic.add_accounts(lab).await;
    let (gate, _pace) = paced(40);
    let began = Instant::now();
    let sender = tokio::spawn(traffic.clone().deliver(lab.meta(), gate));
    let pause = async |seconds| tokio::time::sleep(Duration::from_secs(seconds)).await;
    pause(2).await;
    cable.cut();
    pause(2).await;
    cable.mend();
    pause(3).await;
    cable.freeze();
    pause(5).await;
    cable.mend();
    pause(4).await;
    // More than once, so that some are in the middle of something.
    for _ in 0..3 {
        cable.strand();
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    let sent = sender.await.unwrap();
    lab.all_ready().await;
    let stranded = Instant::now();
    traffic.arrive(lab).await;
    let findings = traffic.check(lab).await;
    eprintln!(
        "{what}: {:?}, {:?} after the last webhook; {sent:?}",
        began.elapsed(),
        stranded.elapsed()
    );
    assert_eq!(findings, Findings::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_behind_a_bad_cable() {
    let mut lab = Lab::start().await;
    let cable = Cable::to_port(lab.nats.port()).await;
    lab.set("NATS_URL", &cable.instead_of(&lab.nats.url()));
    lab.run_apart().await;
    goes_on(&lab, &cable, "broker").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_behind_a_bad_cable() {
    let mut lab = Lab::start().await;
    let cable = Cable::to_port(lab.postgres.port()).await;
    lab.set("DATABASE_URL", &cable.instead_of(&lab.postgres.url("hookline")));
    lab.run_apart().await;
    goes_on(&lab, &cable, "postgres").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn graph_behind_a_bad_cable_holds_up_no_message() {
    let mut lab = Lab::start().await;
    let graph = url::Url::parse(&lab.simulator.instagram_url()).unwrap();
    let cable = Cable::to_port(graph.port().unwrap()).await;
    lab.set("GRAPH_INSTAGRAM_URL", &cable.instead_of(graph.as_str()));
    lab.run_all().await;
    let account = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    lab.add_account("instagram", "instagram", IG, &account.token(), &[]).await;
    let meta = lab.meta();
    for (n, trouble) in ["cut", "freeze", "strand"].into_iter().enumerate() {
        let person = account.person(&format!("Ann {n}"));
        let wrote = person.held().says("hello");
        match trouble {
            "cut" => cable.cut(),
            "freeze" => cable.freeze(),
            _ => cable.strand(),
        }
        let body = instagram(text(IG, person.id(), wrote.mid(), now(), "hello"));
        let asked = Instant::now();
        assert_eq!(meta.post("/webhooks/instagram", &body).await, 200);
        eventually("the message shows", Duration::from_secs(5), async || {
            let shown: i64 =
                sqlx::query_scalar("select count(*) from inbox.messages where contact_id = $1")
                    .bind(person.id())
                    .fetch_one(lab.pool())
                    .await
                    .map_err(|error| error.to_string())?;
            tests::client::holds(shown == 1, || format!("{trouble}: {shown}"))
        })
        .await;
        let shown = asked.elapsed();
        tokio::time::sleep(Duration::from_secs(3)).await;
        cable.mend();
        eventually("the name is read", RECOVERS, async || {
            let name: Option<String> = sqlx::query_scalar(
                "select name from inbox.contacts where id = $1 and enriched_at is not null",
            )
            .bind(person.id())
            .fetch_optional(lab.pool())
            .await
            .map_err(|error| error.to_string())?
            .flatten();
            tests::client::holds(name.is_some(), || format!("{trouble}: no name"))
        })
        .await;
        eprintln!("{trouble}: shown after {shown:?}, named after {:?}", asked.elapsed());
    }
}

/// Delivery to a consumer stops while its connection and its heartbeats look well: found out because messages wait and none comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_hangs_is_noticed_by_its_progress() {
    let lab = Lab::with_all_roles().await;
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &[]).await;
    let js = lab.jetstream().await;
    // One per shard; the projector and the automations.
    for (name, readers) in [("META_RAW", 8), ("INBOX_EVENTS", 2)] {
        let stream = js.get_stream(name).await.unwrap();
        let consumers = eventually("everybody reads", RECOVERS, async || {
            let names: Vec<_> = futures::StreamExt::collect(stream.consumer_names()).await;
            let names: Vec<String> = names.into_iter().filter_map(Result::ok).collect();
            if names.len() >= readers { Ok(names) } else { Err(format!("{name}: {names:?}")) }
        })
        .await;
        let until = json!({"pause_until": chrono::Utc::now() + chrono::TimeDelta::hours(1)});
        for consumer in consumers {
            let subject = format!("CONSUMER.PAUSE.{name}.{consumer}");
            let answer: Value = js.request(subject, &until).await.unwrap();
            assert_eq!(answer["paused"], true, "{answer}");
        }
    }
    let asked = Instant::now();
    let body = instagram(text(IG, "5200000000000001", "mid.1", now(), "hello"));
    assert_eq!(lab.meta().post("/webhooks/instagram", &body).await, 200);
    eventually("it shows", RECOVERS, async || {
        let rows: i64 = sqlx::query_scalar("select count(*) from inbox.messages")
            .fetch_one(lab.pool())
            .await
            .map_err(|error| error.to_string())?;
        tests::client::holds(rows == 1, || format!("{rows} rows"))
    })
    .await;
    eprintln!("noticed within {:?}", asked.elapsed());
}

/// A standby, or a disk that filled up: nothing can be written for a while. Then no connection is left. Ingest needs neither.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_read_only_and_then_out_of_connections() {
    let mut lab = Lab::start_with(LabOptions::OWN).await;
    lab.run_apart().await;
    let traffic = Arc::new(Traffic::new(rand::random(), 40, 200));
    traffic.add_accounts(&lab).await;
    let set = async |sql: &'static str| sqlx::query(sql).execute(lab.pool()).await.unwrap();
    set("alter system set default_transaction_read_only = on").await;
    set("select pg_reload_conf()").await;
    let (gate, _pace) = paced(100);
    let sent = traffic.clone().deliver(lab.meta(), gate).await;
    assert_eq!(sent.refused, 0);
    for role in [Role::Worker, Role::Projector, Role::Api] {
        lab.not_ready(role, "read-only", WITHIN).await;
    }
    let mut writing = sqlx::Acquire::acquire(lab.pool()).await.unwrap();
    sqlx::query("set default_transaction_read_only = off").execute(&mut *writing).await.unwrap();
    sqlx::query("alter system reset default_transaction_read_only")
        .execute(&mut *writing)
        .await
        .unwrap();
    sqlx::query("select pg_reload_conf()").execute(&mut *writing).await.unwrap();
    drop(writing);
    lab.all_ready().await;
    traffic.arrive(&lab).await;
    assert_eq!(traffic.check(&lab).await, Findings::default());

    let mut held = Vec::new();
    let url = lab.postgres.url("hookline");
    lab.kill9(Role::Worker).await;
    while let Ok(connection) = <sqlx::PgConnection as sqlx::Connection>::connect(&url).await {
        held.push(connection);
    }
    assert!(held.len() > 100, "{}", held.len());
    lab.run(Role::Worker).await;
    lab.not_ready(Role::Worker, "postgres", WITHIN).await;
    let body = instagram(text(IG, "5200000000000001", "mid.last", now(), "hello"));
    assert_eq!(lab.meta().post("/webhooks/instagram", &body).await, 200);
    drop(held);
    lab.ready(Role::Worker).await;
    lab.settled().await;
    let unknown = lab.events().await;
    assert!(unknown.iter().any(|event| event["type"] == "hookline.webhook.unrecognized.v1"));
}

/// Connections set up as those of every role.
fn pool_of_a_role(lab: &Lab) -> sqlx::PgPool {
    let settings = runtime::config::Settings::from_pairs(lab.settings.clone());
    runtime::db::pool(&settings, "test", 4).unwrap()
}

/// Whoever gives up on a statement that waits leaves a server process behind, with everything it has locked. It must go, or all others wait
/// for it in turn.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_was_given_up_while_it_waited_lets_go_of_its_locks() {
    let lab = Lab::start().await;
    let pool = pool_of_a_role(&lab);
    let take = "select pg_advisory_xact_lock($1)";
    let mut holder = lab.pool().begin().await.unwrap();
    sqlx::query(take).bind(1_i64).execute(&mut *holder).await.unwrap();
    let given_up = runtime::db::within(Duration::from_secs(1), async {
        let mut tx = pool.begin().await?;
        sqlx::query(take).bind(2_i64).execute(&mut *tx).await?;
        sqlx::query(take).bind(1_i64).execute(&mut *tx).await?;
        Ok::<(), sqlx::Error>(())
    });
    given_up.await.unwrap_err();
    let asked = Instant::now();
    let mut other = lab.pool().begin().await.unwrap();
    sqlx::query(take).bind(2_i64).execute(&mut *other).await.unwrap();
    assert!(asked.elapsed() < Duration::from_secs(15), "{:?}", asked.elapsed());
    drop(holder);
}

/// Whoever is frozen in a transaction keeps what it has locked no longer than others can wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_pauses_lets_go_of_its_locks() {
    let lab = Lab::start().await;
    let pool = pool_of_a_role(&lab);
    let take = "select pg_advisory_xact_lock(1)";
    let mut paused = pool.begin().await.unwrap();
    sqlx::query(take).execute(&mut *paused).await.unwrap();
    let asked = Instant::now();
    let mut other = lab.pool().begin().await.unwrap();
    sqlx::query(take).execute(&mut *other).await.unwrap();
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    sqlx::query(take).execute(&mut *paused).await.unwrap_err();
}
