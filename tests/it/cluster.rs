//! Three nats-servers in a cluster, three replicas of every stream: leaders die, nothing accepted does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tests::cluster::Cluster;
use tests::traffic::{Findings, Traffic, paced, soak};
use tests::{Lab, Role};

const EVERY: Duration = Duration::from_secs(5);
const PER_SECOND: usize = 40;

async fn clustered(synced: [bool; 3]) -> (Lab, Cluster) {
    let mut lab = Lab::start().await;
    let cluster = Cluster::start(lab.folder(), synced).await;
    cluster.serve(&mut lab).await;
    for role in Role::ALL {
        lab.run(role).await;
    }
    for role in Role::ALL {
        lab.ready(role).await;
    }
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
    for role in Role::ALL {
        lab.ready(role).await;
    }
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: make soak"]
async fn soak_cluster() {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    survives((60.0 * soak()) as u64).await;
}
