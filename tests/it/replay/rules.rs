//! What a replay finds: another rule, an account that came later, a sender that was found; and nothing the second time.

use std::time::Duration;

use serde_json::json;
use simulator::{AccountSpec, CallKind};
use tests::body::{IG, body, entry, instagram, now, text};
use tests::{Lab, eventually};

use super::{
    add, bodies, deliver, differences, is_nothing, number, people, repeated, replay, rows, sum,
};

const CHANGED: &[(&str, &str)] = &[("HOOKLINE_FAILPOINTS", "normalize.rule=change")];

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_rule_changes_exactly_what_it_is_about() {
    let lab = Lab::with_all_roles().await;
    add(&lab, &[]).await;
    let (people, at) = (people(5), now() - 1000);
    let mut webhooks = bodies("m", &people, 200, at);
    for n in 0..7 {
        let item = text(IG, &people[0], &format!("blue.{n}"), at + n, "a blue lamp");
        webhooks.push(body("instagram", &[entry(IG, at, &[item])]));
    }
    for n in 0..3 {
        let read = json!({"sender": {"id": people[1]}, "recipient": {"id": IG}, "timestamp": at + n,
                          "read": {"mid": format!("mid.read.{n}")}});
        webhooks.push(instagram(read.clone()));
        // Reported twice, in other bytes.
        webhooks.push(body("instagram", &[entry(IG, at + 7, &[read])]));
    }
    deliver(&lab, &webhooks).await;
    lab.settled().await;
    is_nothing(&replay(&lab, &["--dry-run"], &[], 0).await["plan"]);

    let head = lab.last_sequence("INBOX_EVENTS").await;
    let dry = replay(&lab, &["--dry-run"], CHANGED, 0).await;
    let plan = &dry["plan"];
    assert_eq!(differences(plan), (0, 7, 3), "{plan}");
    assert_eq!(plan["kinds"]["message.received"]["changed"], 7);
    assert_eq!(plan["kinds"]["message.read"]["withdrawn"], 3);
    let samples = plan["samples"].as_array().unwrap();
    for sample in samples.iter().filter(|sample| sample["verdict"] == "changed") {
        assert_eq!(sample["fields"], json!(["text"]), "{sample}");
    }
    assert!(samples.len() >= 6 && !dry.to_string().to_lowercase().contains("lamp"), "{dry}");
    assert_eq!(lab.last_sequence("INBOX_EVENTS").await, head, "a dry run changes nothing");
    // A slice that ends before the head withdraws nothing that another raw webhook may report.
    let most = (lab.last_sequence("META_RAW").await - 1).to_string();
    let short = replay(&lab, &["--dry-run", "--seq", &format!("1..{most}")], CHANGED, 0).await;
    assert_eq!(sum(&short["plan"], "withdrawn"), 0, "{short}");

    let done = replay(&lab, &["--reason", "a new rule"], CHANGED, 0).await;
    assert_eq!(differences(&done["result"]), (0, 7, 3), "{done}");
    lab.settled().await;
    let loud = number(&lab, "select count(*) from inbox.messages where text = 'A BLUE LAMP'").await;
    assert_eq!(loud, 7);
    assert_eq!(
        number(&lab, "select count(*) from inbox.messages where text = 'a blue lamp'").await,
        0
    );
    assert_eq!(
        number(&lab, "select count(*) from worker.withdrawn where reason = 'vanished'").await,
        3
    );
    let again = replay(&lab, &[], CHANGED, 0).await;
    is_nothing(&again["plan"]);
    assert_eq!(repeated(&lab).await, (Vec::new(), 10));
    // The old rule again: the readings come back, what was withdrawn does not.
    let back = replay(&lab, &["--dry-run"], &[], 0).await;
    assert_eq!(sum(&back["plan"], "refused"), 6, "{back}");
    let acts = number(
        &lab,
        "select count(*) from ops.audit where verb = 'replay' and reason = 'a new rule'",
    )
    .await;
    assert_eq!(acts, 2, "its beginning and its end are on record");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_came_later_gets_its_past_and_nobody_an_answer() {
    let lab = Lab::with_all_roles().await;
    let account = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    let ann = account.person("Ann Berg");
    ann.says("hello?").accepted().await.unwrap();
    let bob = account.person("Bob");
    bob.senderless().says("is anybody there?").accepted().await.unwrap();
    lab.settled().await;
    assert_eq!(number(&lab, "select count(*) from inbox.messages").await, 0);
    lab.add_account("instagram", "instagram", IG, &account.token(), &["--auto-reply", "Thanks!"])
        .await;
    let plan = replay(&lab, &["--dry-run", "--account", IG], &[], 0).await;
    assert_eq!(plan["plan"]["kinds"]["webhook.unrecognized"]["withdrawn"], 2, "{plan}");
    assert_eq!(plan["plan"]["waiting"], 1, "{plan}");
    let done = replay(&lab, &["--account", IG, "--since", "1h"], &[], 0).await;
    assert_eq!(sum(&done["result"], "withdrawn"), 2, "{done}");
    rows(&lab, 2).await;
    lab.settled().await;
    let superseded = "select count(*) from worker.withdrawn where reason = 'superseded' and superseded_by is not null";
    assert_eq!(number(&lab, superseded).await, 1, "the sender-less item has no heir yet");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(lab.simulator.count(CallKind::Send), 0, "nobody is answered for the past");
    let messages = lab.messages("INBOX_EVENTS").await;
    for message in messages.iter().filter(|message| message.subject.ends_with("message-received")) {
        let headers = message.headers.clone().unwrap();
        assert!(headers.get("Hookline-Replay").is_some(), "{}", message.subject);
    }
    is_nothing(&replay(&lab, &["--account", IG, "--since", "1h"], &[], 0).await["plan"]);
    // What is written from now on is answered.
    ann.says("still here").accepted().await.unwrap();
    eventually("she is answered", Duration::from_secs(20), async || {
        tests::client::holds(lab.simulator.count(CallKind::Send) == 1, || "not yet".to_owned())
    })
    .await;
    // Removed, its conversations stay.
    let (code, out, err) = lab.hookline(&["accounts", "remove", IG]).await;
    assert_eq!(code, 0, "{out}{err}");
    let removed = replay(&lab, &["--dry-run"], &[], 0).await;
    assert_eq!(sum(&removed["plan"], "withdrawn"), 0, "{removed}");
    assert!(removed["plan"]["kept"].as_u64().unwrap() > 0, "{removed}");
}
