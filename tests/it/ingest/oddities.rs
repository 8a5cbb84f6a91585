//! Clients that speak HTTP their own way, or hold on to it.

use std::time::{Duration, Instant};

use tests::client::{eventually, signature};
use tests::servers::another_broker;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::door::{Door, Folder, SECRET, body, read_all};

const SOON: Duration = Duration::from_millis(1500);

fn head(lines: &str, body: &[u8]) -> String {
    format!(
        "POST /webhook HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: {}\r\n{lines}\r\n",
        signature(SECRET, body)
    )
}

/// A body in chunks of `size`, as `Transfer-Encoding: chunked` has it.
fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut wire = Vec::new();
    for chunk in body.chunks(size) {
        wire.extend(format!("{:x}\r\n", chunk.len()).bytes());
        wire.extend(chunk);
        wire.extend(b"\r\n");
    }
    wire.extend(b"0\r\n\r\n");
    wire
}

#[tokio::test]
async fn chunks_continue_and_doubled_headers() {
    let door = Door::open().await;
    let body = body(7);
    let chunks = head("Transfer-Encoding: chunked\r\nConnection: close\r\n", &body);
    let answer = door.raw_exchange(&[chunks.as_bytes(), &chunked(&body, 5)], SOON).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(door.newest().await.payload.as_ref(), body);

    let mut stream = TcpStream::connect(door.address).await.unwrap();
    let asks = head(
        &format!("Expect: 100-continue\r\nConnection: close\r\nContent-Length: {}\r\n", body.len()),
        &body,
    );
    stream.write_all(asks.as_bytes()).await.unwrap();
    let go_on = read_all(&mut stream, Duration::from_millis(500)).await;
    assert!(go_on.starts_with("HTTP/1.1 100"), "{go_on}");
    stream.write_all(&body).await.unwrap();
    let answer = read_all(&mut stream, SOON).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let doubled = format!(
        "X-Hub-Signature-256: {}\r\nConnection: close\r\nContent-Length: {}\r\n",
        signature(SECRET, &body),
        body.len()
    );
    let answer = door.raw_exchange(&[head(&doubled, &body).as_bytes(), &body], SOON).await;
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("twice"), "{answer}");

    let encoded = head(
        &format!(
            "Content-Encoding: gzip\r\nConnection: close\r\nContent-Length: {}\r\n",
            body.len()
        ),
        &body,
    );
    let answer = door.raw_exchange(&[encoded.as_bytes(), &body], SOON).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "the signature is over what arrived: {answer}");
    assert_eq!(door.stored().await, 1);
    door.stop().await;
}

#[tokio::test]
async fn oversized_in_every_way() {
    let folder = Folder::new();
    let nats = another_broker().await;
    let door = Door::with(folder, nats, &[("INGEST_MAX_BODY", "1MiB")]).await;
    door.ready().await;
    let large = vec![b'x'; 5 << 20];
    let says_413 = |answer: &str| {
        assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("1048576"), "{answer}")
    };
    let announced = head(&format!("Content-Length: {}\r\n", large.len()), &large);
    says_413(&door.raw_exchange(&[announced.as_bytes(), &large], SOON).await);
    says_413(&door.raw_exchange(&[announced.as_bytes()], SOON).await);
    let asks =
        head(&format!("Expect: 100-continue\r\nContent-Length: {}\r\n", large.len()), &large);
    says_413(&door.raw_exchange(&[asks.as_bytes()], SOON).await);
    let chunks = head("Transfer-Encoding: chunked\r\n", &large);
    says_413(&door.raw_exchange(&[chunks.as_bytes(), &chunked(&large, 60_000)], SOON).await);
    assert_eq!(
        door.post("/webhook", &large).await.status,
        413,
        "an ordinary client gets to see it, too"
    );
    assert_eq!(door.stored().await, 0);
    door.stop().await;
}

#[tokio::test]
async fn a_half_sent_body_is_not_stored() {
    let door = Door::open().await;
    let body = body(3);
    let half = head(&format!("Content-Length: {}\r\n", body.len()), &body);
    let mut gone = TcpStream::connect(door.address).await.unwrap();
    gone.write_all(&[half.as_bytes(), &body[..20]].concat()).await.unwrap();
    gone.shutdown().await.unwrap();
    let answer = read_all(&mut gone, SOON).await;
    assert!(!answer.contains(" 200 "), "{answer}");
    let broken = head("Transfer-Encoding: chunked\r\n", &body);
    let answer = door.raw_exchange(&[broken.as_bytes(), b"zz\r\n"], SOON).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");

    let (mut slow_head, mut slow_body) = (
        TcpStream::connect(door.address).await.unwrap(),
        TcpStream::connect(door.address).await.unwrap(),
    );
    slow_head.write_all(b"POST /webhook HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    slow_body.write_all(&[half.as_bytes(), &body[..20]].concat()).await.unwrap();
    let started = Instant::now();
    let patience = Duration::from_secs(13);
    let (head_ends, body_ends) =
        tokio::join!(read_all(&mut slow_head, patience), read_all(&mut slow_body, patience));
    let took = started.elapsed();
    assert!(body_ends.starts_with("HTTP/1.1 408"), "{body_ends}");
    assert!(!head_ends.contains(" 200 "), "{head_ends}");
    assert!(
        Duration::from_secs(9) < took && took < Duration::from_secs(12),
        "both were cut: {took:?}"
    );
    assert_eq!(door.stored().await, 0);
    door.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_slow_clients_keep_nobody_out() {
    runtime::process::raise_open_files();
    let door = Door::open().await;
    let large = vec![b'x'; 1 << 20];
    let announced = head("Content-Length: 4000000\r\n", &large).into_bytes();
    let begun = [head("Content-Length: 1048576\r\n", &large).as_bytes(), &large[..30_000]].concat();
    let mut slow = Vec::new();
    for n in 0..2000 {
        let mut stream = TcpStream::connect(door.address).await.unwrap();
        let begin = match n % 3 {
            0 => &b"POST /webhook HTTP/1.1\r\nHost:"[..],
            1 => &announced,
            _ => &begun,
        };
        stream.write_all(begin).await.unwrap();
        slow.push(stream);
    }
    eventually("they are all inside", Duration::from_secs(8), async || {
        let metrics = runtime::telemetry::metrics_handle().render();
        let inside = metrics
            .lines()
            .find_map(|line| line.strip_prefix("hookline_ingest_inflight ")?.parse::<f64>().ok());
        tests::client::holds(inside.is_some_and(|inside| inside >= 1300.0), || {
            format!("{inside:?}")
        })
    })
    .await;
    for n in 0..20 {
        let started = Instant::now();
        assert_eq!(door.post("/webhook", body(n)).await.status, 200);
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    }
    assert_eq!(door.stored().await, 20);
    drop(slow);
    door.stop().await;
}
