//! Importing a whole account: exact, resumable, and quietly beside everything else.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use serde_json::{Value, json};
use simulator::{AccountSpec, CallKind, Fault, FaultRule, Person, Telling};
use tests::body::{IG, PAGE};
use tests::{Lab, Role, eventually};

const PEOPLE: usize = 300;
/// Of them: alone with the account no more.
const GONE: usize = 3;
/// Calls of the Conversations API a second, raised: 20.
const PACE: &str = "conversations=50ms";

/// Roles apart, at a raised pace of the Conversations API.
async fn lab() -> Lab {
    let mut lab = Lab::start().await;
    let waits = lab.settings[runtime::waits::ENV].clone();
    lab.set(runtime::waits::ENV, &format!("{waits};{PACE}"));
    lab.run_apart().await;
    lab
}

/// How many conversations the import has looked at, and whether it is under way.
async fn looked_at(lab: &Lab) -> (i64, bool) {
    let counts = "select (select count(*) from worker.synced_threads),
                         exists (select from worker.commands where command = 'sync' and state = 'open')";
    sqlx::query_as(counts).fetch_one(lab.pool()).await.unwrap()
}

/// Kills the worker in the middle; another one need not wait for the claim to lapse.
async fn kill_worker_at(lab: &mut Lab, threads: i64) {
    eventually("the import is under way", Duration::from_secs(60), async || {
        match looked_at(lab).await {
            (looked, true) if threads <= looked => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    lab.kill9(Role::Worker).await;
    let due = "update worker.commands set due_at = now() where state = 'open'";
    sqlx::query(due).execute(lab.pool()).await.unwrap();
    lab.lapse(Role::Worker).await;
    lab.run(Role::Worker).await;
    lab.ready(Role::Worker).await;
}

fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    let name = format!("hookline.{kind}.v1");
    events.iter().filter(|event| event["type"] == name.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_killed_goes_on_and_its_report_is_exact() {
    let mut lab = lab().await;
    let page = lab.simulator.add_account(AccountSpec::messenger(PAGE)).unwrap();
    let answer = ["--auto-reply", "We will be back soon."];
    lab.add_account("messenger", "facebook", PAGE, &page.token(), &answer).await;
    let people: Vec<Person> = (0..PEOPLE).map(|n| page.person(&format!("Person {n}"))).collect();
    for (n, person) in people.iter().enumerate() {
        let silent = person.reported(Telling::Silent);
        silent.ago(TimeDelta::minutes(1_000 + n as i64)).says("first words");
        silent.ago(TimeDelta::minutes(900 + n as i64)).says("last words");
        if n < GONE {
            person.leaves();
        }
    }
    // Large pages are refused, so smaller ones are asked for; later a cursor ends.
    lab.simulator.set_policy(|policy| policy.listing_max = 8).unwrap();
    let mut verb = lab
        .command(&["accounts", "sync", PAGE, "--output", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    kill_worker_at(&mut lab, 40).await;
    lab.simulator.fault(FaultRule::new(Fault::CursorEnded).on(CallKind::Conversations).times(1));
    kill_worker_at(&mut lab, 120).await;
    // How far it has come can be read while it runs; one conversation is imported at once beside it, and one moves up.
    let api = lab.api();
    let command: String =
        sqlx::query_scalar("select command_id from worker.commands where command = 'sync'")
            .fetch_one(lab.pool())
            .await
            .unwrap();
    let (status, state) = api.get(&format!("/v1/commands/{command}")).await;
    assert_eq!((status, &state["status"]), (200, &json!("queued")), "{state}");
    assert!(state["result"]["synced"].as_u64().is_some_and(|synced| synced >= 100), "{state}");
    assert!(state["result"]["walk"].is_null(), "{state}");
    let last = &people[PEOPLE - 1];
    last.reported(Telling::Silent).says("moved up");
    let id = conversation_of(&lab, PAGE, people[5].id()).await;
    let began = Instant::now();
    let (status, messages) = api.get(&format!("/v1/conversations/{id}/messages?sync=true")).await;
    let (took, (_, under_way)) = (began.elapsed(), looked_at(&lab).await);
    assert_eq!(status, 200, "{messages}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(under_way, "the account is imported beside");

    let ended = tokio::time::timeout(Duration::from_secs(180), verb.wait()).await;
    let code = ended.expect("the import ends").unwrap().code();
    let output = verb.wait_with_output().await.unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(code, Some(0), "{report}");
    let expected = json!({"synced": PEOPLE - GONE, "failed": 0, "skipped": GONE, "messages": 2 * (PEOPLE - GONE) + 1});
    for (name, count) in expected.as_object().unwrap() {
        assert_eq!(&report[name], count, "{name}: {report}");
    }
    assert_eq!(report["reasons"], json!({"only_account": GONE}), "{report}");
    lab.settled().await;

    let events = lab.events().await;
    let mut contacts: BTreeMap<&str, usize> = BTreeMap::new();
    for found in of_kind(&events, "contact.discovered") {
        *contacts.entry(found["subject"].as_str().unwrap()).or_default() += 1;
        let contact = found["data"]["contact_id"].as_str().unwrap();
        let name = format!("User {}", &contact[contact.len() - 6..]);
        assert_eq!(found["data"]["placeholder"], name.as_str(), "{found}");
        assert!(found["data"]["last_interaction_at"].is_string(), "{found}");
    }
    assert_eq!(contacts.len(), PEOPLE - GONE);
    assert!(contacts.values().all(|count| *count == 1), "{contacts:?}");
    let received = of_kind(&events, "message.received");
    assert_eq!(received.len(), 2 * (PEOPLE - GONE) + 1);
    assert!(received.iter().all(|event| event["data"]["origin"]["via"] == "backfill"));
    assert_eq!(lab.simulator.count(CallKind::Profile), 0, "an import reads no profile");
    assert!(lab.simulator.received().is_empty(), "nothing that is imported is answered");
    // At their own times: the oldest first words were said 1299 minutes ago.
    let (_, conversation) = api.get(&format!("/v1/conversations/{id}")).await;
    assert_eq!(
        (&conversation["unread_count"], &conversation["last_message"]["text"]),
        (&json!(0), &json!("last words"))
    );
    changes_nothing(&lab, &report).await;
}

/// Again: nothing changes but that the command ended.
async fn changes_nothing(lab: &Lab, report: &Value) {
    let before = lab.last_sequence("INBOX_EVENTS").await;
    let (code, out, err) = lab.hookline(&["accounts", "sync", PAGE, "--output", "json"]).await;
    assert_eq!(code, 0, "{out}{err}");
    let again: Value = serde_json::from_str(&out).unwrap();
    for name in ["synced", "failed", "skipped", "messages", "reasons"] {
        assert_eq!(again[name], report[name], "{name}: {again}");
    }
    eventually("the end is published", Duration::from_secs(20), async || {
        let now = lab.last_sequence("INBOX_EVENTS").await;
        if now == before + 1 { Ok(()) } else { Err(format!("{before} before, {now} now")) }
    })
    .await;
}

/// The conversation of a person, once it shows.
async fn conversation_of(lab: &Lab, account: &str, contact: &str) -> String {
    let api = lab.api();
    eventually("the conversation shows", Duration::from_secs(60), async || {
        let path = format!("/v1/conversations?account_id={account}&q={contact}");
        let (status, page) = api.get(&path).await;
        let found = page["conversations"][0]["id"].as_str().map(str::to_owned);
        found.ok_or_else(|| format!("{status} {page}"))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_may_begin_at_a_time_and_says_what_meta_refuses() {
    let lab = lab().await;
    let shop = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    lab.add_account("instagram", "instagram", IG, &shop.token(), &[]).await;
    for n in 0..60_i64 {
        let person = shop.person(&format!("Person {n}")).reported(Telling::Silent);
        person.ago(TimeDelta::hours(n)).says("old words");
    }
    let (code, out, err) =
        lab.hookline(&["accounts", "sync", IG, "--since", "30m", "--dry-run"]).await;
    assert_eq!((code, out.contains("Would import")), (0, true), "{out}{err}");
    assert_eq!(lab.last_sequence("INBOX_COMMANDS").await, 0);
    let since = format!("{}m", 29 * 60 + 30);
    let (code, out, err) =
        lab.hookline(&["accounts", "sync", IG, "--since", &since, "--output", "json"]).await;
    assert_eq!(code, 0, "{out}{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&report["synced"], &report["failed"]), (&json!(30), &json!(0)), "{report}");
    assert_eq!(report["status"], "done", "{report}");
    // By the api as well.
    let since = chrono::Utc::now() - TimeDelta::minutes(90);
    let path = format!("/v1/accounts/{IG}/sync?wait=20s");
    let (status, done) = lab.api().post(&path, json!({"since": since.to_rfc3339()})).await;
    assert_eq!((status, &done["result"]["synced"]), (200, &json!(2)), "{done}");
    lab.simulator.fault(FaultRule::new(Fault::NoCapability).on(CallKind::Conversations));
    let (code, out, err) = lab.hookline(&["accounts", "sync", IG, "--output", "json"]).await;
    assert_eq!(code, 1, "{out}{err}");
    let failed: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&failed["status"], &failed["error"]["code"]),
        (&json!("failed"), &json!("permission")),
        "{failed}"
    );
    let (code, ..) = lab.hookline(&["accounts", "sync", IG, "--since", "soon"]).await;
    assert_eq!(code, 2);
}
