//! `GET /v1/events` and `/schemas/`: the log and its description for those without NATS.

use std::time::{Duration, Instant};

use serde_json::Value;
use tests::Api;
use tests::body::{IG, PAGE};

use super::live::stored;
use super::{is_problem, lab, written};

async fn page(api: &Api, query: &str) -> (Vec<Value>, u64) {
    let (status, page) = api.get(&format!("/v1/events{query}")).await;
    assert_eq!(status, 200, "{page}");
    (page["events"].as_array().unwrap().clone(), page["next"].as_u64().unwrap())
}

/// The ids of all that is there, read in small pages from the start.
async fn all(api: &Api, query: &str) -> Vec<String> {
    let (mut ids, mut after) = (Vec::new(), 0);
    loop {
        let (events, next) = page(api, &format!("?limit=2&after={after}{query}")).await;
        ids.extend(events.iter().map(|event| event["id"].as_str().unwrap().to_owned()));
        if events.is_empty() && next == after {
            return ids;
        }
        after = next;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_by_http_is_the_stream_and_its_schemas_are_public() {
    let lab = lab().await;
    let api = lab.api();
    for n in 1..=3 {
        written(&lab, IG, n, "hello").await;
    }
    written(&lab, PAGE, 4, "hello").await;
    lab.settled().await;
    let ids = |wanted: &dyn Fn(&Value) -> bool, events: &[Value]| -> Vec<String> {
        let wanted = events.iter().filter(|event| wanted(event));
        wanted.map(|event| event["id"].as_str().unwrap().to_owned()).collect()
    };
    // What comes meanwhile comes behind it.
    let begins = |all: Vec<String>, known: Vec<String>| {
        assert!(!known.is_empty() && all.starts_with(&known), "{known:?}\n{all:?}");
    };
    let events = lab.events().await;
    begins(all(&api, "").await, ids(&|_| true, &events));
    let received = |event: &Value| event["type"] == "hookline.message.received.v1";
    begins(all(&api, "&kinds=message.received").await, ids(&received, &events));
    let of_page = |event: &Value| event["data"]["account_id"] == PAGE;
    begins(all(&api, &format!("&account_id={PAGE}")).await, ids(&of_page, &events));
    let (first, _) = page(&api, "?limit=1").await;
    assert_eq!(first[0], events[0], "as it was published");

    // Waits for what comes.
    let last = lab.last_sequence("INBOX_EVENTS").await;
    let began = Instant::now();
    let query = format!("?after={last}&kinds=message.received&wait=30s");
    let (waited, _) = tokio::join!(page(&api, &query), written(&lab, IG, 5, "later"));
    assert_eq!(waited.0[0]["data"]["text"], "later", "{waited:?}");
    assert!(began.elapsed() < Duration::from_secs(30), "it came with the first event");

    // Of another era, or of a stream that is gone.
    for wrong in [last + 100_000, 1_000_000_000_000_000 + 1] {
        let answer = api.get(&format!("/v1/events?after={wrong}")).await;
        is_problem(&answer, 409, "stream_reset");
        assert!(answer.1["detail"].as_str().unwrap().contains("after=0"), "{answer:?}");
    }
    is_problem(&api.get("/v1/events?limit=0").await, 422, "invalid");
    is_problem(&api.get("/v1/events?kinds=message.sung").await, 422, "invalid");

    // What an event is, for everybody.
    let schema = async |name: &str| {
        let answer = api.http.get(format!("{}/schemas/{name}", api.url)).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let (status, bundle) = schema("events.v1.json").await;
    assert_eq!(status, 200);
    let bundle = jsonschema::validator_for(&bundle).unwrap();
    for sent in stored(&lab, 0).await {
        let event: Value = serde_json::from_str(&sent.data).unwrap();
        assert!(bundle.is_valid(&event), "{event}");
    }
    for name in ["commands.v1.json", "message.received.v1.json", "command.v1.json"] {
        assert_eq!(schema(name).await.0, 200, "{name}");
    }
    assert_eq!(schema("nothing.v1.json").await.0, 404);
    for message in lab.messages("INBOX_EVENTS").await {
        let headers = message.headers.clone().unwrap_or_default();
        let kind = headers.get("Content-Type").map(|kind| kind.as_str().to_owned());
        assert_eq!(kind.as_deref(), Some("application/cloudevents+json"), "{}", message.subject);
    }
}
