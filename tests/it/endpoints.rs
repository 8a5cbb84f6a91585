//! Outgoing webhooks: a receiver as its author sees it, who knows docs/contract.md 10 and nothing else.

mod receiver;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use tests::body::{IG, body, entry, now, text};
use tests::client::holds;
use tests::{Api, Lab, Role, eventually};

use receiver::{Answers, Receiver, Request};

const LONG: Duration = Duration::from_secs(60);

fn person(n: usize) -> String {
    format!("52000000000{n:05}")
}

async fn write(lab: &Lab, contact: &str, words: &str) {
    let mid = format!("mid.{contact}.{words}");
    let posted = body("instagram", &[entry(IG, now(), &[text(IG, contact, &mid, now(), words)])]);
    assert_eq!(lab.meta().post("/webhooks/instagram", &posted).await, 200);
}

/// Makes an endpoint for messages; its id and secret.
async fn endpoint(lab: &Lab, url: &str) -> (String, String) {
    let new = json!({"url": url, "kinds": ["message.received"], "accounts": [IG]});
    let (status, made) = lab.api().post("/v1/endpoints", new).await;
    assert_eq!(status, 201, "{made}");
    let field = |name: &str| made[name].as_str().unwrap().to_owned();
    (field("id"), field("secret"))
}

