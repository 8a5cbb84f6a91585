//! A process that really dies at every failpoint of the send path: nobody gets anything twice, nothing is lost, every command ends, and
//! what the API says is what people saw.
//!
//! Deaths roll: as soon as a process has died, the next one is started to die at the next failpoint, while the work of the rounds before
//! is still going on. So a command may see several deaths, which is harder than one, and nobody waits for the slow proofs in between.

mod audit;
mod talks;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use runtime::failpoint::{POINTS, Point};
use tests::{Lab, Role, eventually};
use tokio::task::JoinSet;

use audit::{Tally, check, everything_is_published};
use talks::{ENDS_WITHIN, THANKS, converse, ended, refused_id, round, stage, talk};

/// How long a process may live before it must have died at its failpoint.
const DIES_WITHIN: Duration = Duration::from_secs(60);
/// People who talk at once; more would only make everything slow.
const TALKS_MAX: usize = 60;

/// A place where a process dies, at the N-th time it gets there.
#[derive(Clone, Copy, Debug)]
struct Death {
    point: Point,
    at: u64,
}

impl Death {
    fn role(self) -> Role {
        *Role::ALL.iter().find(|role| role.name() == self.point.role).unwrap()
    }

    fn text(self) -> String {
        format!("{}=kill@{}", self.point.name, self.at)
    }
}

/// The places on the way of a message; those of operators' verbs are tested with the verbs.
fn on_the_way() -> Vec<Point> {
    POINTS.iter().copied().filter(|point| point.role != "operator").collect()
}

/// Lets every process of the plan die at its place while people talk; then everything is looked at.
async fn play(deaths: &[Death]) -> Tally {
    let began = Instant::now();
    let (mut lab, cast) = stage().await;
    let mut plans: BTreeMap<Role, Vec<Death>> = BTreeMap::new();
    for death in deaths.iter().rev() {
        plans.entry(death.role()).or_default().push(*death);
    }
    let (mut tally, mut talking, mut greeted, mut rounds) =
        (Tally::default(), JoinSet::new(), Vec::new(), Vec::new());
    let mut next: BTreeMap<Role, (Death, Instant)> = BTreeMap::new();
    let mut answered = Vec::new();
    for role in Role::ALL {
        if plans.contains_key(&role) {
            lab.kill9(role).await;
            go_on(&mut lab, role, &mut plans, &mut next).await;
        }
    }
    while !next.is_empty() {
        let name = format!("R{}", rounds.len());
        if talking.len() < TALKS_MAX {
            greeted.extend(round(&lab, &cast, &name, &mut talking).await);
            rounds.push(name);
        }
        let began = Instant::now();
        // A round lasts until somebody has died, or has not been reached for long.
        let mut turned = false;
        while !turned {
            turned = go_on_where_died(&mut lab, &mut plans, &mut next, &mut tally).await;
            while let Some(one) = talking.try_join_next() {
                answered.push(one.unwrap());
            }
            turned |= Duration::from_secs(8) < began.elapsed();
        }
    }
    while let Some(one) = talking.join_next().await {
        answered.push(one.unwrap());
    }
    for person in &greeted {
        eventually("the automatic reply came", ENDS_WITHIN, async || {
            match person.texts_received() {
                texts if texts.is_empty() => Err("nothing yet".to_owned()),
                _ => Ok(()),
            }
        })
        .await;
    }
    let api = lab.api();
    for name in &rounds {
        let refused = ended(&api, &refused_id(name)).await;
        assert_eq!(refused["status"], "failed", "{refused}");
        assert_eq!(refused["error"]["code"], "window_closed", "{refused}");
    }
    assert!(lab.simulator.settled(Duration::from_secs(30)).await);
    lab.settled().await;
    everything_is_published(&lab, rounds.len()).await;
    for one in &answered {
        check(&api, one, &mut tally).await;
    }
    for person in &greeted {
        assert_eq!(person.texts_received(), [THANKS], "{}", person.name());
        tally.messages += 1;
    }
    tally.longest = began.elapsed();
    tally
}

/// Where a process has died, or has not been reached for long, the next one is started. `false`: nowhere.
async fn go_on_where_died(
    lab: &mut Lab,
    plans: &mut BTreeMap<Role, Vec<Death>>,
    next: &mut BTreeMap<Role, (Death, Instant)>,
    tally: &mut Tally,
) -> bool {
    let mut turned = false;
    for role in Role::ALL {
        let Some((death, armed)) = next.get(&role).copied() else { continue };
        if lab.died(role, Duration::from_millis(20)).await {
            tally.deaths += 1;
        } else if DIES_WITHIN < armed.elapsed() {
            assert!(death.at > 1, "{} was never reached", death.text());
            tally.survived += 1;
            lab.kill9(role).await;
        } else {
            continue;
        }
        eprintln!("{} after {:.1?}", death.text(), armed.elapsed());
        go_on(lab, role, plans, next).await;
        turned = true;
    }
    turned
}

