//! Postgres is lost, the streams are not: `hookline recover` fills an empty one. Rows, facts and ledger are as before, nobody is answered twice,
//! and the day goes on.

mod day;
mod tables;

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use simulator::CallKind;
use tests::body::{IG, body, entry, now, text};
use tests::cable::Cable;
use tests::crowd::{all_ended, audit};
use tests::lab::{is_stopped, signal};
use tests::traffic::{Traffic, share, soak};
use tests::{Lab, Role, eventually};

use day::{Day, WITHIN};
use tables::Tables;

const RECOVER: [&str; 5] = ["recover", "--reason", "the disk failed", "--output", "json"];

/// A lab whose database is lost later: roles make their schemas again, so they run as one user that may.
async fn lab() -> Lab {
    let mut lab = Lab::start().await;
    lab.as_one_user();
    lab
}

async fn lab_apart() -> Lab {
    let mut lab = lab().await;
    lab.run_apart().await;
    lab
}

/// The database as after `create database`.
pub(crate) async fn empty(lab: &Lab) {
    sqlx::raw_sql(
        "do $$ declare s text; begin
            for s in select nspname from pg_namespace where nspname not like 'pg\\_%' and nspname <> 'information_schema' loop
                execute format('drop schema %I cascade', s);
            end loop;
            execute 'create schema public';
         end $$",
    )
    .execute(lab.pool())
    .await
    .unwrap();
}

async fn lose_postgres(lab: &mut Lab) {
    for role in [Role::Projector, Role::Api] {
        lab.kill9(role).await;
    }
    empty(lab).await;
}

/// Events from a position on.
async fn events_after(lab: &Lab, head: usize) -> Vec<Value> {
    lab.events().await.split_off(head)
}

/// A worker that finds the database empty publishes nothing and says what to do; `recover` does not begin beside it.
async fn a_worker_waits(lab: &mut Lab, head: usize) {
    lab.run(Role::Worker).await;
    eventually("the worker says what to do", WITHIN, async || {
        let said = lab.readyz(Role::Worker).await.1;
        tests::client::holds(said.contains("hookline recover"), || said.clone())
    })
    .await;
    let (code, out, err) = lab.hookline(&RECOVER).await;
    assert_eq!(code, 3, "{out}{err}");
    assert!(err.contains("stop all workers"), "{err}");
    let (_, out, _) = lab.hookline(&["doctor", "--output", "json"]).await;
    assert!(out.contains("Postgres is empty and the streams are not"), "{out}");
    assert_eq!(lab.events().await.len(), head, "nothing is published");
    lab.kill9(Role::Worker).await;
}

/// It is killed twice, and goes on where it was each time. Returns what it says in the end.
async fn recover_with_deaths(lab: &Lab) -> Value {
    let plan = lab.hookline_ok(&["recover", "--dry-run", "--output", "json"]).await;
    let plan: Value = serde_json::from_str(&plan).unwrap();
    assert_eq!(
        (&plan["refused"], &plan["plan"]["database"]),
        (&Value::Null, &"empty".into()),
        "{plan}"
    );
    let (code, ..) = lab.hookline(&["recover"]).await;
    assert_eq!(code, 2, "without a reason");
    for death in ["recover.before_commit=kill@2", "recover.after_stage=kill@2"] {
        let (code, out, err) =
            lab.hookline_with(&RECOVER, &[(runtime::failpoint::ENV, death)]).await;
        assert_eq!(code, -1, "{death}: {out}{err}");
    }
    the_broker_is_lost(lab).await;
    // As `hookline jobs resume` prints it.
    let said = lab.hookline_ok(&["recover", "--output", "json"]).await;
    let (code, _, err) = lab.hookline(&RECOVER).await;
    assert_eq!(code, 3, "it was recovered: {err}");
    serde_json::from_str(said.trim()).unwrap()
}

