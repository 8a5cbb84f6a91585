//! `hookline streams`: what is missing is made, what differs is changed, and what may lose messages is refused.

use std::time::Duration;

use async_nats::jetstream::consumer::pull;
use serde_json::{Value, json};
use tests::{Lab, LabOptions};

async fn verb(lab: &Lab, arguments: &[&str], expected: i32) -> (Value, String) {
    let mut all = vec!["streams"];
    all.extend_from_slice(arguments);
    all.extend_from_slice(&["--output", "json"]);
    let (code, out, err) = lab.hookline(&all).await;
    assert_eq!(code, expected, "{arguments:?}: {out}{err}");
    (serde_json::from_str(&out).unwrap_or(Value::Null), err)
}

/// Setting and risk of every change of a stream.
fn changes(plan: &Value, stream: &str) -> Vec<(String, String)> {
    let streams = plan["streams"].as_array().unwrap();
    let one = streams.iter().find(|one| one["stream"] == stream).unwrap();
    let text = |change: &Value, name: &str| change[name].as_str().unwrap().to_owned();
    one["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| (text(change, "setting"), text(change, "risk")))
        .collect()
}

fn change(setting: &str, risk: &str) -> (String, String) {
    (setting.to_owned(), risk.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_names_what_differs_and_apply_does_only_what_loses_nothing() {
    let mut lab = Lab::start_with(LabOptions::EMPTY).await;
    let (plan, _) = verb(&lab, &["plan"], 0).await;
    assert!(plan["streams"].as_array().unwrap().iter().all(|one| one["exists"] == false), "{plan}");
    verb(&lab, &["apply", "--dry-run"], 0).await;
    assert_eq!(lab.last_sequence("META_RAW").await, 0);
    let js = lab.jetstream().await;
    assert!(js.get_stream("META_RAW").await.is_err(), "a dry run makes nothing");
    verb(&lab, &["apply"], 0).await;
    let (plan, _) = verb(&lab, &["plan"], 0).await;
    for one in plan["streams"].as_array().unwrap() {
        assert_eq!((&one["exists"], &one["changes"]), (&json!(true), &json!([])), "{plan}");
    }

    // Somebody's own limit and consumer are theirs; a wrong window and discard are put right.
    let mut stream = js.get_stream("META_RAW").await.unwrap();
    let mut config = stream.cached_info().config.clone();
    config.max_bytes = 1 << 30;
    config.duplicate_window = Duration::from_secs(60);
    config.discard = async_nats::jetstream::stream::DiscardPolicy::Old;
    js.update_stream(config).await.unwrap();
    let consumer =
        pull::Config { durable_name: Some("of-somebody".to_owned()), ..pull::Config::default() };
    stream.create_consumer(consumer).await.unwrap();
    let (plan, _) = verb(&lab, &["plan"], 0).await;
    assert_eq!(
        changes(&plan, "META_RAW"),
        [change("discard", "safe"), change("duplicate_window", "safe")]
    );
    assert_eq!(plan["streams"][0]["durable_consumers"][0]["name"], "of-somebody", "{plan}");
    verb(&lab, &["apply"], 0).await;
    let info = stream.info().await.unwrap();
    assert_eq!(
        (info.config.max_bytes, info.config.duplicate_window),
        (1 << 30, Duration::from_secs(1800))
    );
    assert_eq!(info.state.consumer_count, 1);

    // A shorter age removes messages: only when that is said.
    let subject = "meta.v1.raw.any.00";
    js.publish(subject, "old".into()).await.unwrap().await.unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    lab.set("RAW_MAX_AGE", "1s");
    let (plan, _) = verb(&lab, &["plan"], 0).await;
    assert!(changes(&plan, "META_RAW").contains(&change("max_age", "destructive")), "{plan}");
    let (_, err) = verb(&lab, &["apply"], 3).await;
    assert!(
        err.contains("META_RAW max_age")
            && err.contains("--allow-destructive")
            && err.lines().count() == 1,
        "{err}"
    );
    let (_, err) = verb(&lab, &["apply", "--allow-destructive"], 2).await;
    assert!(err.contains("--reason"), "{err}");
    assert_eq!(stream.info().await.unwrap().state.messages, 1, "nothing was changed");
    verb(&lab, &["apply", "--allow-destructive", "--reason", "test"], 0).await;
    assert_eq!(stream.info().await.unwrap().config.max_age, Duration::from_secs(1));
    let (_, out, _) = lab.hookline(&["audit", "--output", "json"]).await;
    let acts: Vec<Value> = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&acts[0]["verb"], &acts[0]["reason"]),
        (&json!("streams apply"), &json!("test")),
        "{acts:?}"
    );
    assert_eq!(acts.iter().filter(|act| act["result"]["created"] == true).count(), 5, "{acts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_cannot_change_is_said() {
    let lab = Lab::start_with(LabOptions::EMPTY).await;
    verb(&lab, &["apply"], 0).await;
    let js = lab.jetstream().await;
    let mut config = js.get_stream("INBOX_DEAD").await.unwrap().cached_info().config.clone();
    js.delete_stream("INBOX_DEAD").await.unwrap();
    config.storage = async_nats::jetstream::stream::StorageType::Memory;
    js.create_stream(config).await.unwrap();
    let (plan, _) = verb(&lab, &["plan"], 0).await;
    assert_eq!(changes(&plan, "INBOX_DEAD"), [change("storage", "impossible")]);
    let (_, err) = verb(&lab, &["apply"], 1).await;
    assert!(err.contains("INBOX_DEAD storage"), "{err}");
}
