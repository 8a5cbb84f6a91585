//! What Meta's door costs beside a plain handler: axum and async-nats in 25 lines (`plain.rs`), which verify the signature, publish and
//! wait for the ack. Both stand in front of a nats-server of their own with the same settings, and take turns under the same load.
//!
//! `ROUNDS=n` and `SECONDS=n` set how often and how long each candidate is measured, `LOADS=word` keeps the loads whose names contain the
//! word, `HOOKLINE=path` measures another program than the one beside this one.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod candidate;
mod load;
mod plain;
mod report;
mod webhook;

use std::time::Duration;

use bench::setting;
use candidate::{Candidate, Kind};
use load::{Load, Pace};
use report::Course;

const KIB: usize = 1 << 10;

const LOADS: [Load; 6] = [
    Load { name: "64 connections", sync: true, body: KIB, pace: Pace::Closed(64) },
    Load { name: "512 connections", sync: true, body: KIB, pace: Pace::Closed(512) },
    Load { name: "1,000/s", sync: true, body: KIB, pace: Pace::Open(1000) },
    Load { name: "1 KiB, default sync", sync: false, body: KIB, pace: Pace::Closed(64) },
    Load { name: "4 KiB, default sync", sync: false, body: 4 * KIB, pace: Pace::Closed(64) },
    Load { name: "64 KiB, default sync", sync: false, body: 64 * KIB, pace: Pace::Closed(64) },
];

/// The candidates take turns; each starts anew for every load, in front of an empty broker.
async fn measure(load: Load, kinds: &[Kind], rounds: u32, length: Duration) -> Vec<Course> {
    let mut candidates = Vec::new();
    for kind in kinds {
        candidates.push(Candidate::start(*kind, load.sync).await);
    }
    let mut courses: Vec<_> =
        kinds.iter().map(|kind| Course { kind: *kind, load, rounds: Vec::new() }).collect();
    for round in 1..=rounds {
        for (candidate, course) in candidates.iter().zip(&mut courses) {
            let figures = load.run(candidate, length).await;
            println!("{}, round {round}, {}: {figures}", load.name, course.kind.name());
            course.rounds.push(figures);
        }
    }
    for candidate in candidates {
        candidate.stop().await;
    }
    courses
}

fn main() {
    if let Some(subject) = std::env::args().skip_while(|word| word != plain::WORD).nth(1) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        return runtime.block_on(plain::serve(subject.leak()));
    }
    // One thread makes the load of all connections, so that it competes little with what is measured.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(compare());
}

async fn compare() {
    let (rounds, length) = (setting("ROUNDS", 5), Duration::from_secs(setting("SECONDS", 3)));
    let wanted = std::env::var("LOADS").unwrap_or_default();
    let mut courses = Vec::new();
    for load in LOADS.into_iter().filter(|load| load.name.contains(&wanted)) {
        courses.extend(measure(load, &Kind::ALL, rounds, length).await);
    }
    println!("\n{}", report::table(&courses));
}
