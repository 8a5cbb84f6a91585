//! The broker away, slow, full, not durable: 503 with `Retry-After`, and by itself back to 200.

use std::time::{Duration, Instant};

use servers::NatsServer;
use tests::lab::signal;

use super::door::{Answer, Door, Folder, SECRET, body, durable};

fn refused(answer: &Answer, words: &str) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.header("retry-after").parse::<u32>().is_ok(), "{answer:?}");
    assert!(answer.text.contains(words), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_goes_away_and_comes_back() {
    let mut door = Door::alone().await;
    assert_eq!(door.post("/webhook", body(1)).await.status, 200);
    door.nats.own().kill9().await.unwrap();
    door.not_ready("not reachable").await;
    let started = Instant::now();
    refused(&door.post("/webhook", body(2)).await, "not reachable");
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    let forged = door
        .http
        .post(door.url("/webhook"))
        .header("x-hub-signature-256", tests::client::signature("forged", b"{}"));
    let forged = door.send(forged.body("{}")).await;
    assert_eq!(forged.status, 401, "who cannot sign learns nothing of the broker: {forged:?}");
    assert_eq!(door.get("/livez").await.status, 200);
    door.nats.own().restart().await.unwrap();
    door.ready().await;
    assert_eq!(door.post("/webhook", body(2)).await.status, 200);
    assert_eq!(door.stored().await, 2);
    door.stop().await;
}

/// Killed in the middle of many: whoever got 200 is stored, and nobody waits for long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_killed_under_load_loses_nothing_accepted() {
    let mut door = Door::alone().await;
    let mut accepted = 0;
    for round in 0..3 {
        let bodies: Vec<_> = (0..400).map(|n| body(1000 * round + n)).collect();
        let pid = door.nats.own().pid().unwrap();
        let posts =
            futures::future::join_all(bodies.iter().map(|body| door.post("/webhook", body)));
        let killer = async {
            tokio::time::sleep(Duration::from_millis(30 * (round as u64 + 1))).await;
            signal(pid, rustix::process::Signal::KILL);
        };
        let started = Instant::now();
        let (answers, ()) = tokio::join!(posts, killer);
        assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
        assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 503)));
        accepted += answers.iter().filter(|answer| answer.status == 200).count() as u64;
        door.nats.own().restart().await.unwrap();
        door.ready().await;
        assert!(accepted <= door.stored().await);
        let again = door.post_all(bodies).await;
        assert!(again.iter().all(|status| *status == 200), "{again:?}");
        accepted = 400 * (round as u64 + 1);
        assert_eq!(door.stored().await, accepted, "repeats are recognised");
    }
    door.stop().await;
}

#[tokio::test]
async fn a_broker_that_is_not_durable_is_refused_until_it_is() {
    let folder = Folder::new();
    let mut options = durable(&folder);
    options.sync_always = false;
    let mut door = Door::with(folder, NatsServer::start(options).await.unwrap(), &[]).await;
    door.not_ready("sync_interval: always").await;
    refused(&door.post("/webhook", body(1)).await, "sync_interval: always");
    assert_eq!(door.stored().await, 0);
    door.nats.own().options_mut().sync_always = true;
    door.nats.own().restart().await.unwrap();
    door.ready().await;
    assert_eq!(door.post("/webhook", body(1)).await.status, 200);
    // And back: what was read before the reconnect does not count.
    door.nats.own().options_mut().sync_always = false;
    door.nats.own().restart().await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(2);
    while Instant::now() < deadline {
        assert_eq!(door.post("/webhook", body(2)).await.status, 503);
    }
    assert_eq!(door.stored().await, 1);
    door.stop().await;
}

#[tokio::test]
async fn durability_may_be_waived_for_trying_things() {
    let folder = Folder::new();
    let mut options = durable(&folder);
    options.sync_always = false;
    let door = Door::with(
        folder,
        NatsServer::start(options).await.unwrap(),
        &[("NATS_REQUIRE_SYNC", "false")],
    )
    .await;
    door.ready().await;
    assert_eq!(door.post("/webhook", body(1)).await.status, 200);
    door.stop().await;
}

