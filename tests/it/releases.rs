//! Two releases against one database, in any order of starts: no view loses a column, nothing stops, nothing is sent twice.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tests::crowd::{self, Asked, Shop, all_ended, ask_at, audit};
use tests::traffic::{seed, soak};
use tests::{Lab, LabOptions, Role, eventually, old_release};

/// All processes; any of them may be of either release.
const PROCESSES: [(Role, u32); 5] =
    [(Role::Ingest, 0), (Role::Worker, 0), (Role::Worker, 1), (Role::Projector, 0), (Role::Api, 0)];
const WITHIN: Duration = Duration::from_secs(120);
const AN_HOUR: Duration = Duration::from_secs(3_600);

/// What a newer release leaves behind: every view has one more column, and every schema has seen a migration that this release lacks.
const TOMORROW: &str = "
    update inbox.serving set generation = 1000000, views = 'of a newer release';
    do $$ declare v record; begin
        for v in select format('%I.%I', schemaname, viewname) as name from pg_views
                  where schemaname in ('inbox', 'worker') loop
            execute 'create or replace view ' || v.name || ' as select v.*, 1 as of_tomorrow from ('
                || rtrim(pg_get_viewdef(v.name::regclass), ';') || ') v';
        end loop;
        for v in select format('%I.%I', schemaname, tablename) as name from pg_tables
                  where tablename = '_sqlx_migrations' loop
            execute 'insert into ' || v.name || ' (version, description, success, checksum, execution_time)
                values (9999, ''of tomorrow'', true, ''\\x00'', 1)';
        end loop;
    end $$;";

/// Every column of every view of ours.
async fn columns(lab: &Lab) -> BTreeSet<String> {
    let all: Vec<String> = sqlx::query_scalar(
        "select c.table_schema || '.' || c.table_name || '.' || c.column_name
           from information_schema.columns c
           join pg_views v on v.schemaname = c.table_schema and v.viewname = c.table_name
          where v.schemaname in ('inbox', 'worker', 'api', 'ops')",
    )
    .fetch_all(lab.pool())
    .await
    .unwrap();
    all.into_iter().collect()
}

/// What goes through it while processes come and go.
struct Flow {
    shops: Vec<Shop>,
    asked: Vec<Asked>,
    said: usize,
    columns: BTreeSet<String>,
}

impl Flow {
    async fn begin(lab: &Lab) -> Self {
        let shops = crowd::open(lab, 0..3, 4).await;
        let said = shops.iter().map(|shop| shop.people.len()).sum();
        Self { shops, asked: Vec::new(), said, columns: columns(lab).await }
    }

    /// Somebody of each shop writes, and is answered.
    async fn step(&mut self, lab: &Lab, n: usize) {
        let api = lab.api();
        let mut wishes = Vec::new();
        for shop in &self.shops {
            let person = &shop.people[n % shop.people.len()];
            person.says(&format!("question {n}")).accepted().await.unwrap();
            self.said += 1;
            wishes.push((shop, person, format!("answer {n}"), format!("key-{n}")));
        }
        self.asked.extend(ask_at(&api, wishes).await);
    }

    /// All of it has arrived, and no view has lost a column.
    async fn arrives(&mut self, lab: &Lab) {
        all_ended(lab, self.asked.len(), WITHIN).await;
        let (said, asked) = (self.said, self.asked.len());
        eventually("every message is in its conversation", WITHIN, async || {
            let (inbound, outbound): (i64, i64) = sqlx::query_as(
                "select count(*) filter (where direction = 'inbound'), count(*) filter (where direction = 'outbound')
                   from inbox.messages",
            )
            .fetch_one(lab.pool())
            .await
            .map_err(|error| error.to_string())?;
            let wanted = (i64::try_from(said).unwrap(), i64::try_from(asked).unwrap());
            tests::client::holds((inbound, outbound) == wanted, || {
                format!("{inbound} and {outbound} of {wanted:?}")
            })
        })
        .await;
        let now = columns(lab).await;
        let lost: Vec<_> = self.columns.difference(&now).collect();
        assert!(lost.is_empty(), "lost: {lost:?}");
        self.columns = now;
    }

    async fn end(mut self, lab: &Lab) {
        lab.all_ready().await;
        self.arrives(lab).await;
        let tally = audit(lab, &self.asked).await;
        assert_eq!(tally.of("sent"), self.asked.len(), "{tally:?}");
        for role in Role::ALL {
            let log = lab.log(role);
            for words in ["panicked", "until somebody acts"] {
                let line = log.lines().find(|line| line.contains(words));
                assert_eq!(line, None, "{} logs it", role.name());
            }
        }
    }
}

/// One process ends, and starts as another release.
async fn replace(lab: &mut Lab, (role, n): (Role, u32), program: &PathBuf, kill: bool) {
    if kill {
        lab.kill9_nth(role, n).await;
    } else {
        assert_eq!(
            lab.stop_nth(role, n).await,
            Some(0),
            "{} stops when it is asked to",
            role.name()
        );
    }
    lab.program.clone_from(program);
    lab.run_nth(role, n).await;
    lab.ready_nth(role, n).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_finds_tables_of_tomorrow_works_and_leaves_them_alone() {
    let mut lab = Lab::start_with(LabOptions::OWN).await;
    lab.run_apart().await;
    lab.run_nth(Role::Worker, 1).await;
    let mut flow = Flow::begin(&lab).await;
    sqlx::raw_sql(TOMORROW).execute(lab.pool()).await.unwrap();
    flow.columns = columns(&lab).await;
    assert!(flow.columns.iter().any(|column| column.ends_with(".of_tomorrow")));
    let program = lab.program.clone();
    for (n, process) in PROCESSES.into_iter().enumerate() {
        flow.step(&lab, n).await;
        replace(&mut lab, process, &program, n % 2 == 0).await;
    }
    flow.step(&lab, PROCESSES.len()).await;
    flow.end(&lab).await;
}

/// For an hour (`HOOKLINE_SOAK` is its share) processes of two releases replace each other.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak"]
async fn soak_two_releases_at_once() {
    let Some(old) = old_release::hookline() else {
        eprintln!("notice: skipped, these sources have no history");
        return;
    };
    let seed = seed();
    let lasts = AN_HOUR.mul_f64(soak());
    eprintln!("HOOKLINE_SEED={seed}: {lasts:?}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut lab = Lab::start_with(LabOptions::OWN).await;
    // An older release may not know the names of all waits.
    lab.set(runtime::waits::ENV, "lease=3s");
    let releases = [lab.program.clone(), old];
    let mut of = [0; PROCESSES.len()];
    for (at, (role, n)) in PROCESSES.into_iter().enumerate() {
        of[at] = rng.random_range(0..2);
        lab.program.clone_from(&releases[of[at]]);
        lab.run_nth(role, n).await;
    }
    lab.all_ready().await;
    lab.point_meta_at_ingest();
    let mut flow = Flow::begin(&lab).await;
    let began = Instant::now();
    let (mut steps, mut changes) = (0, 0);
    while began.elapsed() < lasts {
        flow.step(&lab, steps).await;
        let at = rng.random_range(0..PROCESSES.len());
        let next = rng.random_range(0..2);
        changes += usize::from(next != of[at]);
        of[at] = next;
        let kill = rng.random_bool(0.3);
        replace(&mut lab, PROCESSES[at], &releases[next], kill).await;
        flow.step(&lab, steps + 1).await;
        steps += 2;
        flow.arrives(&lab).await;
    }
    eprintln!(
        "{} restarts, {changes} of them as the other release; {} replies",
        steps / 2,
        flow.asked.len()
    );
    flow.end(&lab).await;
}
