//! More than there is room for: others are served, and memory stays bounded.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tests::body::{IG, instagram, now, text};
use tests::client::{eventually, holds};
use tests::lab::LabOptions;
use tests::traffic::{share, soak};
use tests::{Lab, Role};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const SLOW: usize = 2000;
const WEBHOOKS: usize = 1_000_000;
const AT_ONCE: usize = 64;
/// Measurements of one run.
const STEPS: usize = 8;
/// More webhooks than this do not wait for their rows, so that it is the pipeline that is measured and not a queue.
const AHEAD_MAX: i64 = 20_000;
/// Meta waits this long for an answer (docs/meta-platform.md 3.1).
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
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
    assert!(worst < ANSWER_WITHIN, "{worst:?}");
    assert!(during < RSS_MAX, "{during} bytes");
    drop(slow);
    eventually("their places are free again", Duration::from_secs(20), async || {
        let metrics = lab.metrics(Role::Ingest).await;
        let inside =
            metrics.lines().find_map(|line| line.strip_prefix("hookline_ingest_inflight "));
        holds(inside == Some("0"), || format!("{inside:?}"))
    })
    .await;
}

/// Delivers webhooks, and gives the resident memory of each role after every eighth of them, in bytes.
async fn memory(of: f64) -> BTreeMap<Role, Vec<u64>> {
    // Memory does not depend on a sync, and a million of them would take a day.
    let mut lab = Lab::start_with(LabOptions { durable: Some(false), ..LabOptions::OWN }).await;
    lab.set("NATS_REQUIRE_SYNC", "false");
    lab.run_apart().await;
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &[]).await;
    let each = share(WEBHOOKS, of) / STEPS;
    let (meta, began) = (lab.meta(), Instant::now());
    let mut found: BTreeMap<Role, Vec<u64>> = BTreeMap::new();
    for step in 0..STEPS {
        let mut posting = JoinSet::new();
        for n in step * each..(step + 1) * each {
            if posting.len() >= AT_ONCE {
                posting.join_next().await.unwrap().unwrap();
            }
            if n % 1000 == 0 {
                arrived(&lab, n, AHEAD_MAX).await;
            }
            let meta = meta.clone();
            posting.spawn(async move {
                let person = format!("52000000001{:05}", n % 5000);
                let body = instagram(text(IG, &person, &format!("mid.{n}"), now(), "hello"));
                meta.deliver("/webhooks/instagram", &body).await;
            });
        }
        while let Some(done) = posting.join_next().await {
            done.unwrap();
        }
        arrived(&lab, (step + 1) * each, 0).await;
        for role in Role::ALL {
            found.entry(role).or_default().push(rss(lab.pid(role, 0)));
        }
        let now: Vec<String> = found
            .iter()
            .map(|(role, rss)| format!("{} {} MB", role.name(), rss[step] >> 20))
            .collect();
        eprintln!("{} webhooks, {:?}: {}", (step + 1) * each, began.elapsed(), now.join(", "));
    }
    found
}

/// Waits until all but `behind` of so many messages have their row.
async fn arrived(lab: &Lab, messages: usize, behind: i64) {
    let wanted = i64::try_from(messages).unwrap() - behind;
    if wanted <= 0 {
        return;
    }
    eventually("the rows are there", Duration::from_secs(120), async || {
        let rows: i64 = sqlx::query_scalar("select count(*) from inbox.messages")
            .fetch_one(lab.pool())
            .await
            .map_err(|error| error.to_string())?;
        holds(rows >= wanted, || format!("{rows} of {wanted}"))
    })
    .await;
}

fn bounded(found: &BTreeMap<Role, Vec<u64>>, growth_max: u64) {
    for (role, rss) in found {
        let (middle, last) = (rss[STEPS / 2], rss[STEPS - 1]);
        assert!(rss.iter().all(|rss| *rss < RSS_MAX), "{}: {rss:?} bytes", role.name());
        assert!(last <= middle + growth_max, "{} grows: {rss:?} bytes", role.name());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_does_not_grow_with_what_went_through() {
    // A two-hundredth: a debug build needs minutes for a twentieth.
    bounded(&memory(1.0 / 200.0).await, 16 << 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: make soak"]
async fn soak_memory() {
    // What an allocator keeps moves by some megabytes.
    bounded(&memory(soak()).await, 8 << 20);
}