#[tokio::test]
async fn started_before_the_broker() {
    let folder = Folder::new();
    let mut nats = NatsServer::start(durable(&folder)).await.unwrap();
    nats.stop().await.unwrap();
    let mut door = Door::with(folder, nats, &[]).await;
    door.not_ready("nats").await;
    refused(&door.post("/webhook", body(1)).await, "not reachable");
    let challenge =
        door.get("/webhook?hub.mode=subscribe&hub.challenge=1&hub.verify_token=one").await;
    assert_eq!(challenge.status, 200, "the handshake needs no broker");
    door.nats.own().restart().await.unwrap();
    door.ready().await;
    assert_eq!(door.post("/webhook", body(1)).await.status, 200);
    door.stop().await;
}

/// Frozen, not dead: the connection stays, and nothing is acked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_broker_is_waited_for_three_seconds() {
    let mut door = Door::alone().await;
    let pid = door.nats.own().pid().unwrap();
    signal(pid, rustix::process::Signal::STOP);
    let bodies: Vec<_> = (0..60).map(body).collect();
    let started = Instant::now();
    let answers =
        futures::future::join_all(bodies.iter().map(|body| door.post("/webhook", body))).await;
    let took = started.elapsed();
    signal(pid, rustix::process::Signal::CONT);
    for answer in &answers {
        refused(answer, "in time");
    }
    assert!(Duration::from_millis(2900) < took && took < Duration::from_millis(4500), "{took:?}");
    door.ready().await;
    tests::client::eventually("it recovers", Duration::from_secs(10), async || {
        match door.post("/webhook", &bodies[0]).await.status {
            200 => Ok(()),
            status => Err(status.to_string()),
        }
    })
    .await;
    assert_eq!(door.post_all(bodies).await, [200; 60]);
    assert_eq!(door.stored().await, 60, "what was stored late is not stored twice");
    door.stop().await;
}

#[tokio::test]
async fn a_full_stream_refuses_and_keeps_what_it_has() {
    let door = Door::open().await;
    let mut config = door.raw().await.get_info().await.unwrap().config;
    config.max_bytes = 4000;
    door.js().await.update_stream(&config).await.unwrap();
    let mut accepted = 0;
    for n in 0..20 {
        let answer = door.post("/webhook", body(n)).await;
        if answer.status != 200 {
            refused(&answer, "full");
            break;
        }
        accepted += 1;
    }
    assert!(0 < accepted && accepted < 20, "{accepted}");
    let posted = door.post_all((100..150).map(body).collect()).await;
    assert_eq!(posted, [503; 50]);
    assert_eq!(door.stored().await, accepted);
    door.not_ready("a stream is full").await;
    config.max_bytes = -1;
    door.js().await.update_stream(&config).await.unwrap();
    assert_eq!(door.post("/webhook", body(100)).await.status, 200);
    door.ready().await;
    door.stop().await;
}

#[tokio::test]
async fn stopping_finishes_what_is_in_flight() {
    use tokio::io::AsyncWriteExt;
    let door = Door::open().await;
    let body = body(1);
    let mut stream = tokio::net::TcpStream::connect(door.address).await.unwrap();
    let head = format!(
        "POST /webhook HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {}\r\nX-Hub-Signature-256: {}\r\n\r\n",
        body.len(),
        tests::client::signature(SECRET, &body)
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let inside = super::door::read_all(&mut stream, Duration::from_millis(500)).await;
    assert!(inside.starts_with("HTTP/1.1 100"), "{inside}");
    door.shutdown.cancel();
    tests::client::eventually("nobody new gets in", Duration::from_secs(5), async || {
        match tokio::net::TcpStream::connect(door.address).await {
            Ok(_) => Err("still listening".to_owned()),
            Err(_) => Ok(()),
        }
    })
    .await;
    stream.write_all(&body).await.unwrap();
    let answer = super::door::read_all(&mut stream, Duration::from_secs(5)).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let stored = door.stored().await;
    assert_eq!(stored, 1);
    let started = Instant::now();
    door.stop().await;
    assert!(started.elapsed() < Duration::from_secs(2));
}