async fn patch(api: &Api, id: &str, change: Value) -> Value {
    let request = api.http.patch(format!("{}/v1/endpoints/{id}", api.url));
    let answer = request.bearer_auth(&api.token).json(&change).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

async fn state(lab: &Lab, id: &str, wanted: &str) {
    eventually(&format!("the endpoint is {wanted}"), LONG, async || {
        let (_, shown) = lab.api().get(&format!("/v1/endpoints/{id}")).await;
        holds(shown["state"] == wanted, || shown.to_string())
    })
    .await;
}

/// Ids and bodies of the messages in the stream, in order.
async fn published(lab: &Lab) -> Vec<(String, bytes::Bytes)> {
    let messages = lab.messages("INBOX_EVENTS").await.into_iter();
    let of_kind = messages.filter(|message| message.subject.ends_with(".message-received"));
    let id = |message: &async_nats::jetstream::Message| {
        message.headers.as_ref().unwrap().get("Nats-Msg-Id").unwrap().to_string()
    };
    of_kind.map(|message| (id(&message), message.payload.clone())).collect()
}

/// All that was published is taken, each byte for byte; each conversation's first deliveries are in the order of the stream.
async fn all_taken(lab: &Lab, receiver: &Receiver, path: &str, count: usize) -> Vec<Request> {
    eventually(&format!("{count} messages are taken"), Duration::from_secs(120), async || {
        let ids: BTreeSet<String> =
            receiver.taken(path).into_iter().map(|request| request.id).collect();
        holds(ids.len() == count, || format!("{} of {count}", ids.len()))
    })
    .await;
    let (taken, published) = (receiver.taken(path), published(lab).await);
    assert_eq!(published.len(), count);
    let bodies: BTreeMap<&str, &bytes::Bytes> =
        published.iter().map(|(id, body)| (id.as_str(), body)).collect();
    let mut by_contact: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for request in &taken {
        assert_eq!(bodies[request.id.as_str()], &request.body, "byte for byte");
        let seen = by_contact.entry(request.contact()).or_default();
        if !seen.contains(&request.id.as_str()) {
            seen.push(&request.id);
        }
    }
    for (contact, seen) in by_contact {
        let expected: Vec<&str> =
            published.iter().map(|(id, _)| id.as_str()).filter(|id| seen.contains(id)).collect();
        assert_eq!(seen, expected, "the order of {contact}");
    }
    taken
}

#[tokio::test(flavor = "multi_thread")]
async fn one_conversation_fails_and_another_hangs_and_the_others_are_not_late() {
    let (mut lab, receiver) = (Lab::start().await, Receiver::start().await);
    lab.set("OUTBOUND_ALLOW", "127.0.0.1");
    lab.run_all().await;
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &[]).await;
    let (failing, hanging) = (person(1), person(2));
    receiver.answer(&failing, Answers::Status(503));
    receiver.answer(&hanging, Answers::Never);
    let (id, secret) = endpoint(&lab, &receiver.url("/hook")).await;

    let (rounds, people) = (5, 8);
    for round in 0..rounds {
        for n in 1..=people {
            write(&lab, &person(n), &format!("message {round}")).await;
        }
    }
    let others = rounds * (people - 2);
    eventually("all others are delivered", LONG, async || {
        let count = receiver.taken("/hook").len();
        holds(count == others, || format!("{count} of {others}"))
    })
    .await;
    let mut late: Vec<i64> = Vec::new();
    let stored: BTreeMap<String, i64> = lab
        .messages("INBOX_EVENTS")
        .await
        .into_iter()
        .map(|message| {
            let at = message.info().unwrap().published.unix_timestamp_nanos() / 1_000_000;
            let id = message.headers.as_ref().unwrap().get("Nats-Msg-Id").unwrap().to_string();
            (id, i64::try_from(at).unwrap())
        })
        .collect();
    for request in receiver.taken("/hook") {
        late.push(request.at.timestamp_millis() - stored[&request.id]);
        assert_eq!(request.signed_by(&secret), Some(0), "{request:?}");
        assert_eq!(request.content_type, "application/cloudevents+json");
        assert!(request.user_agent.starts_with("hookline/"), "{request:?}");
    }
    late.sort_unstable();
    let middle = late[late.len() / 2];
    // One request that hangs takes 15 s, and a pause after a failure 5 s at least.
    assert!(middle < 1_000, "{late:?}");
    eventually("what is held shows, and why", LONG, async || {
        let (_, shown) = lab.api().get(&format!("/v1/endpoints/{id}")).await;
        let why = shown["last_error"].as_str().unwrap_or_default();
        let is_held = shown["held"].as_i64().unwrap_or(0) > 0 && why.contains("503");
        holds(is_held && shown["state"] == "active" && shown["secret"].is_null(), || {
            shown.to_string()
        })
    })
    .await;

    receiver.answer(&failing, Answers::Status(200));
    receiver.answer(&hanging, Answers::Status(200));
    patch(&lab.api(), &id, json!({"description": "mended"})).await;
    let taken = all_taken(&lab, &receiver, "/hook", rounds * people).await;
    assert_eq!(taken.len(), rounds * people, "none twice after it was taken");
    eventually("nothing is held any more", LONG, async || {
        let (_, shown) = lab.api().get(&format!("/v1/endpoints/{id}")).await;
        holds(shown["held"] == 0 && shown["lag"] == 0, || shown.to_string())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_loses_nothing_and_keeps_the_order() {
    let (mut lab, receiver) = (Lab::start().await, Receiver::start().await);
    lab.set("OUTBOUND_ALLOW", "127.0.0.0/8");
    lab.run_apart().await;
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &[]).await;
    endpoint(&lab, &receiver.url("/hook")).await;
    let (rounds, people) = (12, 5);
    for round in 0..rounds {
        for n in 1..=people {
            write(&lab, &person(n), &format!("message {round}")).await;
        }
        if round % 4 == 3 {
            lab.kill9(Role::Worker).await;
            lab.lapse(Role::Worker).await;
            lab.run(Role::Worker).await;
        }
    }
    all_taken(&lab, &receiver, "/hook", rounds * people).await;
    assert_eq!(lab.stop(Role::Worker).await, Some(0), "it stops in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_managed_by_api_and_verb() {
    let (mut lab, receiver) = (Lab::start().await, Receiver::start().await);
    lab.set("OUTBOUND_ALLOW", "127.0.0.1");
    lab.run_all().await;
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &[]).await;
    let api = lab.api();
    what_is_wrong_is_named(&api, &receiver).await;
    let (id, first) = endpoint(&lab, &receiver.url("/hook")).await;
    let path = format!("/v1/endpoints/{id}");
    let (status, tested) = api.post(&format!("{path}/test"), json!({})).await;
    assert_eq!(
        (status, &tested["delivered"], &tested["status"]),
        (200, &json!(true), &json!("2xx")),
        "{tested}"
    );
    let sent = receiver.requests().pop().unwrap();
    assert_eq!(sent.event()["type"], "hookline.endpoint.test.v1");
    assert_eq!((sent.signed_by(&first), &json!(sent.id)), (Some(0), &tested["webhook_id"]));

    redirects_are_not_followed(&lab, &receiver).await;
    // Both secrets sign while one is rotated out.
    write(&lab, &person(1), "before").await;
    all_taken_by(&receiver, 1).await;
    let (status, rotated) = api.post(&format!("{path}/rotate"), json!({})).await;
    let second = rotated["secret"].as_str().unwrap().to_owned();
    assert!(status == 200 && second != first, "{rotated}");
    eventually("both sign", LONG, async || {
        write(&lab, &person(2), &format!("at {}", now())).await;
        let last = receiver.taken("/hook").pop().unwrap();
        holds(last.signed_by(&second).is_some() && last.signed_by(&first).is_some(), || {
            format!("{last:?}")
        })
    })
    .await;
    lab.settled().await;

    a_410_stops_it_until_it_is_resumed(&lab, &receiver, &id).await;
    while_it_is_paused_nothing_is_sent(&lab, &receiver, &id).await;
    a_replay_delivers_all_again(&lab, &receiver, &id).await;

    let listed = lab.hookline_ok(&["endpoints", "list", "--output", "json"]).await;
    assert!(listed.contains(&id) && !listed.contains("whsec_"), "{listed}");
    let log = lab.log(Role::Worker);
    assert!(!log.contains("whsec_") && !log.contains(&first), "no secret is logged");
    let rekeyed = lab.hookline_ok(&["accounts", "rekey", "--output", "json"]).await;
    let rekeyed: Value = serde_json::from_str(&rekeyed).unwrap();
    assert_eq!(rekeyed["endpoint secrets"]["kept"], 1, "{rekeyed}");
    it_is_removed(&lab, &path).await;
    assert_eq!(lab.hookline(&["endpoints", "show", &id]).await.0, 2);
}

async fn all_taken_by(receiver: &Receiver, count: usize) {
    eventually("the first are taken", LONG, async || {
        let taken = receiver.taken("/hook").len();
        holds(count <= taken, || format!("{taken}"))
    })
    .await;
}

/// Nothing private but what OUTBOUND_ALLOW names; errors name the field.
async fn what_is_wrong_is_named(api: &Api, receiver: &Receiver) {
    for (field, new) in [
        ("url", json!({"url": "https://10.0.0.1/", "kinds": []})),
        ("url", json!({"url": "http://127.0.0.2/", "kinds": []})),
        ("url", json!({"url": "http://receiver.example/x#y", "kinds": []})),
        ("kinds", json!({"url": receiver.url("/"), "kinds": ["message.sung"]})),
        ("accounts", json!({"url": receiver.url("/"), "kinds": [], "accounts": [""]})),
    ] {
        let (status, problem) = api.post("/v1/endpoints", new).await;
        assert_eq!((status, &problem["field"]), (422, &json!(field)), "{problem}");
    }
}

/// Redirects are not followed, and what a receiver writes goes nowhere.
async fn redirects_are_not_followed(lab: &Lab, receiver: &Receiver) {
    receiver.answer("/moved", Answers::Redirect);
    let (moved, _) = endpoint(lab, &receiver.url("/moved")).await;
    let (code, out, _) = lab.hookline(&["endpoints", "test", &moved, "--output", "json"]).await;
    let tested: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &tested["status"]), (1, &json!("3xx")), "{tested}");
    assert!(receiver.requests().iter().all(|request| request.path != "/elsewhere"));
    lab.hookline_ok(&["endpoints", "remove", &moved, "--reason", "it moved"]).await;
}

