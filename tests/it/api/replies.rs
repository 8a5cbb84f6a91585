//! Answering: one key is one reply, and its state is reported truly.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use simulator::{AccountHandle, CallKind, Fault, FaultRule, Person};
use tests::crowd::connect_both;
use tests::{Api, Lab, LabOptions, Role, eventually};

use super::{conversation_of, has_fields, is_problem, is_time, lab_apart, lab_without_accounts};

const REPLY: &str = "reply_id status message_id sent_at channel account_id conversation_id contact_id text parts error attempts rule requested_at finished_at";

async fn lab() -> (Lab, AccountHandle, AccountHandle) {
    with_meta(lab_without_accounts().await).await
}

async fn with_meta(lab: Lab) -> (Lab, AccountHandle, AccountHandle) {
    let (instagram, page) = connect_both(&lab).await;
    (lab, instagram, page)
}

/// A person who wrote, and where to answer.
async fn writes(lab: &Lab, account: &AccountHandle, name: &str) -> (Person, String) {
    let person = account.person(name);
    person.says("hello?").accepted().await.unwrap();
    let id = conversation_of(lab, account.id(), person.id()).await;
    (person, format!("/v1/conversations/{id}/messages"))
}

/// Asks with a key until it is heard: 503 says to repeat with the same key, and that is safe.
async fn persists(api: &Api, path: &str, key: &str, body: Value) -> (u16, Value) {
    eventually("it is heard", Duration::from_secs(40), async || {
        match api.post_once(path, key, body.clone()).await {
            (503, problem) => Err(problem.to_string()),
            answer => Ok(answer),
        }
    })
    .await
}

