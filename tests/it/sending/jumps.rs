//! The clocks of Postgres, of each worker and of Graph are wrong, each by its own, and jump, while sends lose their answers: nobody gets a
//! text twice.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use simulator::CallKind;
use tests::clock::Clock;
use tests::crowd::{self, all_ended, audit};
use tests::traffic::{seed, share, soak};
use tests::{Lab, LabOptions, Role};
use tokio::sync::Semaphore;

use super::load::{ask_by_gate, misfortune, no_text_twice, wishes};

const SENDS: usize = 10_000;
/// Times that clocks are set.
const JUMPS: usize = 250;
/// How wrong a clock is at most.
const FARTHEST_MS: i64 = 600_000;
const WORKERS: u32 = 2;
const PATIENCE: Duration = Duration::from_secs(300);

/// All clocks that matter for a send.
struct Clocks {
    postgres: Clock,
    workers: Vec<Clock>,
}

impl Clocks {
    fn set(&self, lab: &Lab, postgres: i64, workers: &[i64], graph: i64) {
        self.postgres.set(postgres);
        for (clock, ahead) in self.workers.iter().zip(workers) {
            clock.set(*ahead);
        }
        lab.simulator.set_policy(|policy| policy.clock_ahead_ms = graph).unwrap();
    }

    fn set_all(&self, lab: &Lab, ahead: i64) {
        self.set(lab, ahead, &vec![ahead; self.workers.len()], ahead);
    }

    /// Sets them anew: now and then they agree, so that absence can be proven.
    fn jump(&self, lab: &Lab, rng: &mut StdRng) {
        let mut any = || match rng.random_range(0..4) {
            0 => FARTHEST_MS,
            1 => -FARTHEST_MS,
            2 => 0,
            _ => rng.random_range(-FARTHEST_MS..=FARTHEST_MS),
        };
        let (postgres, graph) = (any(), any());
        let workers: Vec<i64> = self.workers.iter().map(|_| any()).collect();
        match rng.random_range(0..5) {
            0 | 1 => self.set_all(lab, postgres),
            // Whoever judges absence compares these two.
            2 => self.set(lab, postgres, &workers, postgres),
            _ => self.set(lab, postgres, &workers, graph),
        }
    }
}

/// Servers, roles and the clocks they run by; `None`, with a notice, where clocks cannot be set.
async fn stage() -> Option<(Lab, Clocks)> {
    let mut lab = Lab::start_with(LabOptions { clock: true, ..LabOptions::OWN }).await;
    let Some(postgres) = lab.clock_of_postgres().cloned() else {
        eprintln!("notice: skipped, libfaketime is not installed (Debian: faketime)");
        return None;
    };
    for role in [Role::Ingest, Role::Projector, Role::Api] {
        lab.run(role).await;
    }
    let plain = lab.settings.clone();
    let mut workers = Vec::new();
    for n in 0..WORKERS {
        let clock = Clock::new(lab.folder(), &format!("clock-of-worker-{n}")).unwrap();
        clock.set(FARTHEST_MS);
        lab.settings.extend(clock.variables());
        lab.run_nth(Role::Worker, n).await;
        workers.push(clock);
    }
    lab.settings = plain;
    lab.all_ready().await;
    lab.point_meta_at_ingest();
    Some((lab, Clocks { postgres, workers }))
}

/// Postgres and the workers really run by these clocks. The workers have started by one that is far ahead.
async fn are_seen(lab: &Lab, clocks: &Clocks) {
    let far = Utc::now() + TimeDelta::milliseconds(FARTHEST_MS - 60_000);
    let log = lab.log(Role::Worker);
    let logged = |line: &str| line.split_whitespace().next()?.parse::<DateTime<Utc>>().ok();
    let last = log.lines().filter_map(logged).max();
    assert!(Some(far) < last, "the worker logs {last:?}");
    clocks.set_all(lab, FARTHEST_MS);
    let now: DateTime<Utc> =
        sqlx::query_scalar("select clock_timestamp()").fetch_one(lab.pool()).await.unwrap();
    assert!(far < now, "Postgres says {now}");
    clocks.set_all(lab, 0);
}

async fn nothing_is_sent_twice(of: f64, shops: usize, people: usize) {
    let seed = seed();
    let (sends, jumps) = (share(SENDS, of), share(JUMPS, of));
    eprintln!("HOOKLINE_SEED={seed}: {sends} sends, {jumps} jumps");
    let mut rng = StdRng::seed_from_u64(seed);
    let Some((lab, clocks)) = stage().await else { return };
    are_seen(&lab, &clocks).await;
    let shops = crowd::open(&lab, 0..shops, people).await;
    misfortune(&lab);
    let api = lab.api();
    let gate = Semaphore::new(0);
    let began = Instant::now();
    let disturb = async {
        for _ in 0..jumps {
            // Without echoes only what a thread shows decides.
            let echoes = rng.random_bool(0.3);
            lab.simulator.set_policy(|policy| policy.echoes = echoes).unwrap();
            gate.add_permits(1);
            for _ in 0..2 {
                clocks.jump(&lab, &mut rng);
                tokio::time::sleep(Duration::from_millis(rng.random_range(200..1_500))).await;
            }
        }
        // Due now is also what was postponed by a clock that was ahead, for a pause that another clock, set back, had made longer.
        clocks.set_all(&lab, 3 * FARTHEST_MS);
    };
    let (asked, ()) = tokio::join!(ask_by_gate(&api, wishes(&shops, sends, jumps), &gate), disturb);
    assert_eq!(asked.len(), sends);
    all_ended(&lab, sends, PATIENCE).await;
    assert!(lab.simulator.settled(PATIENCE).await);
    let (looks, again): (i64, i64) = sqlx::query_as(
        "select coalesce(sum(looks), 0)::bigint, count(*) filter (where attempt > 1) from worker.parts",
    )
    .fetch_one(lab.pool())
    .await
    .unwrap();
    eprintln!(
        "{sends} sends with {} calls in {:?}; {looks} looks at last attempts, {again} parts attempted again",
        lab.simulator.count(CallKind::Send),
        began.elapsed()
    );
    no_text_twice(&shops);
    let tally = audit(&lab, &asked).await;
    eprintln!("{tally:?}");
    assert_eq!(tally.of("failed"), 0, "nothing of all this says never: {tally:?}");
    assert!(again > 0, "nothing was ever proven absent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_that_jump_send_nothing_twice() {
    nothing_is_sent_twice(0.02, 6, 8).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: make soak"]
async fn soak_clocks_that_jump() {
    nothing_is_sent_twice(soak(), 20, 25).await;
}
