//! docs/contract.md 5, sentence by sentence, from outside: what is published for what Meta reports.

mod accounts;
mod graph;
mod hostile;
mod kinds;
mod names;
mod profiles;
mod revisions;
mod senders;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use schemas::Kind;
use serde_json::Value;
use tests::{Lab, Role, eventually};

use graph::FakeGraph;

/// A person on Instagram.
const ANN: &str = "5200000000000011";
/// Another one.
const BOB: &str = "5200000000000022";

/// All roles, with these settings and this Graph.
async fn lab(graph: &FakeGraph, settings: &[(&str, &str)]) -> Lab {
    let mut lab = prepared(graph, settings).await;
    lab.run_all().await;
    lab
}

/// The same in a process each, for [`read_again`].
async fn lab_apart(graph: &FakeGraph, settings: &[(&str, &str)]) -> Lab {
    let mut lab = prepared(graph, settings).await;
    lab.run_apart().await;
    lab
}

async fn prepared(graph: &FakeGraph, settings: &[(&str, &str)]) -> Lab {
    let mut lab = Lab::start().await;
    lab.set("GRAPH_FACEBOOK_URL", &graph.url("facebook"));
    lab.set("GRAPH_INSTAGRAM_URL", &graph.url("instagram"));
    for (name, value) in settings {
        lab.set(name, value);
    }
    lab
}

/// All roles, with nothing special.
async fn plain() -> Lab {
    lab(&FakeGraph::start().await, &[]).await
}

/// Delivers as Meta does: again, until it is accepted.
async fn post(lab: &Lab, body: &[u8]) {
    lab.meta().deliver("/webhook", body).await;
}

fn of_kind(events: &[Value], kind: &str) -> Vec<Value> {
    let name = format!("hookline.{kind}.v1");
    events.iter().filter(|event| event["type"] == name.as_str()).cloned().collect()
}

/// Waits until `count` events of a kind are there, and gives them in order.
async fn published(lab: &Lab, kind: &str, count: usize) -> Vec<Value> {
    eventually(&format!("{count} of {kind}"), Duration::from_secs(40), async || {
        let events = lab.events().await;
        let of_kind = of_kind(&events, kind);
        if of_kind.len() == count {
            return Ok(of_kind);
        }
        let kinds: Vec<_> = events.iter().map(|event| event["type"].to_string()).collect();
        Err(format!("{} in {kinds:?}", of_kind.len()))
    })
    .await
}

/// Kinds without the envelope's words, in order, without discoveries.
fn kinds(events: &[Value]) -> Vec<String> {
    let name = |event: &Value| {
        let name = event["type"].as_str().unwrap();
        name.trim_start_matches("hookline.").trim_end_matches(".v1").to_owned()
    };
    events.iter().map(name).filter(|name| name != "contact.discovered").collect()
}

/// Everything is done: every item of the waiting room was looked at, and nothing new comes. Every event keeps its schema and subject.
async fn done(lab: &Lab) -> Vec<Value> {
    eventually("the waiting room has nothing to do", Duration::from_secs(20), async || {
        let due: i64 =
            sqlx::query_scalar("select count(*) from worker.waiting where state = 'waiting'")
                .fetch_one(lab.pool())
                .await
                .map_err(|error| error.to_string())?;
        if due == 0 { Ok(()) } else { Err(format!("{due} due")) }
    })
    .await;
    lab.settled().await;
    keeps_the_contract(lab).await;
    lab.events().await
}

static VALIDATORS: LazyLock<BTreeMap<String, jsonschema::Validator>> = LazyLock::new(|| {
    let one = |kind: &Kind| {
        let schema = tests::event_schema(*kind);
        let options = jsonschema::options().should_validate_formats(true);
        (schemas::Event::type_name(*kind), options.build(&schema).unwrap())
    };
    Kind::ALL.iter().map(one).collect()
});

