//! How long people wait for lists and searches of a large inbox: 1,000,000 messages in 100,000 conversations, put in by SQL. Each kind of
//! request alone, one after the other; then 50 searches at once, of ten tokens, with lists of another token beside them.
//!
//! `REQUESTS=n` sets how often each kind is asked alone, `SECONDS=n` how long the searches go on. Postgres keeps its data in memory where
//! there is room, about 1 GB.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bench::{Samples, setting};
use tests::{Api, Lab, LabOptions};
use tokio::task::JoinSet;

const SEARCHES: usize = 50;
const TOKENS: usize = 10;
/// Lists a second beside the searches.
const LISTS_PER_SECOND: u64 = 20;

/// What is listed.
const LISTS: [(&str, &str); 5] = [
    ("all", "limit=50"),
    ("one account", "limit=50&account_id=17841400000000007"),
    ("unread", "limit=50&unread=true"),
    ("archived", "limit=50&archived=true"),
    ("assigned", "limit=50&assigned_to=agent%203"),
];
/// No index helps: all messages are read. Searched for alone, and seldom.
const WITHOUT_INDEX: (&str, &str) = ("two letters, nowhere (all messages are read)", "q=zq");
/// What is searched for.
const QUERIES: [(&str, &str); 6] = [
    ("frequent (in 58 % of the messages)", "q=the"),
    ("two letters", "q=th"),
    ("some (1,800 messages)", "q=casa"),
    ("rare (100 messages)", "q=zebrafinch"),
    ("nowhere", "q=qxqxqx"),
    ("a person's handle", "q=_lofin5"),
];

async fn stage() -> Lab {
    let mut lab = Lab::start_with(LabOptions::OWN).await;
    let searchers = (0..TOKENS).map(|n| format!("s{n}=searcher-{n}:read"));
    let tokens: Vec<String> =
        std::iter::once("eye=reader:read".to_owned()).chain(searchers).collect();
    lab.set("API_TOKENS", &tokens.join(","));
    lab.run_apart().await;
    let mut connection = lab.pool().acquire().await.unwrap();
    let began = Instant::now();
    sqlx::raw_sql(include_str!("fill.sql")).execute(&mut *connection).await.unwrap();
    sqlx::raw_sql("vacuum analyze").execute(&mut *connection).await.unwrap();
    println!("filled in {:?}", began.elapsed());
    drop(connection);
    lab
}

/// One request: how long it took. Everything but 200 ends the run.
async fn ask(api: &Api, query: &str) -> Duration {
    let began = Instant::now();
    let (status, answer) = api.get(&format!("/v1/conversations?{query}")).await;
    assert_eq!(status, 200, "{query}: {answer}");
    began.elapsed()
}

async fn alone(api: &Api, query: &str, requests: u64) -> Samples {
    ask(api, query).await;
    let mut samples = Vec::new();
    for _ in 0..requests {
        samples.push(ask(api, query).await);
    }
    samples.into_iter().collect()
}

fn line(kind: &str, name: &str, samples: &Samples) {
    let ms = |share: f64| samples.at(share).as_secs_f64() * 1e3;
    println!(
        "| {kind} | {name} | {:.1} | {:.1} | {:.1} | {} |",
        ms(0.5),
        ms(0.95),
        ms(0.99),
        samples.len()
    );
}

/// Asks one query after the other until `end`.
async fn search_on(api: Api, first: usize, end: Instant) -> Vec<(usize, Duration)> {
    let mut samples = Vec::new();
    let mut n = first;
    while Instant::now() < end {
        n = (n + 1) % QUERIES.len();
        samples.push((n, ask(&api, QUERIES[n].1).await));
    }
    samples
}

/// Lists at a steady pace until `end`, counted from when each was due.
async fn list_on(api: Api, query: &'static str, end: Instant) -> Samples {
    let mut pace = tokio::time::interval(Duration::from_micros(1_000_000 / LISTS_PER_SECOND));
    let mut asked = JoinSet::new();
    let api = Arc::new(api);
    while Instant::now() < end {
        pace.tick().await;
        let api = api.clone();
        asked.spawn(async move { ask(&api, query).await });
    }
    asked.join_all().await.into_iter().collect()
}

#[tokio::main]
async fn main() {
    runtime::tls::install();
    let (requests, seconds) = (setting("REQUESTS", 200), setting("SECONDS", 20));
    let lab = stage().await;
    let api = |token: &str| Api::new(lab.api().url, token);
    let reader = api("reader");
    println!("\n| | what | p50 ms | p95 ms | p99 ms | requests |\n|---|---|---|---|---|---|");
    for (name, query) in LISTS {
        line("list alone", name, &alone(&reader, query, requests).await);
    }
    for (name, query) in QUERIES {
        line("search alone", name, &alone(&reader, query, requests).await);
    }
    let (name, query) = WITHOUT_INDEX;
    line("search alone", name, &alone(&reader, query, requests / 10).await);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut searches = JoinSet::new();
    for n in 0..SEARCHES {
        searches.spawn(search_on(api(&format!("searcher-{}", n % TOKENS)), n, end));
    }
    let lists = tokio::spawn(list_on(reader, LISTS[0].1, end));
    let found: Vec<(usize, Duration)> = searches.join_all().await.into_iter().flatten().collect();
    line("list beside 50 searches", LISTS[0].0, &lists.await.unwrap());
    for (n, (name, _)) in QUERIES.iter().enumerate() {
        let samples = found.iter().filter(|(query, _)| *query == n).map(|(_, took)| *took);
        line("search, 50 at once", name, &samples.collect());
    }
    line("search, 50 at once", "all", &found.iter().map(|(_, took)| *took).collect());
    println!("{} searches/s", found.len() as u64 / seconds.max(1));
}
