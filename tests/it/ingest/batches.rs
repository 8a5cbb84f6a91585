//! Many at once: one sync for all, every one stored once.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use runtime::broker::{Broker, Needs};
use runtime::config::{NatsConfig, Settings};
use runtime::publish::Outgoing;
use runtime::streams::StreamName;
use tokio_util::sync::CancellationToken;

use servers::NatsServer;

use super::door::{Door, Folder, body, durable};

async fn payloads(door: &Door) -> Vec<(Vec<u8>, bool)> {
    let raw = door.raw().await;
    let last = raw.get_info().await.unwrap().state.last_sequence;
    let mut payloads = Vec::new();
    for sequence in 1..=last {
        let message = raw.get_raw_message(sequence).await.unwrap();
        payloads.push((message.payload.to_vec(), message.headers.get("Nats-Batch-Id").is_some()));
    }
    payloads
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_at_once_are_all_stored_once() {
    let door = Door::open().await;
    let bodies: Vec<_> = (0..200).map(body).collect();
    let statuses = door.post_all(bodies.clone()).await;
    assert_eq!(statuses, [200; 200]);
    let stored = payloads(&door).await;
    assert!(stored.iter().any(|(_, batched)| *batched), "they shared a sync");
    assert_eq!(stored.len(), 200);
    let stored: HashSet<_> = stored.into_iter().map(|(payload, _)| payload).collect();
    assert_eq!(stored, bodies.into_iter().collect());
    door.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_body_many_times_at_once_is_stored_once() {
    let door = Door::open().await;
    let bodies: Vec<_> = (0..150).map(|n| body(n % 3)).collect();
    assert_eq!(door.post_all(bodies.clone()).await, [200; 150]);
    assert_eq!(door.post_all(bodies).await, [200; 150]);
    assert_eq!(door.stored().await, 3);
    door.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn known_ones_among_new_ones_spoil_nothing() {
    let door = Door::open().await;
    assert_eq!(door.post_all((0..300).step_by(10).map(body).collect()).await, [200; 30]);
    assert_eq!(door.post_all((0..300).map(body).collect()).await, [200; 300]);
    assert_eq!(door.stored().await, 300);
    door.stop().await;
}

pub(crate) async fn broker(door: &Door) -> (Broker, CancellationToken) {
    let pairs = [("NATS_URL", door.nats.url()), ("NATS_MONITOR_URL", door.nats.monitor_url())];
    let config = NatsConfig::from_settings(&Settings::from_pairs(pairs)).unwrap();
    let needs = Needs { streams: &[StreamName::Raw], best_effort: false };
    let shutdown = CancellationToken::new();
    let broker = Broker::connect("test", config, needs, shutdown.clone()).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), broker.ready()).await.unwrap();
    (broker, shutdown)
}

fn message(n: usize) -> Outgoing {
    Outgoing {
        subject: schemas::subjects::raw(schemas::raw::RawPath::Any, 0),
        id: format!("message-{n}"),
        headers: async_nats::HeaderMap::new(),
        payload: vec![b'x'; 1000].into(),
    }
}

/// The broker refuses a batch that holds a known id (10201), without saying which.
#[tokio::test]
async fn a_batch_with_a_known_id_falls_back_to_singles() {
    let door = Door::open().await;
    let (broker, shutdown) = broker(&door).await;
    let wait = Duration::from_secs(3);
    broker.publish(message(1), wait).await.unwrap();
    let all = broker.publish_all((0..20).map(message).collect(), wait).await.unwrap();
    let expected: Vec<_> =
        [(2, false), (1, true)].into_iter().chain((3..21).map(|at| (at, false))).collect();
    assert_eq!(
        all.iter().map(|stored| (stored.sequence, stored.duplicate)).collect::<Vec<_>>(),
        expected
    );
    let each = broker.publish_each((18..38).map(message).collect(), wait).await;
    let each: Vec<_> = each
        .into_iter()
        .map(|end| end.map(|stored| (stored.sequence, stored.duplicate)).unwrap())
        .collect();
    let expected: Vec<_> = (19..39).map(|at| (at, at < 21)).collect();
    assert_eq!(each, expected);
    assert!(payloads(&door).await.iter().all(|(_, batched)| !batched));
    let fresh = broker.publish_each((38..58).map(message).collect(), wait).await;
    let fresh: Vec<_> = fresh.into_iter().map(|end| end.unwrap().sequence).collect();
    assert_eq!(fresh, (39..59).collect::<Vec<_>>());
    let fresh = broker.publish_all((58..78).map(message).collect(), wait).await.unwrap();
    assert_eq!(fresh.last().map(|stored| stored.sequence), Some(78));
    assert_eq!(payloads(&door).await.iter().filter(|(_, batched)| *batched).count(), 40);
    shutdown.cancel();
    door.stop().await;
}

/// One message the broker never takes must not take the others down with it.
#[tokio::test]
async fn a_refused_message_fails_alone() {
    let door = Door::open().await;
    let (broker, shutdown) = broker(&door).await;
    let raw = door.raw().await;
    let mut config = raw.get_info().await.unwrap().config;
    config.max_message_size = 2000;
    door.js().await.update_stream(&config).await.unwrap();
    let mut total = 0;
    // Pipelined, and as a batch that is refused.
    for count in [3, 20] {
        let mut messages: Vec<_> = (100 * count..101 * count).map(message).collect();
        messages[1].payload = vec![b'x'; 3000].into();
        let ends = broker.publish_each(messages, Duration::from_secs(3)).await;
        let expected: Vec<_> = (0..count).map(|n| n != 1).collect();
        assert_eq!(ends.iter().map(Result::is_ok).collect::<Vec<_>>(), expected, "{ends:?}");
        total += count as u64 - 1;
        assert_eq!(door.stored().await, total);
    }
    shutdown.cancel();
    door.stop().await;
}

/// The deployed user of ingest may only publish raw webhooks: enough for singles, batches and readiness, and nothing can be read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deployed_user_is_all_it_needs() {
    let folder = Folder::new();
    let mut options = durable(&folder);
    options.password = false;
    options.extra_config = Some(tests::shared::users::by_name());
    let nats = NatsServer::start(options).await.unwrap();
    let at = nats.url().replace("nats://", "");
    let pairs = [
        ("NATS_URL", format!("nats://worker:worker@{at}")),
        ("NATS_MONITOR_URL", nats.monitor_url()),
    ];
    let config = NatsConfig::from_settings(&Settings::from_pairs(pairs)).unwrap();
    let needs = Needs { streams: &[StreamName::Raw], best_effort: false };
    let shutdown = CancellationToken::new();
    let worker = Broker::connect("worker", config, needs, shutdown.clone()).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), worker.ready()).await.unwrap();
    let door =
        Door::with(folder, nats, &[("NATS_URL", &format!("nats://ingest:ingest@{at}"))]).await;
    door.ready().await;
    assert_eq!(door.post("/webhook", body(0)).await.status, 200);
    assert_eq!(door.post_all((0..100).map(body).collect()).await, [200; 100]);
    let raw = worker.js().get_stream("META_RAW").await.unwrap();
    assert_eq!(raw.get_info().await.unwrap().state.messages, 100);
    shutdown.cancel();
    door.stop().await;
}

