//! Few at once: each on its own, without waiting for each other, each answered by its own outcome. And how many messages and syncs all
//! that costs the broker.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use runtime::broker::Broker;
use runtime::publish::{BATCH_FROM, Outgoing};
use schemas::raw::RawPath;
use serde_json::Value;
use servers::NatsServer;
use tests::lab::signal;

use super::batches::broker;
use super::door::{Door, Folder, body, durable};

const WAIT: Duration = Duration::from_secs(5);

/// Messages stored in META_RAW: what each says of its account, and the batch it came in.
async fn stored(door: &Door) -> Vec<(Value, Option<String>)> {
    let raw = door.raw().await;
    let last = raw.get_info().await.unwrap().state.last_sequence;
    let mut stored = Vec::new();
    for sequence in 1..=last {
        let message = raw.get_raw_message(sequence).await.unwrap();
        let batch = message.headers.get("Nats-Batch-Id").map(ToString::to_string);
        stored.push((serde_json::from_slice(&message.payload).unwrap_or_default(), batch));
    }
    stored
}

/// Sizes of the batches in META_RAW, and how many messages came on their own.
async fn shapes(door: &Door) -> (Vec<usize>, usize) {
    let mut batches: BTreeMap<String, usize> = BTreeMap::new();
    let mut singles = 0;
    for (_, batch) in stored(door).await {
        match batch {
            Some(batch) => *batches.entry(batch).or_default() += 1,
            None => singles += 1,
        }
    }
    (batches.into_values().collect(), singles)
}

/// How many messages clients have sent to the broker so far.
async fn received(door: &Door) -> u64 {
    let varz = door.http.get(format!("{}/varz", door.nats.monitor_url())).send().await.unwrap();
    let varz: Value = serde_json::from_str(&varz.text().await.unwrap()).unwrap();
    varz["in_msgs"].as_u64().unwrap()
}

/// What the roles ask from time to time, whatever is published.
const UPKEEP: u64 = 4;

