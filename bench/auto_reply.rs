//! How long people wait for an automatic reply: from the webhook's first byte to the send call at Meta, 50 accounts, 50 webhooks a
//! second. In rounds with a broker and a Postgres that sync before they answer, interleaved with rounds that do not sync, which shows
//! what durability costs. Then 200 a second, and backlogs that are let go at once: replies per second, and CPU time per reply. `SECONDS=n` sets the length of a round, `ROUNDS=n` their number,
//! `BACKLOG=n` the first backlog; the second has three times as many. `STATEMENTS=1` prints what took Postgres longest, and costs a little of what is measured.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod cpu;
mod stages;
mod statements;

use std::collections::HashMap;
use std::time::Duration;

use bench::{Samples, setting};
use chrono::{DateTime, Utc};
use simulator::{CallKind, Person};
use tests::crowd::Shop;
use tests::{Lab, LabOptions};

const ACCOUNTS: usize = 50;
/// People of each account in a backlog.
const PEOPLE: usize = 40;
const PER_SECOND: u64 = 50;
/// The second speed.
const FAST_PER_SECOND: u64 = 200;
/// The goal for p99 with everything durable.
const GOAL: Duration = Duration::from_millis(250);

async fn stage(durable: bool) -> (Lab, Vec<Shop>) {
    let counted = durable && statements::wanted();
    let mut lab =
        Lab::start_with(LabOptions { durable: Some(durable), counted, ..LabOptions::OWN }).await;
    if counted {
        statements::count(&lab).await;
    }
    lab.set("NATS_REQUIRE_SYNC", if durable { "true" } else { "false" });
    lab.run_apart().await;
    let mut shops = Vec::new();
    for n in 0..ACCOUNTS {
        shops.push(Shop::open(&lab, n, &["--auto-reply", "Thanks!"]).await);
    }
    (lab, shops)
}

/// All commands are put in while sending is frozen, then let go at once: replies per second until the last has its outcome, and what they
/// cost.
async fn backlog(lab: &mut Lab, shops: &[Shop], name: &str, count: usize) -> f64 {
    lab.hookline_ok(&["send", "freeze"]).await;
    let wishes = (0..count)
        .map(|n| {
            let shop = &shops[n % shops.len()];
            let person = &shop.people[n / shops.len() % shop.people.len()];
            (shop, person, format!("{name} {n}"), format!("{name}-{n}"))
        })
        .collect();
    tests::crowd::ask(lab, wishes).await;
    let before = cpu::of(lab);
    statements::forget(lab).await;
    lab.hookline_ok(&["send", "thaw"]).await;
    let took = tests::crowd::all_ended(lab, count, Duration::from_secs(300)).await;
    #[allow(clippy::cast_precision_loss)] // a count of replies
    let rate = count as f64 / took.as_secs_f64();
    println!(
        "backlog of {count}: {rate:.0} replies/s in {took:?}; per reply {}",
        cpu::each(&before, &cpu::of(lab), count)
    );
    statements::print(lab, count).await;
    rate
}

/// One person after the other writes for the first time, to one account after the other.
async fn round(lab: &Lab, shops: &[Shop], name: &str, seconds: u64, per_second: u64) -> Samples {
    let mut clock = tokio::time::interval(Duration::from_nanos(1_000_000_000 / per_second));
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let count = usize::try_from(per_second * seconds).unwrap();
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
        round(lab, shops, "warm-up", 2, PER_SECOND).await;
    }
    let (mut durable, mut other) = (Vec::new(), Vec::new());
    for n in 0..rounds {
        let since = Utc::now();
        let samples = round(&synced.0, &synced.1, &format!("Ann {n}"), seconds, PER_SECOND).await;
        println!("round {n}: durable {samples}");
        stages::print(&synced.0, since).await;
        durable.push(samples);
        let samples = round(&loose.0, &loose.1, &format!("Bob {n}"), seconds, PER_SECOND).await;
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
    let (mut lab, mut shops) = synced;
    let since = Utc::now();
    let before = cpu::of(&mut lab);
    statements::forget(&lab).await;
    let fast = round(&lab, &shops, "Cid", seconds, FAST_PER_SECOND).await;
    let count = usize::try_from(FAST_PER_SECOND * seconds).unwrap();
    let each = cpu::each(&before, &cpu::of(&mut lab), count);
    println!("durable, {FAST_PER_SECOND} a second: {fast}; per reply {each}");
    statements::print(&lab, count).await;
    stages::print(&lab, since).await;
    let many = usize::try_from(setting("BACKLOG", 2_000)).unwrap();
    for shop in &mut shops {
        shop.meets(PEOPLE).await;
    }
    lab.settled().await;
    let one = backlog(&mut lab, &shops, "one", many).await;
    let three = backlog(&mut lab, &shops, "three", 3 * many).await;
    println!("with 3 times as many: ratio {:.2}", three / one);
    let p99 = median(&durable, 0.99);
    println!("goal p99 < {GOAL:?}: {}", if p99 < GOAL { "met" } else { "missed" });
}