async fn becomes(api: &Api, reply: &Value, status: &str) -> Value {
    let path = format!("/v1/replies/{}", reply["reply_id"].as_str().unwrap());
    eventually(status, Duration::from_secs(30), async || {
        let (code, reply) = api.get(&path).await;
        assert_eq!(code, 200, "{reply}");
        if reply["status"] == status { Ok(reply) } else { Err(reply.to_string()) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_is_one_reply_however_often_and_at_once_it_is_asked_for() {
    let (mut lab, instagram, page) = lab().await;
    lab.run_nth(Role::Api, 1).await;
    lab.ready_nth(Role::Api, 1).await;
    let apis = [lab.api(), Api { url: lab.url_nth(Role::Api, 1), ..lab.api() }];
    for account in [&instagram, &page] {
        let (person, path) = writes(&lab, account, "Ann Berg").await;
        // Many at once, by two processes, half of them waiting.
        let ask = |n: usize| {
            let (api, wait) = (&apis[n % 2], if n % 4 < 2 { "" } else { "?wait=10s" });
            let path = format!("{path}{wait}");
            async move { persists(api, &path, "same-key", json!({"text": "only once"})).await }
        };
        let answers = futures::future::join_all((0..24).map(ask)).await;
        let first = &answers[0].1["reply_id"];
        assert!(first.as_str().is_some_and(|id| id.starts_with("rpl_")), "{answers:?}");
        for (n, (status, reply)) in answers.iter().enumerate() {
            assert_eq!(&reply["reply_id"], first, "{reply}");
            has_fields(reply, REPLY);
            match reply["status"].as_str() {
                Some("queued" | "sending") => {
                    assert_eq!((*status, n % 4 < 2), (202, true), "{reply}")
                }
                Some("sent") => {
                    assert_eq!(*status, 200);
                    assert!(reply["message_id"].is_string(), "{reply}");
                    is_time(&reply["sent_at"]);
                }
                _ => panic!("{reply}"),
            }
        }
        // At the same moment with different words: one of them holds the key.
        let ask = |n: usize| {
            let (api, path) = (&apis[n % 2], path.clone());
            async move { persists(api, &path, "torn-key", json!({"text": format!("words {n}")})).await }
        };
        let answers = futures::future::join_all((0..10).map(ask)).await;
        let taken = answers.iter().filter(|(status, _)| [200, 202].contains(status)).count();
        assert_eq!(taken, 1, "{answers:?}");
        for answer in answers.iter().filter(|(status, _)| ![200, 202].contains(status)) {
            is_problem(answer, 409, "key_reused");
        }
        assert!(lab.simulator.settled(Duration::from_secs(10)).await);
        lab.settled().await;
        let texts = person.texts_received();
        assert_eq!(texts.iter().filter(|text| *text == "only once").count(), 1, "{texts:?}");
        assert_eq!(texts.len(), 2, "{texts:?}");
        // Another key is another reply, also with the same words.
        let wait = format!("{path}?wait=10s");
        let (status, again) =
            apis[0].post_once(&wait, "other-key", json!({"text": "only once"})).await;
        assert_eq!((status, &again["status"]), (200, &json!("sent")), "{again}");
        assert_ne!(&again["reply_id"], first);
        // What was waited for can be read.
        let (_, listed) = apis[0].get(&path).await;
        assert_eq!(listed["messages"][0]["message_id"], again["message_id"], "{listed}");
        assert_eq!(listed["messages"][0]["reply_id"], again["reply_id"]);
        // Written otherwise, it is the same request; with more in it, it is not.
        let (status, same) = apis[1]
            .post_once(&path, "other-key", json!({"quick_replies": [], "text": "only once"}))
            .await;
        assert_eq!((status, &same["reply_id"]), (200, &again["reply_id"]), "{same}");
        let more = json!({"text": "only once", "quick_replies": [{"title": "Yes"}]});
        is_problem(&apis[1].post_once(&path, "other-key", more).await, 409, "key_reused");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_is_queued_then_sending_then_settled() {
    let (mut lab, instagram, _) = with_meta(lab_apart(LabOptions::default()).await).await;
    let api = lab.api();
    let (person, path) = writes(&lab, &instagram, "Ann Berg").await;
    let (_, blocking_path) = writes(&lab, &instagram, "Bob Stone").await;
    instagram.person("Bob Stone").blocks(true);
    lab.settled().await;
    lab.stop(Role::Worker).await;
    let asked = Instant::now();
    let (status, queued) =
        api.post_once(&format!("{path}?wait=700ms"), "k", json!({"text": "hello"})).await;
    let waited = asked.elapsed();
    assert!(waited >= Duration::from_millis(600) && waited < Duration::from_secs(3), "{waited:?}");
    assert_eq!((status, &queued["status"]), (202, &json!("queued")));
    has_fields(&queued, REPLY);
    let (status, read) =
        api.get(&format!("/v1/replies/{}", queued["reply_id"].as_str().unwrap())).await;
    assert_eq!((status, &read), (200, &queued), "the same from both routes");
    assert_eq!(
        (&read["parts"], &read["error"], &read["message_id"]),
        (&json!([]), &Value::Null, &Value::Null)
    );
    // A key belongs to the account: in another conversation it is another request.
    is_problem(
        &api.post_once(&blocking_path, "k", json!({"text": "hello"})).await,
        409,
        "key_reused",
    );
    // Meta takes it and does not answer.
    lab.simulator.fault(FaultRule::new(Fault::TimeoutAfter).on(CallKind::Send).times(1));
    lab.run(Role::Worker).await;
    becomes(&api, &queued, "sending").await;
    let (status, refused) = api.post_once(&blocking_path, "k2", json!({"text": "hello?"})).await;
    assert_eq!(status, 202, "{refused}");
    let sent = becomes(&api, &queued, "sent").await;
    has_fields(&sent, REPLY);
    for time in ["sent_at", "requested_at", "finished_at"] {
        is_time(&sent[time]);
    }
    let parts = sent["parts"].as_array().unwrap();
    assert_eq!((parts.len(), &parts[0]["message_id"]), (1, &sent["message_id"]), "{sent}");
    assert_eq!(person.texts_received(), ["hello"]);
    assert_eq!((&sent["error"], &sent["text"]), (&Value::Null, &json!("hello")));
    let failed = becomes(&api, &refused, "failed").await;
    has_fields(&failed, REPLY);
    assert!(
        failed["error"]["code"].is_string() && failed["error"]["class"].is_string(),
        "{failed}"
    );
    assert_eq!((&failed["message_id"], &failed["sent_at"]), (&Value::Null, &Value::Null));
    let (status, again) = api.post_once(&blocking_path, "k2", json!({"text": "hello?"})).await;
    assert_eq!(
        (status, &again["status"]),
        (200, &json!("failed")),
        "a repeat returns the state of the first"
    );
    what_is_wrong_is_named(&api, &path).await;
}

async fn what_is_wrong_is_named(api: &Api, path: &str) {
    is_problem(&api.get("/v1/replies/rpl_none").await, 404, "not_found");
    for (query, field) in [("wait=31s", "wait"), ("wait=soon", "wait"), ("wiat=5s", "wiat")] {
        let answer = api.post_once(&format!("{path}?{query}"), "k9", json!({"text": "a"})).await;
        is_problem(&answer, 422, "invalid");
        assert_eq!(answer.1["field"], field);
    }
    for (key, body, field) in [
        ("with space", json!({"text": "a"}), "Idempotency-Key"),
        (&"x".repeat(256), json!({"text": "a"}), "Idempotency-Key"),
        ("k10", json!({"text": ""}), "text"),
        (
            "k11",
            json!({"text": "a", "attachment": {"type": "image", "url": "https://example.com/a"}}),
            "text",
        ),
        ("k12", json!({"attachment": {"type": "image"}}), "attachment"),
        ("k13", json!({"text": "a\u{0}b"}), "text"),
        ("k14", json!({"text": "a", "colour": "red"}), "colour"),
        ("k15", json!({"template": []}), "template"),
    ] {
        let answer = api.post_once(path, key, body).await;
        is_problem(&answer, 422, "invalid");
        assert_eq!(answer.1["field"], field, "{}", answer.1);
    }
    let large = json!({"text": "x".repeat(300 << 10)});
    is_problem(&api.post_once(path, "k16", large).await, 413, "too_large");
}