async fn loose() -> Door {
    let folder = Folder::new();
    let mut options = durable(&folder);
    options.sync_always = false;
    let nats = NatsServer::start(options).await.unwrap();
    let door = Door::with(folder, nats, &[("NATS_REQUIRE_SYNC", "false")]).await;
    door.ready().await;
    door
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_at_once_are_no_batch() {
    let door = Door::alone().await;
    let before = received(&door).await;
    for round in 0..6 {
        let bodies = (0..BATCH_FROM / 2).map(|n| body(100 * round + n)).collect();
        assert_eq!(door.post_all(bodies).await, [200; BATCH_FROM / 2]);
    }
    let count = 6 * BATCH_FROM / 2;
    let sent = received(&door).await - before;
    assert!((count as u64..=count as u64 + UPKEEP).contains(&sent), "{sent} for {count}");
    assert_eq!(shapes(&door).await, (vec![], count));
    door.stop().await;
}

/// A batch costs several syncs, so none is smaller than what that is worth; and one message is sent for each webhook.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_are_few_batches() {
    let door = Door::alone().await;
    let before = received(&door).await;
    assert_eq!(door.post_all((0..600).map(body).collect()).await, [200; 600]);
    let sent = received(&door).await - before;
    assert!((600..=600 + UPKEEP).contains(&sent), "{sent} for 600");
    let (batches, singles) = shapes(&door).await;
    assert!(batches.iter().all(|size| (BATCH_FROM..=256).contains(size)), "{batches:?}");
    assert!(!batches.is_empty() && singles <= 300, "{batches:?} and {singles}");
    door.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_does_not_sync_gets_no_batches() {
    let door = loose().await;
    let before = received(&door).await;
    assert_eq!(door.post_all((0..300).map(body).collect()).await, [200; 300]);
    let sent = received(&door).await - before;
    assert!((300..=300 + UPKEEP).contains(&sent), "{sent} for 300");
    assert_eq!(shapes(&door).await, (vec![], 300));
    door.stop().await;
}

fn message(path: RawPath, n: usize, bytes: usize) -> Outgoing {
    Outgoing {
        subject: schemas::subjects::raw(path, 0),
        id: format!("message-{n}"),
        headers: async_nats::HeaderMap::new(),
        payload: format!("{{\"n\":{n},\"filler\":\"{}\"}}", "x".repeat(bytes)).into(),
    }
}

/// What the broker gets for so many messages: one each, and one batch from a certain number on.
#[tokio::test]
async fn what_is_sent_grows_with_nothing_but_the_messages() {
    let door = Door::alone().await;
    let (broker, shutdown) = broker(&door).await;
    let (mut next, mut batches) = (0, 0);
    for count in [1, 2, BATCH_FROM - 1, BATCH_FROM, 100, 500, 501] {
        for ordered in [true, false] {
            let messages: Vec<_> =
                (next..next + count).map(|n| message(RawPath::Any, n, 10)).collect();
            next += count;
            let before = received(&door).await;
            if ordered {
                assert_eq!(broker.publish_all(messages, WAIT).await.unwrap().len(), count);
            } else {
                let ends = broker.publish_each(messages, WAIT).await;
                assert!(ends.len() == count && ends.iter().all(Result::is_ok), "{ends:?}");
            }
            let sent = received(&door).await - before;
            assert!((count as u64..=count as u64 + UPKEEP).contains(&sent), "{sent} for {count}");
            batches += usize::from(count >= BATCH_FROM);
        }
    }
    let (shapes, singles) = shapes(&door).await;
    // 501 are a batch of 500 and one alone.
    assert_eq!((shapes.len(), singles), (batches, 2 * (1 + 2 + BATCH_FROM - 1 + 1)));
    shutdown.cancel();
    door.stop().await;
}

/// One that the broker never takes must not take those down that are under way with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_webhook_is_answered_by_its_own_outcome() {
    for door in [Door::open().await, loose().await] {
        let mut config = door.raw().await.get_info().await.unwrap().config;
        config.max_message_size = 2000;
        door.js().await.update_stream(&config).await.unwrap();
        let large = |n: usize| format!(r#"{{"n":{n},"filler":"{}"}}"#, "x".repeat(3000));
        let bodies: Vec<_> =
            (0..9).map(|n| if n % 3 == 1 { large(n).into_bytes() } else { body(n) }).collect();
        assert_eq!(door.post_all(bodies).await, [200, 503, 200, 200, 503, 200, 200, 503, 200]);
        assert_eq!(door.stored().await, 6);
        door.stop().await;
    }
}

async fn limit(door: &Door, bytes: i32) {
    let mut config = door.raw().await.get_info().await.unwrap().config;
    config.max_message_size = bytes;
    door.js().await.update_stream(&config).await.unwrap();
}

/// A message that is stored at a second try must not come behind a later one of its conversation, and others need not wait for it.
#[tokio::test]
async fn what_follows_a_refused_message_waits_for_it() {
    let door = Door::open().await;
    let (broker, shutdown) = broker(&door).await;
    limit(&door, 2000).await;
    let (any, facebook) = (RawPath::Any, RawPath::Facebook);
    let messages = [(any, 10), (any, 3000), (facebook, 10), (any, 10)];
    let messages: Vec<_> =
        (0..).zip(messages).map(|(n, (path, bytes))| message(path, n, bytes)).collect();
    broker.publish_all(messages.clone(), WAIT).await.unwrap_err();
    let numbers = async || -> Vec<u64> {
        stored(&door).await.iter().map(|(body, _)| body["n"].as_u64().unwrap()).collect()
    };
    assert_eq!(numbers().await, [0, 2], "3 waits for 1, as it has the same lane");
    limit(&door, -1).await;
    let all = broker.publish_all(messages, WAIT).await.unwrap();
    let duplicates: Vec<_> = all.iter().map(|stored| stored.duplicate).collect();
    assert_eq!(duplicates, [true, false, true, false]);
    assert_eq!(numbers().await, [0, 2, 1, 3]);
    shutdown.cancel();
    door.stop().await;
}

async fn publish_until_stored(broker: &Broker, messages: Vec<Outgoing>, deadline: Instant) {
    while let Err(failure) = broker.publish_all(messages.clone(), Duration::from_secs(1)).await {
        assert!(Instant::now() < deadline, "{failure}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Killed again and again in the middle of what is pipelined: repeated until it is stored, everything is there once and in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_survives_a_broker_that_is_killed() {
    let mut door = Door::alone().await;
    let (broker, shutdown) = broker(&door).await;
    let deadline = Instant::now() + Duration::from_secs(60);
    let paths = [RawPath::Any, RawPath::Facebook, RawPath::Instagram];
    let publisher = tokio::spawn(async move {
        let mut next = 0;
        let sizes = [3, 1, 7, BATCH_FROM - 1, 2, 40, 5].into_iter().cycle();
        for count in sizes.take(140) {
            let messages = (next..next + count).map(|n| message(paths[n * n % 3], n, 100));
            publish_until_stored(&broker, messages.collect(), deadline).await;
            next += count;
        }
        next
    });
    for round in 0..4 {
        tokio::time::sleep(Duration::from_millis(60 + 35 * round)).await;
        signal(door.nats.own().pid().unwrap(), rustix::process::Signal::KILL);
        door.nats.own().restart().await.unwrap();
    }
    let count = publisher.await.unwrap();
    let raw = door.raw().await;
    let last = raw.get_info().await.unwrap().state.last_sequence;
    let mut by_lane: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for sequence in 1..=last {
        let message = raw.get_raw_message(sequence).await.unwrap();
        let body: Value = serde_json::from_slice(&message.payload).unwrap();
        by_lane.entry(message.subject.to_string()).or_default().push(body["n"].as_u64().unwrap());
    }
    assert!(by_lane.values().all(|numbers| numbers.is_sorted_by(|a, b| a < b)), "{by_lane:?}");
    assert_eq!(by_lane.values().map(Vec::len).sum::<usize>(), count, "each once");
    shutdown.cancel();
    door.stop().await;
}

/// Few at a time, and the broker killed in between: whoever got 200 is stored, and a webhook that is delivered again until it is taken is
/// stored once, before the next one of its account.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_at_a_time_survive_a_broker_that_is_killed() {
    const ACCOUNTS: usize = 8;
    const EACH: usize = 60;
    let mut door = Door::alone().await;
    let deadline = Instant::now() + Duration::from_secs(60);
    let (address, http) = (door.url("/webhook"), door.http.clone());
    let deliver = move |account: usize| {
        let (address, http) = (address.clone(), http.clone());
        tokio::spawn(async move {
            let mut refused = 0;
            for n in 0..EACH {
                let body = format!(r#"{{"entry":[{{"id":"{account}","time":{n}}}]}}"#).into_bytes();
                let signature = tests::client::signature(super::door::SECRET, &body);
                loop {
                    let request = http.post(&address).header("x-hub-signature-256", &signature);
                    let answer = request.body(body.clone()).send().await.unwrap();
                    match answer.status().as_u16() {
                        200 => break,
                        503 => refused += 1,
                        other => panic!("{other}"),
                    }
                    assert!(Instant::now() < deadline, "not back in time");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            refused
        })
    };
    let clients: Vec<_> = (0..ACCOUNTS).map(deliver).collect();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(30)).await;
        signal(door.nats.own().pid().unwrap(), rustix::process::Signal::KILL);
        door.nats.own().restart().await.unwrap();
    }
    let mut refused = 0;
    for client in clients {
        refused += client.await.unwrap();
    }
    assert!(refused > 0, "the broker was killed in the middle");
    let stored = stored(&door).await;
    assert_eq!(stored.len(), ACCOUNTS * EACH, "each once");
    for account in 0..ACCOUNTS {
        let id = account.to_string();
        let times: Vec<_> = stored
            .iter()
            .map(|(body, _)| &body["entry"][0])
            .filter(|entry| entry["id"] == *id)
            .map(|entry| entry["time"].as_u64().unwrap())
            .collect();
        assert_eq!(times, (0..EACH as u64).collect::<Vec<_>>(), "account {account}");
    }
    door.stop().await;
}