/// The bundles that were released, with the kinds that they name.
static RELEASED: LazyLock<Vec<(String, BTreeSet<String>, jsonschema::Validator)>> =
    LazyLock::new(|| {
        let one = |(release, bundle): (String, Value)| {
            let members = bundle["$defs"].as_object().unwrap().values();
            let kind =
                |member: &Value| member["properties"]["type"]["const"].as_str().map(str::to_owned);
            let kinds = members.filter_map(kind).collect();
            let options = jsonschema::options().should_validate_formats(true);
            (release, kinds, options.build(&bundle).unwrap())
        };
        tests::released_events().into_iter().map(one).collect()
    });

/// Every published event: schema, those of earlier releases, subject, partition, `Nats-Msg-Id`, `Content-Type`.
async fn keeps_the_contract(lab: &Lab) {
    for message in lab.messages("INBOX_EVENTS").await {
        let event: Value = serde_json::from_slice(&message.payload).unwrap();
        let kind = event["type"].as_str().unwrap();
        let errors: Vec<_> =
            VALIDATORS[kind].iter_errors(&event).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{kind}: {errors:?}\n{event}");
        for (release, _, bundle) in RELEASED.iter().filter(|(_, kinds, _)| kinds.contains(kind)) {
            let errors: Vec<_> =
                bundle.iter_errors(&event).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{kind} by {release}: {errors:?}\n{event}");
        }
        assert_eq!(message.subject.as_str(), subject(&event), "{event}");
        let id = event["id"].as_str().unwrap();
        let expected = match event["data"]["origin"]["revision"].as_u64().unwrap() {
            0 => id.to_owned(),
            n => format!("{id}.r{n}"),
        };
        let headers = message.headers.as_ref().unwrap();
        assert_eq!(headers.get("Nats-Msg-Id").unwrap().as_str(), expected);
        let media_type = headers.get("Content-Type").map(|header| header.as_str());
        assert_eq!(media_type, Some("application/cloudevents+json"), "{event}");
    }
}

/// The subject by the words of docs/contract.md 4, written down a second time.
fn subject(event: &Value) -> String {
    let data = &event["data"];
    let (channel, account) =
        (data["channel"].as_str().unwrap(), data["account_id"].as_str().unwrap());
    let kind =
        kinds(std::slice::from_ref(event)).pop().unwrap_or_else(|| "contact.discovered".to_owned());
    let about_posts = kind.starts_with("comment.")
        || kind.starts_with("post.")
        || kind.starts_with("mention.")
        || kind == "story.insights";
    let finer = data["contact_id"].as_str().or_else(|| {
        let object = data["media_id"].as_str().or_else(|| data["post_id"].as_str());
        object.filter(|_| about_posts)
    });
    let key = match finer {
        Some(finer) => format!("{channel}/{account}/{finer}"),
        None => format!("{channel}/{account}"),
    };
    let mut hash: u32 = 0x811c_9dc5;
    for byte in key.bytes() {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    format!(
        "inbox.v1.event.{:02}.{channel}.{}.{}",
        hash % 64,
        token(account),
        kind.replace('.', "-")
    )
}

fn token(text: &str) -> String {
    use sha2::Digest;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let encoded: String = text
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    match encoded.len() {
        0 => "_".to_owned(),
        1..=128 => encoded,
        _ => format!("sha256-{}", hex::encode(sha2::Sha256::digest(text))),
    }
}

/// Texts by contact in the read model: (contact, direction, text), oldest first.
async fn rows(lab: &Lab) -> Vec<(String, String, Option<String>)> {
    sqlx::query_as(
        "select contact_id, direction, text from inbox.messages order by sent_at, message_id",
    )
    .fetch_all(lab.pool())
    .await
    .unwrap()
}

/// Reads all raw webhooks again with what is known: as after the loss of all positions.
async fn read_again(lab: &mut Lab) {
    lab.kill9(Role::Worker).await;
    let forget = "delete from worker.positions where name like 'raw-%'";
    sqlx::query(forget).execute(lab.pool()).await.unwrap();
    lab.lapse(Role::Worker).await;
    lab.run(Role::Worker).await;
    lab.ready(Role::Worker).await;
}
