//! Order: with several workers, killed and frozen all the time, the events of a conversation stand in the order of their raw webhooks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tests::lab::signal;
use tests::traffic::{Findings, Traffic, paced, share, soak};
use tests::{Lab, Role};

const WORKERS: u32 = 4;
const CONVERSATIONS: usize = 500;
/// Webhooks that make some 50,000 events: messages, and a person discovered for each conversation.
const DELIVERIES: usize = 32_000;
/// Longer than a lease lives: what a frozen worker holds is somebody else's when it wakes up.
const FROZEN: Duration = Duration::from_secs(5);

async fn keeps_order(of: f64, per_second: usize, every: Duration) {
    let seed = rand::random();
    let mut lab = Lab::start().await;
    for role in [Role::Ingest, Role::Projector, Role::Api] {
        lab.run(role).await;
    }
    for n in 0..WORKERS {
        lab.run_nth(Role::Worker, n).await;
    }
    lab.all_ready().await;
    let traffic = Arc::new(Traffic::new(seed, CONVERSATIONS, share(DELIVERIES, of)));
    eprintln!("seed {seed}: {} webhooks, {} messages", traffic.deliveries(), traffic.messages());
    traffic.add_accounts(&lab).await;
    let began = Instant::now();
    let (gate, _pace) = paced(per_second);
    let sender = tokio::spawn(traffic.clone().deliver(lab.meta(), gate));
    let (mut kills, mut freezes, mut frozen) = (0, 0, None::<(u32, Instant)>);
    let mut next = tokio::time::interval(every);
    next.tick().await;
    for turn in 0_u32.. {
        next.tick().await;
        if sender.is_finished() {
            break;
        }
        if let Some((n, since)) = frozen.take_if(|(_, since)| since.elapsed() >= FROZEN) {
            eprintln!("{:?}: worker {n} wakes up after {:?}", began.elapsed(), since.elapsed());
            signal(lab.pid(Role::Worker, n), Signal::CONT);
        }
        let n = turn % WORKERS;
        if turn % 3 == 1 && frozen.is_none() {
            signal(lab.pid(Role::Worker, n), Signal::STOP);
            frozen = Some((n, Instant::now()));
            freezes += 1;
        } else if frozen.is_none_or(|(frozen, _)| frozen != n) {
            lab.kill9_nth(Role::Worker, n).await;
            lab.run_nth(Role::Worker, n).await;
            kills += 1;
        }
    }
    if let Some((n, _)) = frozen {
        signal(lab.pid(Role::Worker, n), Signal::CONT);
    }
    let sent = sender.await.unwrap();
    traffic.arrive(&lab).await;
    let findings = traffic.check(&lab).await;
    let events = lab.last_sequence("INBOX_EVENTS").await;
    eprintln!(
        "{events} events in {:?}, {kills} kills, {freezes} freezes, {sent:?}, {} events repeated",
        began.elapsed(),
        findings.repeated_events
    );
    assert!(kills > 0 && freezes > 0, "{kills} kills, {freezes} freezes");
    assert_eq!(findings, Findings::default(), "seed {seed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_keep_the_order_of_their_webhooks_whichever_worker_dies_or_freezes() {
    keeps_order(1.0 / 20.0, 75, Duration::from_secs(3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: make soak"]
async fn soak_order() {
    keeps_order(soak(), 120, Duration::from_secs(3)).await;
}
