//! Nothing is sent: with the ledger full and emptied, and with each gate taken away in turn.

use std::path::Path;
use std::time::Duration;

use simulator::{AccountSpec, CallKind};
use tests::body::{IG, now};
use tests::crowd::all_ended;
use tests::traffic::{share, soak};
use tests::{Lab, Role, eventually};

use super::{bodies, deliver, differences, digests, number, replay, rows};

const EVENTS: usize = 100_000;
/// Messages that are young enough to be answered, and are.
const YOUNG: usize = 20;

async fn automate_has_read_all(lab: &Lab) {
    let last = lab
        .messages("INBOX_EVENTS")
        .await
        .iter()
        .filter(|message| message.subject.ends_with("message-received"))
        .map(|message| message.info().unwrap().stream_sequence)
        .max()
        .unwrap();
    eventually("the automations have read everything", Duration::from_secs(600), async || {
        let at: i64 =
            sqlx::query_scalar("select seq from worker.positions where name = 'automate'")
                .fetch_one(lab.pool())
                .await
                .map_err(|error| error.to_string())?;
        tests::client::holds(u64::try_from(at).unwrap() >= last, || format!("{at} of {last}"))
    })
    .await;
    // For a call that must not come there is nothing to wait for.
    tokio::time::sleep(Duration::from_secs(1)).await;
}

async fn restart_worker(lab: &mut Lab, meanwhile: &'static str) {
    lab.kill9(Role::Worker).await;
    sqlx::raw_sql(meanwhile).execute(lab.pool()).await.unwrap();
    lab.lapse(Role::Worker).await;
    lab.run(Role::Worker).await;
    lab.ready(Role::Worker).await;
}

/// Replays everything twice: no fact, no event, no row, no send.
async fn changes_nothing(lab: &Lab, sends: u64) {
    let facts = number(lab, "select count(*) from worker.facts").await;
    let (rows, head) = (digests(lab).await, lab.last_sequence("INBOX_EVENTS").await);
    for _ in 0..2 {
        let done = replay(lab, &["--reason", "test"], &[], 0).await;
        assert_eq!(differences(&done["plan"]), (0, 0, 0), "{done}");
        assert_eq!(differences(&done["result"]), (0, 0, 0), "{done}");
    }
    assert_eq!(number(lab, "select count(*) from worker.facts").await, facts);
    assert_eq!(lab.last_sequence("INBOX_EVENTS").await, head);
    assert_eq!(digests(lab).await, rows);
    assert_eq!(lab.simulator.count(CallKind::Send), sends);
}

async fn sends_nothing(of: f64) {
    let events = share(EVENTS, of);
    let mut lab = Lab::with_roles_apart().await;
    let account = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    lab.add_account("instagram", "instagram", IG, &account.token(), &["--auto-reply", "Thanks!"])
        .await;
    let crowd: Vec<simulator::Person> =
        (0..YOUNG).map(|n| account.person(&format!("Person {n}"))).collect();
    let people: Vec<String> = crowd.iter().map(|person| person.id().to_owned()).collect();
    let hour = 3_600_000;
    deliver(&lab, &bodies("old", &people, events - YOUNG, now() - hour)).await;
    let acts: Vec<_> = crowd.iter().map(|person| person.says("young")).collect();
    for act in &acts {
        act.accepted().await.unwrap();
    }
    all_ended(&lab, YOUNG, Duration::from_secs(120)).await;
    assert!(lab.simulator.settled(Duration::from_secs(30)).await);
    lab.settled().await;
    rows(&lab, events + YOUNG).await;
    lab.settled().await;
    let sends = lab.simulator.count(CallKind::Send);
    assert_eq!(sends, YOUNG as u64);

    changes_nothing(&lab, sends).await;
    let rows_before = digests(&lab).await;
    // The age does not keep it quiet any more; the header does.
    lab.set("AUTO_REPLY_MAX_AGE", "100000h");
    restart_worker(&mut lab, "select 1").await;
    let done = replay(&lab, &["--all"], &[], 0).await;
    assert!(done["result"]["again"].as_u64().unwrap() >= events as u64, "{done}");
    automate_has_read_all(&lab).await;
    assert_eq!(lab.simulator.count(CallKind::Send), sends, "the header alone suffices");
    // The header is taken away too, of those that were answered: the ledger has them.
    strip_header(&lab, true).await;
    automate_has_read_all(&lab).await;
    assert_eq!(lab.simulator.count(CallKind::Send), sends, "the ledger alone suffices");
    // Without a header, of those that were not answered: they are too old.
    lab.settings.remove("AUTO_REPLY_MAX_AGE");
    // And without a ledger: what was taken over before is never attempted again.
    let ledger = "delete from worker.parts; delete from worker.commands;";
    restart_worker(&mut lab, ledger).await;
    strip_header(&lab, false).await;
    automate_has_read_all(&lab).await;
    assert_eq!(lab.simulator.count(CallKind::Send), sends, "the age alone suffices");
    changes_nothing(&lab, sends).await;
    // The ledger is gone and the age does not count: the header.
    lab.set("AUTO_REPLY_MAX_AGE", "100000h");
    restart_worker(&mut lab, "select 1").await;
    replay(&lab, &["--all"], &[], 0).await;
    automate_has_read_all(&lab).await;
    lab.settled().await;
    assert_eq!(lab.simulator.count(CallKind::Send), sends);
    assert_eq!(digests(&lab).await, rows_before, "rows are a function of the set of events");
}

/// Publishes stored events of messages anew without the header, as no replay does: those that were answered, or those that were not.
async fn strip_header(lab: &Lab, young: bool) {
    let js = lab.jetstream().await;
    let mut count = 0;
    for message in lab.messages("INBOX_EVENTS").await {
        let event: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
        let is_young = event["data"]["text"] == "young";
        let replayed = message.headers.clone().unwrap_or_default();
        if !message.subject.ends_with("message-received")
            || is_young != young
            || replayed.get("Hookline-Replay").is_some()
            || count == 200
        {
            continue;
        }
        count += 1;
        js.publish(message.subject.clone(), message.payload.clone()).await.unwrap().await.unwrap();
    }
    assert!(count > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn replaying_everything_sends_nothing_whichever_gate_is_missing() {
    // A twentieth takes a minute and a half of two cores, which the other tests need too.
    sends_nothing(1.0 / 50.0).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak"]
async fn soak_replay() {
    sends_nothing(soak()).await;
}

/// The lane has no way to Meta, to the ledger or to commands: its files do not even name them.
#[test]
fn the_lane_names_neither_graph_nor_ledger_nor_commands() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = root.join("worker/inbound/src/replay");
    let mut files = vec![root.join("worker/inbound/src/replay.rs")];
    crate::sources::below(&folder, &mut files);
    assert!(files.len() >= 7, "{files:?}");
    let banned = [
        "graph::",
        "outbound::",
        "reqwest::",
        "commands::",
        "ledger::",
        "INBOX_COMMANDS",
        "COMMAND_ALL",
    ];
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for word in banned {
                assert!(!line.contains(word), "{}: `{word}`", file.display());
            }
            assert!(!line.contains("inbox.v1.command"), "{}", file.display());
        }
    }
}
