//! Postgres is put back to a random earlier state again and again, under load, with lost answers, late echoes and kills: nobody gets a
//! text twice, no reply is lost, and sending goes on by itself.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use simulator::CallKind;
use tests::crowd::{self, all_ended, audit};
use tests::traffic::{seed, share, soak};
use tests::{Lab, LabOptions, Role, eventually};
use tokio::sync::Semaphore;

use super::load::{ask_by_gate, misfortune, no_text_twice, wishes};

const RESTORES: usize = 100;
const COMMANDS: usize = 10_000;
/// Copies that are kept at once.
const COPIES_MAX: usize = 5;
/// How long after the last look is due nothing may be sent.
const GOES_ON_WITHIN: Duration = Duration::from_secs(120);
/// What a loaded machine may take for everything else.
const PATIENCE: Duration = Duration::from_secs(600);
const PAST: TimeDelta = TimeDelta::days(1);
/// How late echoes come.
const ECHO_DELAYS: [Duration; 4] = [
    Duration::from_millis(20),
    Duration::from_secs(1),
    Duration::from_secs(4),
    Duration::from_secs(9),
];

/// How the worker's ledger stands to the log of attempts.
#[derive(sqlx::FromRow)]
struct Standing {
    behind: bool,
    /// The last position of the log that it knows.
    mark: i64,
    /// When the last of the attempts that it had to learn is looked for next.
    look_due: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
}

async fn standing(lab: &Lab) -> sqlx::Result<Standing> {
    sqlx::query_as(
        "select exists (select from worker.behind_log) as behind,
                (select max(seq) from worker.attempt_log) as mark,
                (select max(c.due_at) from worker.logged_attempts l
                   join worker.parts p on p.identity = l.identity and p.n = l.n and p.state = 'sending'
                   join worker.commands c on c.identity = l.identity and c.state = 'open') as look_due,
                clock_timestamp() as now",
    )
    .fetch_one(lab.pool())
    .await
}

/// How long sending was held.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    /// From the restore on.
    whole: Duration,
    /// Since the last look was due.
    late: Duration,
}