/// Starts the next process of a role: to die at the next place, or to live.
async fn go_on(
    lab: &mut Lab,
    role: Role,
    plans: &mut BTreeMap<Role, Vec<Death>>,
    next: &mut BTreeMap<Role, (Death, Instant)>,
) {
    lab.lapse(role).await;
    match plans.get_mut(&role).and_then(Vec::pop) {
        Some(death) => {
            lab.run_to_die(role, &death.text()).await;
            next.insert(role, (death, Instant::now()));
        }
        None => {
            lab.run(role).await;
            next.remove(&role);
        }
    }
}

/// What is listed and marked nowhere could never be reached.
#[test]
fn every_failpoint_is_marked() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    for part in ["ingest", "worker", "projector", "api", "hookline"] {
        crate::sources::below(&root.join(part), &mut files);
    }
    let code: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    // A rule is no place.
    for point in POINTS.iter().filter(|point| point.name != "normalize.rule") {
        assert!(code.contains(&format!("failpoint!(\"{}\")", point.name)), "{}", point.name);
    }
}

/// Tests that share the deaths out among them, so that they run side by side.
const SHARES: usize = 3;

/// The deaths of one test, at the first time each place is reached.
fn shared_out(share: usize) -> Vec<Death> {
    let points = on_the_way();
    // Not in their order along the path: a row of deaths at its beginning would let nothing through to its end.
    let stride = (5..).find(|stride| !points.len().is_multiple_of(*stride)).unwrap();
    let order = (0..points.len()).map(|n| points[n * stride % points.len()]);
    order.skip(share).step_by(SHARES).map(|point| Death { point, at: 1 }).collect()
}

#[test]
fn every_failpoint_is_in_a_share() {
    let points = on_the_way();
    assert!(points.len() >= 30);
    let deaths: Vec<Death> = (0..SHARES).flat_map(shared_out).collect();
    let distinct: BTreeSet<&str> = deaths.iter().map(|death| death.point.name).collect();
    assert_eq!((deaths.len(), distinct.len()), (points.len(), points.len()));
    assert!(points.iter().all(|point| distinct.contains(point.name)));
}

async fn nobody_gets_it_twice_and_nothing_is_lost(share: usize) {
    let deaths = shared_out(share);
    let tally = play(&deaths).await;
    eprintln!("{tally:?}");
    assert_eq!(tally.deaths, deaths.len());
    // A command may see three deaths in the middle of its call. Nobody can know the outcome then, and more than a few would be a fault.
    assert!(tally.unknown * 20 <= tally.commands, "{tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_dies_wherever_nobody_gets_it_twice_and_nothing_is_lost_first_share() {
    nobody_gets_it_twice_and_nothing_is_lost(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_dies_wherever_nobody_gets_it_twice_and_nothing_is_lost_second_share() {
    nobody_gets_it_twice_and_nothing_is_lost(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_dies_wherever_nobody_gets_it_twice_and_nothing_is_lost_third_share() {
    nobody_gets_it_twice_and_nothing_is_lost(2).await;
}

/// A worker dies after it has published a message and before its own database has it. Whoever answers what they see must not be
/// refused as if this person had never written, however late the shard is taken up again.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_published_by_a_dying_worker_may_be_answered() {
    let (mut lab, cast) = stage().await;
    lab.kill9(Role::Worker).await;
    lab.lapse(Role::Worker).await;
    lab.run_to_die(Role::Worker, "inbound.after_publish=kill").await;
    let talk = talk(&cast.quiet[0], "Ann Berg", &["three are left".to_owned()]);
    let person = talk.person.clone();
    let talking = tokio::spawn(converse(lab.api(), talk));
    assert!(lab.died(Role::Worker, DIES_WITHIN).await, "nothing was published");
    lab.lapse(Role::Worker).await;
    // The next one takes commands at once, and the shards long after.
    let later = "update worker.leases set expires_at = clock_timestamp() + interval '6 seconds' where name like 'raw-%'";
    sqlx::query(later).execute(lab.pool()).await.unwrap();
    lab.run(Role::Worker).await;
    let answered = talking.await.unwrap();
    assert_eq!(answered.replies[0]["status"], "sent", "{:?}", answered.replies);
    assert_eq!(person.texts_received(), ["three are left"]);
}

/// `HOOKLINE_ROUNDS` times (1000 unless set) through all failpoints, in another order each time, at the first to fourth time a place is
/// reached. `HOOKLINE_SEED` repeats a run as far as the order goes.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes long: make soak"]
async fn soak_failpoints() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let times = number("HOOKLINE_ROUNDS").unwrap_or(1000);
    let seed = number("HOOKLINE_SEED").unwrap_or_else(rand::random);
    eprintln!("HOOKLINE_SEED={seed} HOOKLINE_ROUNDS={times}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut all = Tally::default();
    for time in 0..times {
        let mut deaths: Vec<Death> = on_the_way()
            .into_iter()
            .map(|point| Death { point, at: random.random_range(1..=4) })
            .collect();
        deaths.shuffle(&mut random);
        let tally = play(&deaths).await;
        eprintln!("{} of {times}: {tally:?}", time + 1);
        all.deaths += tally.deaths;
        all.survived += tally.survived;
        all.commands += tally.commands;
        all.messages += tally.messages;
        all.unknown += tally.unknown;
        all.longest = all.longest.max(tally.longest);
    }
    eprintln!("HOOKLINE_SEED={seed}: {all:?}");
}