/// 410 stops it until somebody resumes it, and nothing is dropped.
async fn a_410_stops_it_until_it_is_resumed(lab: &Lab, receiver: &Receiver, id: &str) {
    receiver.answer("/hook", Answers::Status(410));
    write(lab, &person(1), "gone").await;
    state(lab, id, "disabled").await;
    let status: Value =
        serde_json::from_str(&lab.hookline_ok(&["status", "--output", "json"]).await).unwrap();
    assert_eq!(status["endpoints"][0]["state"], "disabled", "{status}");
    receiver.answer("/hook", Answers::Status(200));
    write(lab, &person(1), "after").await;
    lab.hookline_ok(&["endpoints", "resume", id]).await;
    lab.settled().await;
    let count = published(lab).await.len();
    all_taken(lab, receiver, "/hook", count).await;
    state(lab, id, "active").await;
}

/// While it is paused nothing is sent.
async fn while_it_is_paused_nothing_is_sent(lab: &Lab, receiver: &Receiver, id: &str) {
    let api = lab.api();
    patch(&api, id, json!({"paused": true})).await;
    state(lab, id, "paused").await;
    eventually("the worker has seen it", LONG, async || {
        let is_seen: bool = sqlx::query_scalar(
            "select s.changes_seen >= d.changes from worker.endpoint_states s join api.endpoints d on d.id = s.endpoint_id where d.id = $1",
        )
        .bind(id)
        .fetch_one(lab.pool())
        .await
        .map_err(|error| error.to_string())?;
        holds(is_seen, || "not yet".to_owned())
    })
    .await;
    write(lab, &person(3), "paused").await;
    lab.settled().await;
    assert!(receiver.requests().iter().all(|request| request.contact() != person(3)));
    patch(&api, id, json!({"paused": false})).await;
    let count = published(lab).await.len();
    all_taken(lab, receiver, "/hook", count).await;
}

/// A replay delivers all of it again, under the same ids.
async fn a_replay_delivers_all_again(lab: &Lab, receiver: &Receiver, id: &str) {
    let count = published(lab).await.len();
    let taken = receiver.taken("/hook").len();
    lab.hookline_ok(&["endpoints", "replay", id, "--from", "1h"]).await;
    eventually("all of it comes again", LONG, async || {
        let again: BTreeSet<String> =
            receiver.taken("/hook")[taken..].iter().map(|request| request.id.clone()).collect();
        holds(again.len() == count, || format!("{} of {count}", again.len()))
    })
    .await;
}

async fn it_is_removed(lab: &Lab, path: &str) {
    let (status, _) = lab.api().delete(path, json!({})).await;
    assert_eq!(status, 204);
    eventually("its rows are gone", LONG, async || {
        let left: i64 = sqlx::query_scalar(
            "select (select count(*) from worker.endpoint_states) + (select count(*) from worker.positions where name like 'endpoint:%')",
        )
        .fetch_one(lab.pool())
        .await
        .unwrap();
        holds(left == 0, || left.to_string())
    })
    .await;
}