/// Waits until the worker knows the log as it was at the restore and sends again. It must do so by itself, in time.
async fn goes_on(lab: &Lab) -> Held {
    let began = Instant::now();
    let logged = i64::try_from(lab.last_sequence("INBOX_ATTEMPTS").await).unwrap();
    let mut due: Option<DateTime<Utc>> = None;
    let mut late = Duration::ZERO;
    loop {
        // Postgres may just have started.
        if let Ok(now) = standing(lab).await {
            if !now.behind && logged <= now.mark {
                return Held { whole: began.elapsed(), late };
            }
            // What it does not know yet is due at once; what it still knows may have been due long ago.
            let last = due.unwrap_or(now.now).max(now.look_due.unwrap_or(now.now - PAST));
            due = Some(last);
            late = (now.now - last).to_std().unwrap_or_default();
        }
        assert!(late < GOES_ON_WITHIN, "still held {late:?} after the last look was due");
        assert!(began.elapsed() < PATIENCE, "still held");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Dies, and comes back: a worker, another role, or a server.
async fn kill_one(lab: &mut Lab, rng: &mut StdRng) {
    let away = Duration::from_millis(rng.random_range(0..1_000));
    match rng.random_range(0..8) {
        0 => {
            lab.nats.kill_for(away).await;
        }
        1 => {
            lab.postgres.kill_for(away).await;
        }
        other => {
            let (role, n) = match other {
                2 => (Role::Ingest, 0),
                3 => (Role::Projector, 0),
                4 => (Role::Api, 0),
                _ => (Role::Worker, rng.random_range(0..2)),
            };
            lab.kill9_nth(role, n).await;
            tokio::time::sleep(away).await;
            lab.run_nth(role, n).await;
        }
    }
}

/// Puts one of the copies back, under roles that run on or while they are down.
async fn put_back(lab: &mut Lab, copy: &std::path::Path, running: bool) {
    let roles = [(Role::Worker, 0), (Role::Worker, 1), (Role::Projector, 0), (Role::Api, 0)];
    if !running {
        for (role, n) in roles {
            lab.kill9_nth(role, n).await;
        }
    }
    lab.put_postgres_back(copy).await;
    if !running {
        for (role, n) in roles {
            lab.run_nth(role, n).await;
        }
    }
}

async fn pause(rng: &mut StdRng) {
    tokio::time::sleep(Duration::from_millis(rng.random_range(100..2_500))).await;
}

/// Restores, and what happens between them. `gate` lets an equal part of the load through for each.
async fn disturb(lab: &mut Lab, rng: &mut StdRng, restores: usize, gate: &Semaphore) -> Vec<Held> {
    let mut copies: Vec<PathBuf> = Vec::new();
    let mut held = Vec::new();
    for n in 1..=restores {
        let delay = ECHO_DELAYS[rng.random_range(0..ECHO_DELAYS.len())];
        lab.simulator.set_policy(|policy| policy.echo_delay = delay).unwrap();
        gate.add_permits(1);
        pause(rng).await;
        if rng.random_bool(0.5) {
            kill_one(lab, rng).await;
        }
        if copies.len() == COPIES_MAX {
            let gone = copies.swap_remove(rng.random_range(0..copies.len()));
            std::fs::remove_dir_all(gone).unwrap();
        }
        let name = format!("copy-{n}");
        copies.push(if rng.random_bool(0.3) {
            lab.cold_copy_of_postgres(&name).await
        } else {
            lab.snapshot_of_postgres(&name)
        });
        pause(rng).await;
        let copy = copies[rng.random_range(0..copies.len())].clone();
        let running = rng.random_bool(0.5);
        put_back(lab, &copy, running).await;
        // Now and then it falls further behind before it has caught up.
        if n == restores || rng.random_bool(0.7) {
            let one = goes_on(lab).await;
            eprintln!("restore {n}, {running}: {one:?}");
            held.push(one);
        }
    }
    held
}

async fn survives(of: f64, shops: usize, people: usize) {
    let seed = seed();
    let (restores, commands) = (share(RESTORES, of), share(COMMANDS, of));
    eprintln!("HOOKLINE_SEED={seed}: {restores} restores, {commands} commands");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut lab = Lab::start_with(LabOptions::OWN).await;
    lab.run_apart().await;
    lab.run_nth(Role::Worker, 1).await;
    let shops = crowd::open(&lab, 0..shops, people).await;
    misfortune(&lab);
    let api = lab.api();
    let gate = Semaphore::new(0);
    let began = Instant::now();
    let (asked, held) = tokio::join!(
        ask_by_gate(&api, wishes(&shops, commands, restores), &gate),
        disturb(&mut lab, &mut rng, restores, &gate)
    );
    assert_eq!(asked.len(), commands);
    assert!(lab.simulator.settled(PATIENCE).await);
    no_text_twice(&shops);
    all_ended(&lab, commands, PATIENCE).await;
    assert!(lab.simulator.settled(PATIENCE).await);
    lab.all_ready().await;
    lab.settled().await;
    let calls = lab.simulator.count(CallKind::Send);
    let longest = held.iter().map(|one| one.whole).max();
    let latest = held.iter().map(|one| one.late).max();
    eprintln!(
        "{restores} restores in {:?}; {calls} calls; held for {longest:?} at most, {latest:?} after the last look was due",
        began.elapsed()
    );
    no_text_twice(&shops);
    let tally = audit(&lab, &asked).await;
    eprintln!("{tally:?}");
    assert_eq!(tally.of("failed"), 0, "nothing of all this says never: {tally:?}");
    assert!(commands * 99 <= tally.of("sent") * 100, "{tally:?}");
    eventually("nothing is left of what was learnt", PATIENCE, async || {
        let left = standing(&lab).await.map_err(|error| error.to_string())?;
        tests::client::holds(!left.behind && left.look_due.is_none(), || "something".to_owned())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_put_back_at_random_under_load_sends_nothing_twice() {
    survives(0.03, 6, 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: make soak"]
async fn soak_postgres_put_back_at_random() {
    survives(soak(), 20, 25).await;
}
