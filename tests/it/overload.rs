//! More than there is room for: others are served, and memory stays bounded.

use std::time::{Duration, Instant};

use tests::body::{IG, instagram, now, text};
use tests::client::{eventually, holds};
use tests::{Lab, Role};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const SLOW: usize = 2000;
/// Resident memory a role may have.
const RSS_MAX: u64 = 150 << 20;

fn rss(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_sockets_keep_nobody_out_and_take_little_memory() {
    runtime::process::raise_open_files();
    let mut lab = Lab::start().await;
    lab.run(Role::Ingest).await;
    lab.ready(Role::Ingest).await;
    let (meta, pid) = (lab.meta(), lab.pid(Role::Ingest, 0));
    let address = meta.url.replace("http://", "");
    let before = rss(pid);
    let head = format!(
        "POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\nX-Hub-Signature-256: sha256={}\r\n\r\n",
        "0".repeat(64)
    );
    let begun = [head.as_bytes(), &vec![b'x'; 60_000]].concat();
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        // Who is refused for lack of room may find the connection closed.
        let _ = stream.write_all(&begun).await;
        slow.push(stream);
    }
    let worst = async {
        let mut worst = Duration::ZERO;
        for n in 0..50 {
            let body = instagram(text(IG, "5200000000000001", &format!("mid.{n}"), now(), "hello"));
            let asked = Instant::now();
            assert_eq!(meta.post("/webhooks/instagram", &body).await, 200);
            worst = worst.max(asked.elapsed());
        }
        worst
    };
    let worst = worst.await;
    let during = rss(pid);
    eprintln!(
        "{SLOW} slow sockets: RSS {} → {} MB, slowest honest request {worst:?}",
        before >> 20,
        during >> 20
    );
    assert!(worst < Duration::from_secs(1), "{worst:?}");
    assert!(during < RSS_MAX, "{during} bytes");
    drop(slow);
    eventually("their places are free again", Duration::from_secs(20), async || {
        let metrics = meta.http.get(format!("{}/metrics", meta.url)).send().await.unwrap();
        let metrics = metrics.text().await.unwrap();
        let inside =
            metrics.lines().find_map(|line| line.strip_prefix("hookline_ingest_inflight "));
        holds(inside == Some("0"), || format!("{inside:?}"))
    })
    .await;
}
