//! One fact, several readings: which is published, and what never comes back.

use runtime::broker::Broker;
use runtime::config::{NatsConfig, Settings};
use schemas::Event;
use serde_json::json;
use tests::Lab;
use tests::body::{IG, PAGE, body, change, entry, instagram, now, senderless, text};

use tokio_util::sync::CancellationToken;
use worker::facts::seal::Seal;
use worker::facts::{Draft, FactStore};

use super::graph::FakeGraph;
use super::{ANN, done, kinds, lab_apart, of_kind, plain, post, published, read_again, rows};

fn message_of(mid: &str, created: i64, text: &str) -> serde_json::Value {
    let created = chrono::DateTime::from_timestamp_millis(created).unwrap();
    json!({"id": mid, "created_time": created.format("%Y-%m-%dT%H:%M:%S+0000").to_string(),
           "from": {"id": ANN, "username": "ann"}, "to": {"data": [{"id": IG, "username": "shop"}]}, "message": text})
}

#[tokio::test(flavor = "multi_thread")]
async fn the_twin_corrects_what_graph_returned_and_graph_never_corrects_the_twin() {
    let graph = FakeGraph::start().await;
    let mut lab = lab_apart(&graph, &[]).await;
    lab.add_account("instagram", "instagram", IG, "t", &[]).await;
    // Whole seconds of both clocks agree in the second round, so that nothing but the source differs.
    for (n, at) in
        [now() / 1000 * 1000 - 4_563, now() / 1000 * 1000 - 2_000].into_iter().enumerate()
    {
        let mid = format!("mid.{n}");
        graph.says(&format!("instagram/{mid}"), message_of(&mid, at, "hello"));
        post(&lab, &instagram(senderless(&mid, at + 900))).await;
        let received = published(&lab, "message.received", 2 * n + 1).await;
        let event = received.last().unwrap();
        assert_eq!(
            (&event["data"]["origin"]["via"], &event["data"]["origin"]["revision"]),
            (&json!("reconcile"), &json!(0))
        );
        assert_eq!(event["data"]["sender_resolution"]["method"], "graph_message");
        let twin = instagram(text(IG, ANN, &mid, at, "hello"));
        post(&lab, &twin).await;
        let received = published(&lab, "message.received", 2 * n + 2).await;
        let revision = received.last().unwrap();
        assert_eq!(revision["id"], event["id"]);
        assert_eq!(
            (&revision["data"]["origin"]["via"], &revision["data"]["origin"]["revision"]),
            (&json!("webhook"), &json!(1))
        );
        let exact = chrono::DateTime::from_timestamp_millis(at).unwrap();
        assert_eq!(revision["time"], exact.to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
        // Again, in another batch, and with its companion.
        post(
            &lab,
            &body(
                "instagram",
                &[entry(
                    IG,
                    at + 9,
                    &[text(IG, ANN, &mid, at, "hello"), senderless(&mid, at + 950)],
                )],
            ),
        )
        .await;
    }
    // Graph returns something else now, and is asked: by a sync.
    let listed = json!({"data": [{"id": "t1", "updated_time": "2026-11-21T10:00:00+0000",
        "participants": {"data": [{"id": IG, "username": "shop"}, {"id": ANN, "username": "ann"}]},
        "messages": {"data": [message_of("mid.0", now() - 60_000, "HELLO?"), message_of("mid.1", now() - 60_000, "HELLO?")]}}]});
    graph.says("instagram/me/conversations", listed);
    let (status, answer) = lab.api().post(&format!("/v1/accounts/{IG}/sync"), json!({})).await;
    assert!(status < 300, "{answer}");
    published(&lab, "command.done", 1).await;
    read_again(&mut lab).await;
    let events = done(&lab).await;
    assert_eq!(of_kind(&events, "message.received").len(), 4);
    let row = |text: &str| (ANN.to_owned(), "inbound".to_owned(), Some(text.to_owned()));
    assert_eq!(rows(&lab).await, [row("hello"), row("hello")]);
    // What was read back first has come: it counts as unread.
    assert_eq!(lab.api().conversations().await[0]["unread_count"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_times_of_delivery_the_earliest_wins_whatever_the_order() {
    let lab = plain().await;
    lab.add_account("messenger", "facebook", PAGE, "t", &[]).await;
    let at = now() / 1000 * 1000;
    let item = json!({"sender": {"id": "7300000000000111"}, "recipient": {"id": PAGE},
                      "message": {"mid": "m_1", "text": "no time told"}});
    for (sent_at, revisions) in
        [(at, 1), (at + 5_000, 1), (at - 5_000, 2), (at - 2_000, 2), (at - 5_000, 2)]
    {
        post(&lab, &body("page", &[entry(PAGE, sent_at, std::slice::from_ref(&item))])).await;
        published(&lab, "message.received", revisions).await;
        done(&lab).await;
    }
    let received = published(&lab, "message.received", 2).await;
    assert!(received.iter().all(|event| event["data"]["time_approximate"] == true));
    let earliest = chrono::DateTime::from_timestamp_millis(at - 5_000).unwrap();
    assert_eq!(received[1]["time"], earliest.to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
    assert_eq!(received[1]["data"]["origin"]["revision"], 1);
    assert_eq!(received[0]["id"], received[1]["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_withdrawn_does_not_come_back() {
    let mut lab = lab_apart(&FakeGraph::start().await, &[]).await;
    lab.add_account("instagram", "instagram", IG, "t", &[]).await;
    let at = now();
    post(&lab, &instagram(senderless("mid.1", at))).await;
    let unresolved = published(&lab, "sender.unresolved", 1).await.remove(0);
    assert!(unresolved.get("subject").is_none(), "nobody is known: {unresolved}");
    let methods: Vec<_> = unresolved["data"]["tried"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tried| tried["method"].clone())
        .collect();
    let ladder = [
        "payload",
        "known_message",
        "twin",
        "thread_id",
        "graph_message",
        "graph_message_other_host",
        "conversation_scan",
    ];
    assert_eq!(methods, ladder);
    post(&lab, &instagram(text(IG, ANN, "mid.1", at - 900, "here I am"))).await;
    let withdrawn = published(&lab, "fact.withdrawn", 1).await.remove(0);
    let received = published(&lab, "message.received", 1).await.remove(0);
    assert_eq!(
        (&withdrawn["data"]["event_id"], &withdrawn["data"]["reason"]),
        (&unresolved["id"], &json!("superseded"))
    );
    assert_eq!(withdrawn["data"]["superseded_by"], received["id"]);
    post(
        &lab,
        &body(
            "instagram",
            &[change(IG, at + 60_000, "message_edit", senderless("mid.1", at + 60_000))],
        ),
    )
    .await;
    read_again(&mut lab).await;
    let events = done(&lab).await;
    assert_eq!(kinds(&events), ["sender.unresolved", "message.received", "fact.withdrawn"]);
}

/// What the worker publishes with, without a worker.
async fn fact_store(lab: &Lab) -> FactStore {
    let settings = Settings::from_pairs(
        lab.settings.iter().map(|(name, value)| (name.as_str(), value.clone())),
    );
    let nats = NatsConfig::from_settings(&settings).unwrap();
    let broker =
        Broker::connect("test", nats, worker::NEEDS, CancellationToken::new()).await.unwrap();
    let seal = Seal::from_hex(settings.require("ENCRYPTION_KEY").unwrap()).unwrap();
    tests::eventually("the broker is there", std::time::Duration::from_secs(20), async || {
        tests::client::holds(broker.is_connected(), || "not connected".to_owned())
    })
    .await;
    FactStore::new(broker, lab.pool().clone(), seal)
}

/// A reading of Graph is published and whoever did it has not come to its commit: the webhook that says the same is a better source, and
/// becomes the next revision all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_better_source_that_meets_an_unrecorded_reading_is_published() {
    let graph = FakeGraph::start().await;
    let lab = lab_apart(&graph, &[]).await;
    lab.add_account("instagram", "instagram", IG, "t", &[]).await;
    post(&lab, &instagram(text(IG, ANN, "mid.1", now() / 1000 * 1000, "hello"))).await;
    let mut event = published(&lab, "message.received", 1).await.remove(0);
    let id = "evt_00000000000000000000000000000000000000aa";
    event["id"] = json!(id);
    event["data"]["message_id"] = json!("mid.2");
    let by = |via: &str| {
        let mut event = event.clone();
        event["data"]["origin"]["via"] = json!(via);
        Draft::of(serde_json::from_value::<Event>(event).unwrap())
    };
    let store = fact_store(&lab).await;
    drop(store.begin(&[by("reconcile")]).await.unwrap());
    store.begin(&[by("webhook")]).await.unwrap().commit().await.unwrap();
    let readings: Vec<_> = lab
        .events()
        .await
        .into_iter()
        .filter(|event| event["id"] == id)
        .map(|event| event["data"]["origin"].clone())
        .map(|origin| (origin["via"].clone(), origin["revision"].clone()))
        .collect();
    assert_eq!(readings, [(json!("reconcile"), json!(0)), (json!("webhook"), json!(1))]);
}

/// Postgres was put back many times: the stream has more readings of one fact than a call used to look for, and none is recorded. The next
/// one is published behind all of them.
#[tokio::test(flavor = "multi_thread")]
async fn however_many_readings_were_forgotten_the_next_one_comes_behind_them() {
    const FORGOTTEN: usize = 12;
    let graph = FakeGraph::start().await;
    let lab = lab_apart(&graph, &[]).await;
    lab.add_account("instagram", "instagram", IG, "t", &[]).await;
    post(&lab, &instagram(text(IG, ANN, "mid.1", now() / 1000 * 1000, "hello"))).await;
    let mut event = published(&lab, "message.received", 1).await.remove(0);
    let id = "evt_00000000000000000000000000000000000000bb";
    event["id"] = json!(id);
    event["type"] = json!("hookline.reply.unknown.v1");
    event["data"]["origin"]["via"] = json!("reply");
    event["data"]["reply_id"] = json!("rpl_00000000000000000000000000000001");
    event["data"]["parts"] = json!([]);
    let reading = |attempts: usize| {
        let mut event = event.clone();
        event["data"]["attempts"] = json!(attempts);
        Draft::of(serde_json::from_value::<Event>(event).unwrap())
    };
    let store = fact_store(&lab).await;
    for n in 0..FORGOTTEN {
        // Published, and its transaction never comes to its commit.
        drop(store.begin(&[reading(n)]).await.unwrap());
    }
    store.begin(&[reading(FORGOTTEN)]).await.unwrap().commit().await.unwrap();
    let events = lab.events().await;
    let last = events.iter().rfind(|event| event["id"] == id).unwrap();
    assert_eq!(last["data"]["attempts"], json!(FORGOTTEN));
    assert_eq!(last["data"]["origin"]["revision"], json!(FORGOTTEN));
}
