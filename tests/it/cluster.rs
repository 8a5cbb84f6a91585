//! Three nats-servers in a cluster, three replicas of every stream: leaders die, nothing accepted does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tests::body::{IG, instagram, now, text};
use tests::cluster::Cluster;
use tests::traffic::{Findings, Traffic, paced, soak};
use tests::{Lab, Role, eventually};

const EVERY: Duration = Duration::from_secs(5);
const PER_SECOND: usize = 40;

async fn clustered(synced: [bool; 3]) -> (Lab, Cluster) {
    let mut lab = Lab::start().await;
    let cluster = Cluster::start(lab.data_folder(), synced).await;
    cluster.serve(&mut lab);
    lab.run_apart().await;
    (lab, cluster)
}

async fn survives(seconds: u64) {
    let seed = rand::random();
    let (lab, mut cluster) = clustered([true; 3]).await;
    let deliveries = PER_SECOND * usize::try_from(seconds).unwrap();
    let traffic = Arc::new(Traffic::new(seed, 100, deliveries));
    traffic.add_accounts(&lab).await;
    let (gate, _pace) = paced(PER_SECOND);
    let sender = tokio::spawn(traffic.clone().deliver(lab.meta(), gate));
    let (began, mut kills) = (Instant::now(), 0);
    let mut next = tokio::time::interval(EVERY);
    next.tick().await;
    while !sender.is_finished() {
        next.tick().await;
        // The one that leads what is written to, whichever stream's turn it is.
        let stream = ["META_RAW", "INBOX_EVENTS"][kills % 2];
        let Some(leader) = cluster.leader(stream).await else { continue };
        eprintln!("{:?}: killing {leader}, the leader of {stream}", began.elapsed());
        cluster.server(leader).kill9().await.unwrap();
        kills += 1;
        // The others choose a new one meanwhile.
        tokio::time::sleep(Duration::from_secs(2)).await;
        cluster.server(leader).restart().await.unwrap();
    }
    let sent = sender.await.unwrap();
    lab.all_ready().await;
    for stream in ["META_RAW", "INBOX_EVENTS"] {
        cluster.whole(stream).await;
    }
    traffic.arrive(&lab).await;
    let mut findings = traffic.check(&lab).await;
    eprintln!(
        "{deliveries} webhooks, {} messages in {:?}, {kills} leaders killed; worst stall {:?}, slowest webhook {:?}, {} tries refused; {} events repeated",
        traffic.messages(),
        began.elapsed(),
        sent.stall,
        sent.slowest,
        sent.refused,
        findings.repeated_events
    );
    assert!(kills > 1, "{kills} kills");
    findings.repeated_events = 0;
    assert_eq!(findings, Findings::default(), "seed {seed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_leader_costs_nothing_but_a_moment() {
    survives(15).await;
}

/// Three replicas are durable without a sync, which `status` warns about; and two of three go on where one does not come back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_without_a_sync_are_durable_with_a_warning() {
    let (mut lab, mut cluster) = clustered([true, true, false]).await;
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &[]).await;
    let meta = lab.meta();
    let hello = |n| instagram(text(IG, "5200000000000001", &format!("mid.{n}"), now(), "hello"));
    assert_eq!(meta.post("/webhooks/instagram", &hello(0)).await, 200);
    let (code, out, err) = lab.hookline(&["status"]).await;
    assert!(code == 0 && out.contains("warning: replicated, not synced"), "{out}{err}");
    let leader = cluster.leader("META_RAW").await.unwrap();
    cluster.server(leader).kill9().await.unwrap();
    let asked = Instant::now();
    meta.deliver("/webhooks/instagram", &hello(1)).await;
    eprintln!("two of three accept again after {:?}", asked.elapsed());
    lab.all_ready().await;
    assert_eq!(meta.post("/webhooks/instagram", &hello(2)).await, 200);
    // One replica is not three, wherever it is: a server of the cluster that does not sync may hold it.
    lab.kill9(Role::Ingest).await;
    cluster.server(leader).restart().await.unwrap();
    let js = lab.jetstream().await;
    for name in ["META_RAW", "INBOX_EVENTS", "INBOX_COMMANDS"] {
        // The two that are left may still be choosing who leads.
        eventually("it has one replica", Duration::from_secs(30), async || {
            let stream = js.get_stream(name).await.map_err(|error| error.to_string())?;
            let mut config = stream.cached_info().config.clone();
            config.num_replicas = 1;
            js.update_stream(&config).await.map(|_| ()).map_err(|error| error.to_string())
        })
        .await;
    }
    lab.run(Role::Ingest).await;
    lab.not_ready(Role::Ingest, "sync_interval: always", Duration::from_secs(30)).await;
    assert_eq!(meta.post("/webhooks/instagram", &hello(3)).await, 503);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: make soak"]
async fn soak_cluster() {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    survives((60.0 * soak()) as u64).await;
}

/// One server of three is listed, and it syncs. What another one stores, which does not, is acked before it is durable.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_listed_counts_as_one_that_does_not_sync() {
    let mut lab = Lab::start().await;
    let mut cluster = Cluster::start(lab.data_folder(), [true, true, false]).await;
    cluster.serve(&mut lab);
    let (url, monitor) = (cluster.server(0).url(), cluster.server(0).monitor_url());
    lab.set("NATS_URL", &url);
    lab.set("NATS_MONITOR_URL", &monitor);
    lab.set("NATS_REPLICAS", "1");
    lab.run(Role::Ingest).await;
    lab.not_ready(Role::Ingest, "NATS_MONITOR_URL", Duration::from_secs(30)).await;
    let body = instagram(text(IG, "5200000000000001", "mid.1", now(), "hello"));
    assert_eq!(lab.meta().post("/webhooks/instagram", &body).await, 503);
}
