//! Postgres is put back to an earlier state: nobody is answered twice, and sending goes on by itself. The log of attempts decides.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use simulator::CallKind;
use tests::cable::Cable;
use tests::crowd::{self, Asked, Shop, all_ended, ask, audit};
use tests::lab::{is_stopped, signal};
use tests::{Lab, LabOptions, Role, eventually};

const WITHIN: Duration = Duration::from_secs(60);

/// What Postgres has now.
async fn backup(lab: &mut Lab) -> PathBuf {
    let kept = lab.cold_copy_of_postgres("backup").await;
    lab.all_ready().await;
    kept
}

async fn reply_to_all(lab: &Lab, shops: &[Shop], what: &str) -> Vec<Asked> {
    let wishes = shops.iter().flat_map(|shop| {
        let texts = shop.people.iter().enumerate();
        texts.map(move |(n, person)| (shop, person, format!("{what} {n}"), format!("{what}-{n}")))
    });
    ask(lab, wishes.collect()).await
}

async fn stage() -> (Lab, Vec<Shop>) {
    let mut lab = Lab::start_with(LabOptions::OWN).await;
    lab.run_apart().await;
    // Instagram Login, Instagram by a Page, Messenger.
    let shops = crowd::open(&lab, 0..3, 2).await;
    (lab, shops)
}

/// Waits until the worker says that it is frozen, as `status` and `doctor` do.
async fn frozen(lab: &Lab) {
    eventually("the worker is frozen", WITHIN, async || {
        let said = lab.readyz(Role::Worker).await.1;
        tests::client::holds(said.contains("frozen: ledger behind the log"), || said.clone())
    })
    .await;
}