/// Not a check but a measurement: `cargo test -p tests --test ingest -- --ignored --nocapture measure`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
#[allow(clippy::print_stdout, reason = "its figures are all it is for")]
async fn measure_batches_against_singles() {
    let door = Door::open().await;
    let (broker, shutdown) = broker(&door).await;
    let (wait, count) = (Duration::from_secs(60), 4000);
    let started = Instant::now();
    for n in 0..500 {
        broker.publish(message(n), wait).await.unwrap();
    }
    println!("one by one:           {:>8.0}/s", 500.0 / started.elapsed().as_secs_f64());
    let started = Instant::now();
    futures::future::join_all((1000..1000 + count).map(|n| broker.publish(message(n), wait))).await;
    println!("singles, all at once: {:>8.0}/s", count as f64 / started.elapsed().as_secs_f64());
    for size in [16, 100, 500] {
        let start = 100_000 * size;
        let messages: Vec<_> = (start..start + count).map(message).collect();
        let started = Instant::now();
        for batch in messages.chunks(size) {
            assert!(broker.publish_each(batch.to_vec(), wait).await.iter().all(Result::is_ok));
        }
        println!(
            "batches of {size:>3}:       {:>8.0}/s",
            count as f64 / started.elapsed().as_secs_f64()
        );
    }
    for clients in [1, 16, 64, 256] {
        let total = if clients == 1 { 500 } else { 4000 };
        let started = Instant::now();
        let posts = (0..clients).map(async |client| {
            for n in 0..total / clients {
                let body = body(1_000_000 * clients + 10_000 * client + n);
                assert_eq!(door.post("/webhook", &body).await.status, 200);
            }
        });
        futures::future::join_all(posts).await;
        println!(
            "HTTP, {clients:>3} clients:    {:>8.0}/s",
            total as f64 / started.elapsed().as_secs_f64()
        );
    }
    shutdown.cancel();
    door.stop().await;
}
