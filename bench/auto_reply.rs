//! How long people wait for an automatic reply: from the webhook's first byte to the send call at Meta, 50 accounts, 50 webhooks a
//! second. In rounds with a broker and a Postgres that sync before they answer, interleaved with rounds that do not sync, which shows
//! what durability costs. `SECONDS=n` sets the length of a round, `ROUNDS=n` their number.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::collections::HashMap;
use std::time::Duration;

use bench::Samples;
use chrono::{DateTime, Utc};
use simulator::{CallKind, Person};
use tests::crowd::Shop;
use tests::{Lab, LabOptions};

const ACCOUNTS: usize = 50;
const PER_SECOND: u64 = 50;
/// The goal for p99 with everything durable.
const GOAL: Duration = Duration::from_millis(250);

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| {
        value.parse().unwrap_or_else(|_| panic!("{name} is not a whole number: `{value}`"))
    })
}

async fn stage(durable: bool) -> (Lab, Vec<Shop>) {
    let mut lab = Lab::start_with(LabOptions { durable: Some(durable), ..LabOptions::OWN }).await;
    lab.set("NATS_REQUIRE_SYNC", if durable { "true" } else { "false" });
    lab.run_apart().await;
    let mut shops = Vec::new();
    for n in 0..ACCOUNTS {
        shops.push(Shop::open(&lab, n, &["--auto-reply", "Thanks!"]).await);
    }
    (lab, shops)
}

/// One person after the other writes for the first time, to one account after the other.
async fn round(lab: &Lab, shops: &[Shop], name: &str, seconds: u64) -> Samples {
    let mut clock = tokio::time::interval(Duration::from_nanos(1_000_000_000 / PER_SECOND));
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let count = usize::try_from(PER_SECOND * seconds).unwrap();
    let mut talks = Vec::with_capacity(count);
    for n in 0..count {
        clock.tick().await;
        let person: Person = shops[n % shops.len()].account.person(&format!("{name} {n}"));
        let act = person.says("is anybody there?");
        talks.push((person, act));
    }
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while talks.iter().any(|(person, _)| person.received().is_empty()) {
        assert!(tokio::time::Instant::now() < deadline, "some were never answered");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let answered: HashMap<String, DateTime<Utc>> = lab
        .simulator
        .calls(Some(CallKind::Send), None)
        .into_iter()
        .filter_map(|call| Some((call.target?, call.at)))
        .collect();
    talks
        .iter()
        .map(|(person, act)| {
            let asked = act.deliveries()[0].attempts[0].at;
            assert_eq!(person.received().len(), 1, "answered once");
            (answered[person.id()] - asked).to_std().unwrap_or_default()
        })
        .collect()
}

#[tokio::main]
async fn main() {
    let (seconds, rounds) = (setting("SECONDS", 20), setting("ROUNDS", 3));
    let (synced, loose) = (stage(true).await, stage(false).await);
    for (lab, shops) in [&synced, &loose] {
        round(lab, shops, "warm-up", 2).await;
    }
    let (mut durable, mut other) = (Vec::new(), Vec::new());
    for n in 0..rounds {
        let samples = round(&synced.0, &synced.1, &format!("Ann {n}"), seconds).await;
        println!("round {n}: durable {samples}");
        durable.push(samples);
        let samples = round(&loose.0, &loose.1, &format!("Bob {n}"), seconds).await;
        println!("round {n}: not durable {samples}");
        other.push(samples);
    }
    let median = |rounds: &[Samples], share| {
        rounds.iter().map(|samples| samples.at(share)).collect::<Samples>().at(0.5)
    };
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let (durable, other) = (median(&durable, share), median(&other, share));
        println!(
            "{name}, median of {rounds} rounds: durable {durable:?}, not durable {other:?}, ratio {:.2}",
            durable.as_secs_f64() / other.as_secs_f64()
        );
    }
    let p99 = median(&durable, 0.99);
    println!("goal p99 < {GOAL:?}: {}", if p99 < GOAL { "met" } else { "missed" });
}
