//! How fast events become rows: the projector, a rebuild and a verification, each against COPY of the same final rows into the same indexed
//! tables, and a writer that upserts event by event in a transaction each; all in one run, interleaved.
//!
//! `EVENTS=n` sets the number of events, `CONVERSATIONS=n` over how many conversations they go, `OPENED=1` begins with a message in each of
//! these that is not measured, `ROUNDS=n` the number of rounds. `ONLY=projector,rebuild,verify,naive` leaves the others out.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod history;
mod rivals;
mod stage;

use std::path::Path;
use std::time::Instant;

use bench::setting;
use ops::{NewJob, Ops};
use projector::Config;
use projector::rebuild::{Place, RebuildPlan};
use runtime::broker::Broker;
use runtime::config::Settings;
use runtime::{shutdown, telemetry};
use tokio_util::sync::CancellationToken;

use history::History;
use rivals::{load, unload, upsert};
use stage::{Model, ROLE, Stage};

/// Events that the naive writer is measured with.
const NAIVE: usize = 2000;

/// Seconds per event of one way, one sample for each round.
struct Way {
    name: &'static str,
    samples: Vec<f64>,
}

impl Way {
    fn median(&self) -> f64 {
        let mut samples = self.samples.clone();
        samples.sort_by(f64::total_cmp);
        samples[samples.len() / 2]
    }

    fn line(&self, copy: f64) -> String {
        let per_second = |each: &f64| 1.0 / each;
        let (least, most) = self
            .samples
            .iter()
            .map(per_second)
            .fold((f64::MAX, 0.0_f64), |(a, b), x| (a.min(x), b.max(x)));
        format!(
            "| {} | {:.0} | {:.0}–{:.0} | {:.2} |",
            self.name,
            1.0 / self.median(),
            least,
            most,
            copy / self.median()
        )
    }
}

#[tokio::main]
async fn main() {
    if std::env::args().any(|argument| argument == ROLE) {
        return role().await;
    }
    runtime::tls::install();
    let (events, rounds) = (setting("EVENTS", 20_000), setting("ROUNDS", 3));
    let conversations = setting("CONVERSATIONS", (events / 10).max(1));
    let opened = setting("OPENED", 0) == 1;
    let only = std::env::var("ONLY").ok();
    let wanted =
        |name: &str| only.as_ref().is_none_or(|only| only.split(',').any(|one| one == name));
    let mut stage = Stage::start().await;
    let mut history = History::new(conversations);
    let begin = if opened { conversations } else { 0 };
    if opened {
        stage.publish(history.openings()).await;
    }
    let some = history.next(events.min(NAIVE as u64));
    let rest = history.next(events - some.len() as u64);
    stage.publish(some.clone()).await;
    for chunk in rest.chunks(50_000) {
        stage.publish(chunk.to_vec()).await;
    }
    drop(rest);
    println!(
        "{events} events of {conversations} conversations{}",
        if opened { ", all opened before" } else { "" }
    );
    let target = begin + events;
    let mut ways: Vec<Way> = ["projector", "rebuild", "verify", "naive", "COPY"]
        .into_iter()
        .map(|name| Way { name, samples: Vec::new() })
        .collect();
    let mut push = |name: &str, each: f64| {
        println!("  {name}: {:.0} events/s", 1.0 / each);
        ways.iter_mut().find(|way| way.name == name).unwrap().samples.push(each);
    };
    for round in 0..rounds {
        println!("round {round}");
        let model = stage.model().await;
        let role = stage.projector(&model);
        let each = model.come_to(begin, target).await;
        println!(
            "  CPU of the projector's process: {:.1} µs per event",
            role.cpu() * 1e6 / target as f64
        );
        drop(role);
        push("projector", each);
        if round == 0 || opened {
            unload(&model, &stage.files()).await;
        }
        let empty = stage.model().await;
        push("COPY", load(&empty, &stage.files()).await / target as f64);
        if wanted("naive") {
            push("naive", upsert(&stage.model().await.pool, &some).await);
        }
        stage.gone(empty).await;
        if wanted("verify") {
            push("verify", verify(&stage, &model).await / target as f64);
        }
        if wanted("rebuild") {
            push("rebuild", rebuild(&stage, &model).await / target as f64);
        }
        stage.gone(model).await;
    }
    let copy = ways.iter().find(|way| way.name == "COPY").unwrap().median();
    println!("\n| way | events/s, median | spread | against COPY |\n|---|---|---|---|");
    for way in ways.iter().filter(|way| !way.samples.is_empty()) {
        println!("{}", way.line(copy));
    }
}

async fn role() {
    let settings = Settings::load(None, Path::new("."), true).unwrap();
    let _telemetry = telemetry::init("projector", &settings).unwrap();
    let config = Config::from_settings(&settings).unwrap();
    projector::run(config, shutdown::on_signal().unwrap()).await.unwrap();
}

async fn place(stage: &Stage, model: &Model, stop: CancellationToken) -> Place {
    let settings = stage.settings(&model.url);
    let config = Config::from_settings(&settings).unwrap();
    let broker = Broker::connect("bench", config.nats, projector::NEEDS, stop).await.unwrap();
    broker.ready().await;
    Place { broker, pool: runtime::db::pool(&settings, "bench", 5).unwrap() }
}

async fn verify(stage: &Stage, model: &Model) -> f64 {
    let stop = CancellationToken::new();
    let place = place(stage, model, stop.clone()).await;
    let began = Instant::now();
    let found = projector::verify::whole(&place, stop.clone(), Box::new(|_| {})).await.unwrap();
    let took = began.elapsed().as_secs_f64();
    assert_eq!(found.comparison.differing, 0, "{:?}", found.comparison);
    stop.cancel();
    took
}

async fn rebuild(stage: &Stage, model: &Model) -> f64 {
    let stop = CancellationToken::new();
    let place = place(stage, model, stop.clone()).await;
    let ops = Ops::open(place.pool.clone()).await.unwrap();
    let new = NewJob {
        verb: "rebuild",
        arguments: serde_json::json!({}),
        rate: None,
        reason: None,
        who: "bench",
    };
    let began = Instant::now();
    let (job, _) = ops.start(new).await.unwrap();
    let claim = ops.claim(&job.id, "bench").await.unwrap().unwrap();
    let plan = RebuildPlan { swap: true, ..RebuildPlan::default() };
    let built =
        projector::rebuild::work(&place, plan, &claim, "bench", stop.clone(), Box::new(|_| {}))
            .await
            .unwrap();
    let took = began.elapsed().as_secs_f64();
    assert!(built.swapped && built.comparison.differing == 0, "{:?}", built.comparison);
    stop.cancel();
    took
}