/// Nobody got anything twice, everything of `asked` was sent, and what is asked for now is sent too.
async fn once(lab: &Lab, shops: &[Shop], asked: &[Asked]) {
    eventually("the worker sends again", WITHIN, async || {
        let said = lab.readyz(Role::Worker).await.1;
        tests::client::holds(said.contains("\"ready\""), || said.clone())
    })
    .await;
    all_ended(lab, asked.len(), WITHIN).await;
    let before = lab.simulator.count(CallKind::Send);
    let mut all = asked.to_vec();
    all.extend(reply_to_all(lab, shops, "new").await);
    all_ended(lab, all.len(), WITHIN).await;
    assert!(lab.simulator.settled(Duration::from_secs(20)).await);
    lab.settled().await;
    let new = (all.len() - asked.len()) as u64;
    assert_eq!(lab.simulator.count(CallKind::Send), before + new);
    let tally = audit(lab, &all).await;
    assert_eq!(tally.of("sent"), all.len(), "{tally:?}");
    for shop in shops {
        for person in &shop.people {
            let mut texts = person.texts_received();
            let count = texts.len();
            texts.sort();
            texts.dedup();
            assert_eq!(texts.len(), count, "{} got something twice: {texts:?}", person.name());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_backup_that_is_put_back_sends_nothing_again() {
    let (mut lab, shops) = stage().await;
    let mut asked = reply_to_all(&lab, &shops, "before").await;
    all_ended(&lab, asked.len(), WITHIN).await;
    let backup = backup(&mut lab).await;
    // Two a person, of which the backup knows nothing.
    for what in ["one", "two"] {
        asked.extend(reply_to_all(&lab, &shops, what).await);
    }
    all_ended(&lab, asked.len(), WITHIN).await;
    let sends = lab.simulator.count(CallKind::Send);
    for role in [Role::Worker, Role::Projector, Role::Api] {
        lab.kill9(role).await;
    }
    lab.put_postgres_back(&backup).await;
    for role in [Role::Worker, Role::Projector, Role::Api] {
        lab.lapse(role).await;
        lab.run(role).await;
    }
    frozen(&lab).await;
    let (_, out, _) = lab.hookline(&["doctor", "--output", "json"]).await;
    let (_, status, _) = lab.hookline(&["status", "--output", "json"]).await;
    let status: Value = serde_json::from_str(&status).unwrap();
    // It may have ended meanwhile: then neither names it.
    let named = out.contains("frozen: ledger behind the log");
    println!("doctor named it: {named}; status: {}", status["behind_log"]);
    once(&lab, &shops, &asked).await;
    assert_eq!(sends + 6, lab.simulator.count(CallKind::Send));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_put_back_under_a_running_worker_sends_nothing_again() {
    let (mut lab, shops) = stage().await;
    let backup = backup(&mut lab).await;
    let mut asked = Vec::new();
    for what in ["one", "two"] {
        asked.extend(reply_to_all(&lab, &shops, what).await);
    }
    all_ended(&lab, asked.len(), WITHIN).await;
    let sends = lab.simulator.count(CallKind::Send);
    lab.put_postgres_back(&backup).await;
    frozen(&lab).await;
    once(&lab, &shops, &asked).await;
    assert_eq!(sends + 6, lab.simulator.count(CallKind::Send));
}

/// The worker died before it could publish what became of its sends, and Meta reports no echo: what threads show settles them.
#[tokio::test(flavor = "multi_thread")]
async fn what_no_outcome_and_no_echo_shows_is_read_from_the_threads() {
    let (mut lab, shops) = stage().await;
    lab.simulator.set_policy(|policy| policy.echoes = false).unwrap();
    let backup = backup(&mut lab).await;
    lab.kill9(Role::Worker).await;
    lab.lapse(Role::Worker).await;
    // Every send of this worker ends, no outcome of it is published.
    lab.run_to_die(Role::Worker, "outcome.before_publish=kill").await;
    let asked = reply_to_all(&lab, &shops, "one").await;
    assert!(lab.died(Role::Worker, WITHIN).await);
    assert!(lab.simulator.count(CallKind::Send) > 0);
    for role in [Role::Projector, Role::Api] {
        lab.kill9(role).await;
    }
    lab.put_postgres_back(&backup).await;
    for role in [Role::Worker, Role::Projector, Role::Api] {
        lab.lapse(role).await;
        lab.run(role).await;
    }
    lab.all_ready().await;
    once(&lab, &shops, &asked).await;
    assert_eq!(lab.simulator.count(CallKind::Send), 12);
}

/// The ledger refuses what it refused before, but says nothing of what it does not know: a verdict needs the log as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_the_log_and_the_ledger_is_no_second_send() {
    let mut lab = Lab::with_roles_apart().await;
    let shops = crowd::open(&lab, 0..3, 1).await;
    lab.kill9(Role::Worker).await;
    lab.lapse(Role::Worker).await;
    lab.run_to_die(Role::Worker, "send.after_log=kill").await;
    let asked = reply_to_all(&lab, &shops, "one").await;
    assert!(lab.died(Role::Worker, WITHIN).await);
    lab.lapse(Role::Worker).await;
    let sends = lab.simulator.count(CallKind::Send);
    lab.run(Role::Worker).await;
    // One that died holds up its own lane only: nothing is frozen.
    lab.ready(Role::Worker).await;
    all_ended(&lab, asked.len(), WITHIN).await;
    println!("{sends} sent by the worker that died");
    let logged: i64 = sqlx::query_scalar("select count(*) from worker.behind_log")
        .fetch_one(lab.pool())
        .await
        .unwrap();
    assert_eq!(logged, 0);
    once(&lab, &shops, &asked).await;
    assert_eq!(lab.simulator.count(CallKind::Send), 6);
}

/// The broker stores an attempt and its ack is lost: the worker knows that it asked Meta for nothing, and loses no time.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_ack_of_the_log_costs_no_second_send() {
    let mut lab = Lab::start().await;
    let cable = Cable::to_port(lab.nats.port()).await;
    let straight = lab.nats.url();
    lab.run_apart().await;
    let shops = crowd::open(&lab, 0..3, 1).await;
    lab.kill9(Role::Worker).await;
    lab.lapse(Role::Worker).await;
    lab.set("NATS_URL", &cable.instead_of(&straight));
    lab.set(runtime::failpoint::ENV, "send.before_log=stop");
    lab.run(Role::Worker).await;
    lab.settings.remove(runtime::failpoint::ENV);
    lab.set("NATS_URL", &straight);
    lab.ready(Role::Worker).await;
    let logged = lab.last_sequence("INBOX_ATTEMPTS").await;
    let one = vec![(&shops[0], &shops[0].people[0], "one 0".to_owned(), "one-0".to_owned())];
    let asked = ask(&lab, one).await;
    let pid = lab.pid(Role::Worker, 0);
    is_stopped(pid, "the worker stands before the log", WITHIN).await;
    cable.deafen().await;
    signal(pid, rustix::process::Signal::CONT);
    eventually("the attempt is in the log", WITHIN, async || {
        let now = lab.last_sequence("INBOX_ATTEMPTS").await;
        tests::client::holds(now > logged, || format!("{now}"))
    })
    .await;
    assert_eq!(lab.simulator.count(CallKind::Send), 0, "no ack, no send");
    tokio::time::sleep(Duration::from_secs(1)).await;
    cable.mend();
    all_ended(&lab, 1, WITHIN).await;
    once(&lab, &shops, &asked).await;
    let reads = lab.simulator.count(CallKind::Conversations);
    println!("{reads} threads were read");
    assert_eq!(lab.simulator.count(CallKind::Send), 4);
}

/// The log has expired, or is gone and another one was adopted: the ledger counts, and sending goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_expired_or_was_adopted_is_taken_as_it_is() {
    let mut lab = Lab::start().await;
    lab.run_apart().await;
    let shops = crowd::open(&lab, 0..3, 1).await;
    let mut asked = reply_to_all(&lab, &shops, "one").await;
    all_ended(&lab, asked.len(), WITHIN).await;
    let js = lab.jetstream().await;
    let stream = js.get_stream("INBOX_ATTEMPTS").await.unwrap();
    let last = stream.cached_info().state.last_sequence;
    assert!(last >= 1, "attempts are logged: {last}");
    for seq in 1..=last {
        stream.delete_message(seq).await.unwrap();
    }
    asked.extend(reply_to_all(&lab, &shops, "two").await);
    all_ended(&lab, asked.len(), WITHIN).await;
    js.delete_stream("INBOX_ATTEMPTS").await.unwrap();
    lab.hookline_ok(&["streams", "adopt", "INBOX_ATTEMPTS", "--reason", "lost"]).await;
    asked.extend(reply_to_all(&lab, &shops, "three").await);
    all_ended(&lab, asked.len(), WITHIN).await;
    once(&lab, &shops, &asked).await;
    assert_eq!(lab.simulator.count(CallKind::Send), 12);
}
