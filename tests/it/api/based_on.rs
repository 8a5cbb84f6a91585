//! Replies that depend on what their author has seen, and replies for later.

use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};
use simulator::{AccountHandle, Person};
use tests::crowd::{connect_both, reaches, writes};
use tests::{Api, Lab, eventually};

use super::{ROBOT, is_problem, lab_without_accounts, with_token};

const LONG: Duration = Duration::from_secs(60);

/// The time so many seconds from now, as a request has it.
fn in_seconds(seconds: i64) -> String {
    (Utc::now() + chrono::TimeDelta::seconds(seconds)).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// What a program sees: everything that is projected now.
async fn looks(lab: &Lab, api: &Api, path: &str) -> String {
    lab.settled().await;
    let answer = api.http.get(format!("{}{path}", api.url)).bearer_auth(&api.token).send().await;
    answer.unwrap().headers()["etag"].to_str().unwrap().to_owned()
}

/// Answers with what was seen, and waits for the outcome.
async fn answers(api: &Api, path: &str, seen: Option<&str>, text: &str) -> (u16, Value) {
    let request = api.http.post(format!("{}{path}/messages?wait=30s", api.url));
    let request = request.bearer_auth(&api.token).header("idempotency-key", text.replace(' ', "-"));
    let request = match seen {
        Some(seen) => request.header("if-match", seen),
        None => request,
    };
    let answer = request.json(&json!({"text": text})).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

fn is_overtaken((status, reply): (u16, Value)) {
    assert_eq!((status, &reply["status"]), (200, &json!("failed")), "{reply}");
    assert_eq!(reply["error"]["code"], "overtaken", "{reply}");
}

fn is_sent((status, reply): (u16, Value)) {
    assert_eq!((status, &reply["status"]), (200, &json!("sent")), "{reply}");
}

/// A program thinks while others act: nothing of it is sent after something newer, and when it asks again, it answers.
async fn thinks(lab: &Lab, account: &AccountHandle) {
    let (ann, id) = writes(lab, account, "Ann Berg").await;
    let path = format!("/v1/conversations/{id}");
    let (person, robot) = (lab.api(), with_token(&lab.api(), ROBOT));
    let seen = looks(lab, &robot, &path).await;
    let answer = answers(&robot, &path, None, "blind").await;
    is_problem(&answer, 422, "invalid");
    assert_eq!(answer.1["field"], "If-Match");
    is_problem(&answers(&robot, &path, Some("\"x\""), "blind").await, 422, "invalid");

    // A person answers while it thinks.
    is_sent(answers(&person, &path, None, "by a person").await);
    is_overtaken(answers(&robot, &path, Some(&seen), "too late").await);
    // It looks again. What it sends itself overtakes nothing of it.
    let seen = looks(lab, &robot, &format!("{path}/messages")).await;
    is_sent(answers(&robot, &path, Some(&seen), "first").await);
    is_sent(answers(&robot, &path, Some(&seen), "second").await);
    assert!(lab.simulator.settled(LONG).await);
    let seen = looks(lab, &robot, &path).await;
    is_sent(answers(&robot, &path, Some(&seen), "third").await);
    // A repeat has the first one's state, whatever was seen meanwhile.
    let again = looks(lab, &robot, &path).await;
    is_sent(answers(&robot, &path, Some(&again), "third").await);

    // The person writes, edits, takes back; somebody answers at Meta.
    let said = ann.says("wait");
    said.accepted().await.unwrap();
    lab.settled().await;
    is_overtaken(answers(&robot, &path, Some(&seen), "after a message").await);
    let seen = looks(lab, &robot, &path).await;
    ann.unsends(&said).accepted().await.unwrap();
    lab.settled().await;
    is_overtaken(answers(&robot, &path, Some(&seen), "after an unsend").await);
    let seen = looks(lab, &robot, &path).await;
    account.types_by_hand(&ann, "by hand").accepted().await.unwrap();
    lab.settled().await;
    is_overtaken(answers(&robot, &path, Some(&seen), "after a hand").await);
    // Marks of ours are no news.
    let seen = looks(lab, &robot, &path).await;
    let (status, _) = person.post(&format!("{path}/read"), json!({})).await;
    assert_eq!(status, 200);
    is_sent(answers(&robot, &path, Some(&seen), "again").await);
    assert!(lab.simulator.settled(LONG).await);
    let expected = ["by a person", "first", "second", "third", "by hand", "again"];
    assert_eq!(ann.texts_received(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_thinks_is_overtaken_and_answers_when_it_asks_again() {
    let lab = lab_without_accounts().await;
    let (instagram, page) = connect_both(&lab).await;
    for account in [&instagram, &page] {
        thinks(&lab, account).await;
    }
}

/// Asks for a reply at a time.
async fn schedules(api: &Api, id: &str, text: &str, at: &str) -> (u16, Value) {
    let path = format!("/v1/conversations/{id}/messages");
    api.post_once(&path, text, json!({"text": text, "not_before": at})).await
}

async fn is_held(api: &Api, reply: &str) {
    eventually("it is held", LONG, async || {
        let (_, shown) = api.get(&format!("/v1/replies/{reply}")).await;
        if shown["held"] == "scheduled" { Ok(()) } else { Err(shown.to_string()) }
    })
    .await;
}

/// A command as a program publishes it.
async fn publishes(lab: &Lab, to: &Person, id: &str, data: Value) {
    let command: schemas::Command = serde_json::from_value(json!({
        "id": id, "channel": "instagram", "account_id": to.account_id(), "contact_id": to.id(), "command": "reply",
        "requested_by": {"kind": "automation", "name": "test"}, "requested_at": runtime::now(), "data": data,
    }))
    .unwrap();
    let body = serde_json::to_vec(&command).unwrap();
    let js = lab.jetstream().await;
    js.publish(command.nats_subject(), body.into()).await.unwrap().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_for_later_is_held_passed_cancelled_and_judged_when_its_time_comes() {
    let lab = lab_without_accounts().await;
    let (instagram, _) = connect_both(&lab).await;
    let (ann, id) = writes(&lab, &instagram, "Ann Berg").await;
    let api = lab.api();
    let queued = |(status, reply): (u16, Value)| {
        assert_eq!(status, 202, "{reply}");
        reply["reply_id"].as_str().unwrap().to_owned()
    };
    let at = Utc::now() + chrono::TimeDelta::seconds(8);
    let later = queued(schedules(&api, &id, "later", &at.to_rfc3339()).await);
    let never = queued(schedules(&api, &id, "never", &in_seconds(3_600)).await);
    is_held(&api, &later).await;
    is_held(&api, &never).await;
    // What is for now passes what is for later.
    let path = format!("/v1/conversations/{id}/messages?wait=30s");
    is_sent(api.post_once(&path, "now", json!({"text": "now"})).await);
    let (status, gone) = api.delete(&format!("/v1/replies/{never}?wait=20s"), json!({})).await;
    assert_eq!((status, &gone["error"]["code"]), (200, &json!("cancelled")), "{gone}");
    let sent = reaches(&lab, &later, &["sent"], LONG).await;
    let sent_at = chrono::DateTime::parse_from_rfc3339(sent["sent_at"].as_str().unwrap()).unwrap();
    assert!(at <= sent_at.to_utc(), "{sent} before {at}");
    assert_eq!(ann.texts_received(), ["now", "later"]);
    // A time that is past is now.
    is_sent(
        api.post_once(&path, "past", json!({"text": "past", "not_before": in_seconds(-60)})).await,
    );

    // The window will be closed by then: said by the api at once, and by the worker to whoever does not ask it.
    let tomorrow = in_seconds(25 * 3_600);
    is_problem(&schedules(&api, &id, "tomorrow", &tomorrow).await, 403, "window_will_close");
    is_problem(&schedules(&api, &id, "tomorrow", "tomorrow").await, 422, "invalid");
    publishes(&lab, &ann, "late", json!({"text": "late", "not_before": tomorrow})).await;
    let failed = reaches(&lab, "late", &["failed"], LONG).await;
    assert_eq!(failed["error"]["code"], "window_will_close", "{failed}");
    // Of another era than the one that counts: nobody can say what came since.
    publishes(
        &lab,
        &ann,
        "elsewhere",
        json!({"text": "late", "based_on": 5_000_000_000_000_001_u64}),
    )
    .await;
    let failed = reaches(&lab, "elsewhere", &["failed"], LONG).await;
    assert_eq!(failed["error"]["code"], "overtaken", "{failed}");
    assert_eq!(ann.texts_received(), ["now", "later", "past"]);
}
