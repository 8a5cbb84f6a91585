//! Anybody may die at any time, servers included: nothing accepted is lost, nothing is there twice.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tests::traffic::{Findings, Traffic, seed, share, soak};
use tests::{Lab, LabOptions, Role};
use tokio::sync::Semaphore;

const KILLS: usize = 200;
const DELIVERIES: usize = 20_000;

async fn survives(of: f64) {
    let seed = seed();
    let (kills, deliveries) = (share(KILLS, of), share(DELIVERIES, of));
    let mut lab = Lab::start_with(LabOptions::OWN).await;
    lab.run_apart().await;
    lab.run_nth(Role::Worker, 1).await;
    let traffic = Arc::new(Traffic::new(seed, 200, deliveries));
    eprintln!(
        "HOOKLINE_SEED={seed}: {kills} kills, {deliveries} webhooks, {} messages",
        traffic.messages()
    );
    traffic.add_accounts(&lab).await;
    let began = Instant::now();
    let gate = Arc::new(Semaphore::new(0));
    let sender = tokio::spawn(traffic.clone().deliver(lab.meta(), gate.clone()));
    let mut rng = StdRng::seed_from_u64(seed);
    let mut victims = [0; 6];
    for n in 1..=kills {
        // An equal part of the traffic for each kill, and the kill somewhere inside.
        gate.add_permits(deliveries * n / kills - deliveries * (n - 1) / kills);
        tokio::time::sleep(Duration::from_millis(rng.random_range(50..700))).await;
        let victim = rng.random_range(0..victims.len());
        victims[victim] += 1;
        let away = Duration::from_millis(rng.random_range(0..600));
        match victim {
            0 => {
                lab.nats.kill_for(away).await;
            }
            1 => {
                lab.postgres.kill_for(away).await;
            }
            role => {
                let role = Role::ALL[role - 2];
                let n = u32::from(role == Role::Worker && rng.random());
                lab.kill9_nth(role, n).await;
                tokio::time::sleep(away).await;
                lab.run_nth(role, n).await;
            }
        }
    }
    let sent = sender.await.unwrap();
    lab.all_ready().await;
    traffic.arrive(&lab).await;
    let findings = traffic.check(&lab).await;
    eprintln!(
        "{:?}; killed nats {}, postgres {}, ingest {}, worker {}, projector {}, api {}; {sent:?}; {} events repeated",
        began.elapsed(),
        victims[0],
        victims[1],
        victims[2],
        victims[3],
        victims[4],
        victims[5],
        findings.repeated_events
    );
    assert_eq!(findings, Findings::default(), "HOOKLINE_SEED={seed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_accepted_is_lost_or_doubled_whoever_dies() {
    survives(1.0 / 20.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: make soak"]
async fn soak_chaos() {
    survives(soak()).await;
}