/// Frozen between two stages, it finds the broker gone when it goes on: that is no refusal.
async fn the_broker_is_lost(lab: &Lab) {
    let nats = url::Url::parse(&lab.settings["NATS_URL"]).unwrap();
    let cable = Cable::to_port(nats.port().unwrap()).await;
    let mut verb = lab.command(&RECOVER);
    verb.env("NATS_URL", cable.instead_of(nats.as_str()));
    verb.env(runtime::failpoint::ENV, "recover.after_stage=stop");
    let verb = verb.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = verb.id().unwrap();
    is_stopped(pid, "it is frozen", WITHIN).await;
    cable.cut();
    signal(pid, rustix::process::Signal::CONT);
    let ended =
        tokio::time::timeout(WITHIN, verb.wait_with_output()).await.expect("it ends").unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(4), "{said}");
    assert!(said.contains("run the same command again"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_postgres_is_filled_from_the_streams_and_the_day_goes_on() {
    let mut lab = lab_apart().await;
    let mut day = Day::begin(&lab).await;
    let before = Tables::read(&lab).await;
    before.must_be_full();
    day.leave_something_open(&mut lab).await;
    let sends = lab.simulator.count(CallKind::Send);
    let head = lab.events().await.len();
    lose_postgres(&mut lab).await;
    a_worker_waits(&mut lab, head).await;
    let said = recover_with_deaths(&lab).await;
    let accounts = said["accounts_without_token"].as_array().unwrap();
    assert_eq!(accounts.len(), day.shops.len(), "{said}");
    assert_eq!(lab.events().await.len(), head, "a recovery publishes nothing");
    before.must_equal(&Tables::read(&lab).await);

    for role in [Role::Worker, Role::Projector, Role::Api] {
        lab.run(role).await;
    }
    lab.all_ready().await;
    lab.settled().await;
    assert_eq!(lab.simulator.count(CallKind::Send), sends, "accounts without tokens send nothing");
    for shop in &day.shops {
        shop.reconnect(&lab).await;
    }
    // What was accepted and never attempted is carried out; what was attempted is found, not repeated.
    all_ended(&lab, day.commands, WITHIN).await;
    assert!(lab.simulator.settled(Duration::from_secs(20)).await);
    lab.settled().await;
    assert_eq!(lab.simulator.count(CallKind::Send), sends + 1);
    before.must_be_within(&Tables::read(&lab).await);
    let known: BTreeSet<String> = before.event_ids();
    let again: Vec<Value> = events_after(&lab, head)
        .await
        .into_iter()
        .filter(|event| known.contains(event["id"].as_str().unwrap()))
        .collect();
    assert!(again.is_empty(), "published again: {again:?}");
    day.goes_on(&lab).await;
    assert_eq!(audit(&lab, &day.asked).await.of("sent"), day.asked.len());
    day.nobody_got_anything_twice();
    lab.hookline_ok(&["verify"]).await;
}

/// What the normaliser had parked is parked again, in its order, and webhooks under another id of the account are still the account's.
#[tokio::test(flavor = "multi_thread")]
async fn parked_work_and_other_names_of_an_account_come_back() {
    const ALIAS: &str = "25500000000000101";
    let mut lab = lab_apart().await;
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &["--alias", ALIAS]).await;
    lab.poison("new.message_id = 'mid.poison'").await;
    let (meta, at, person) = (lab.meta(), now(), "5200000000000666");
    let post = async |account: &str, mid: &str, at: i64, words: &str| {
        let body =
            body("instagram", &[entry(account, at, &[text(account, person, mid, at, words)])]);
        assert_eq!(meta.post("/webhooks/instagram", &body).await, 200);
    };
    for (n, (mid, words)) in
        [("mid.poison", "one"), ("mid.2", "two"), ("mid.3", "three")].into_iter().enumerate()
    {
        post(IG, mid, at + i64::try_from(n).unwrap(), words).await;
        eventually("it is parked, and INBOX_DEAD has a copy", WITHIN, async || {
            let copies = lab.last_sequence("INBOX_DEAD").await;
            tests::client::holds(copies > n as u64, || format!("{copies} copies"))
        })
        .await;
    }
    // Somebody else is served: the worker has read beyond what it had parked.
    let other =
        entry(ALIAS, at, &[text(ALIAS, "5200000000000777", "mid.other", at, "by its other name")]);
    assert_eq!(meta.post("/webhooks/instagram", &body("instagram", &[other])).await, 200);
    lab.settled().await;
    lab.kill9(Role::Worker).await;
    lose_postgres(&mut lab).await;
    let said: Value = serde_json::from_str(lab.hookline_ok(&RECOVER).await.trim()).unwrap();
    // The first was published before Postgres refused it. It is a fact now, and the others wait behind nothing.
    assert_eq!(said["result"]["parked"], 2, "{said}");
    assert_eq!(said["accounts_without_token"][0]["aliases"][0], ALIAS, "{said}");
    for role in [Role::Worker, Role::Projector, Role::Api] {
        lab.run(role).await;
    }
    lab.all_ready().await;
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &[]).await;
    post(ALIAS, "mid.4", at + 4, "four").await;
    eventually("all of it is there, in order", WITHIN, async || {
        let texts: Vec<String> = sqlx::query_scalar(
            "select text from inbox.messages where contact_id = $1 order by sent_at",
        )
        .bind(person)
        .fetch_all(lab.pool())
        .await
        .unwrap();
        tests::client::holds(texts == ["one", "two", "three", "four"], || format!("{texts:?}"))
    })
    .await;
    let accounts: Vec<String> =
        sqlx::query_scalar("select distinct account_id from inbox.messages")
            .fetch_all(lab.pool())
            .await
            .unwrap();
    assert_eq!(accounts, [IG]);
}

/// How quick it is, with what many webhooks leave behind.
#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_events_come_back_quickly() {
    let mut lab = lab_apart().await;
    let traffic = std::sync::Arc::new(Traffic::new(7, 40, share(2_000, soak())));
    traffic.add_accounts(&lab).await;
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(traffic.deliveries()));
    traffic.clone().deliver(lab.meta(), gate).await;
    traffic.arrive(&lab).await;
    let before = Tables::read(&lab).await;
    lab.kill9(Role::Worker).await;
    lose_postgres(&mut lab).await;
    let events = lab.last_sequence("INBOX_EVENTS").await;
    let began = Instant::now();
    lab.hookline_ok(&RECOVER).await;
    #[allow(clippy::cast_precision_loss)] // a rate
    let rate = events as f64 / began.elapsed().as_secs_f64();
    println!("{events} events in {:?}: {rate:.0} events/s", began.elapsed());
    before.must_equal(&Tables::read(&lab).await);
    // 10^5 in ten minutes, whatever else the machine does.
    assert!(rate > 167.0, "{rate:.0} events/s");
    assert_eq!(traffic.check(&lab).await, tests::traffic::Findings::default());
}
