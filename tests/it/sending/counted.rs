//! What a reply costs, counted, never timed: statements and commits of the worker, messages in the broker.

use std::time::Duration;

use simulator::CallKind;
use tests::crowd::{self, Shop, all_ended, ask};
use tests::{Lab, LabOptions, Role, eventually};

/// Statements of a reply while 50 are asked for every second: each is on its own. Measured: 26 on a quiet machine, of which 7 begin or end a transaction; what is done at intervals counts for more where
/// the 200 replies take longer.
const TRICKLE_MAX: f64 = 33.0;
/// The same, commits.
const TRICKLE_COMMITS_MAX: f64 = 4.0;
/// Statements of a reply in a backlog.
const BACKLOG_MAX: f64 = 8.0;
const BACKLOG_COMMITS_MAX: f64 = 1.0;
/// Messages of INBOX_ATTEMPTS for a reply in a backlog.
const BACKLOG_LOGGED_MAX: f64 = 0.6;

/// What was done so far.
#[derive(Clone, Copy, Debug)]
struct Counts {
    statements: i64,
    commits: i64,
    attempts: u64,
    events: u64,
}

impl Counts {
    async fn now(lab: &Lab) -> Self {
        let (statements, commits): (i64, i64) = sqlx::query_as(
            "select coalesce(sum(s.calls), 0)::bigint, coalesce(sum(s.calls) filter (where lower(s.query) = 'commit'), 0)::bigint
               from pg_stat_statements s join pg_roles r on r.oid = s.userid where r.rolname = 'counted'",
        )
        .fetch_one(lab.pool())
        .await
        .unwrap();
        Self {
            statements,
            commits,
            attempts: lab.last_sequence("INBOX_ATTEMPTS").await,
            events: lab.last_sequence("INBOX_EVENTS").await,
        }
    }
}

/// For one reply.
#[derive(Clone, Copy, Debug)]
struct Each {
    statements: f64,
    commits: f64,
    attempts: f64,
    events: f64,
}

#[allow(clippy::cast_precision_loss)] // counts of a test
fn each(from: Counts, to: Counts, replies: usize) -> Each {
    let share = |count: i64| count as f64 / replies as f64;
    let messages = |from: u64, to: u64| (to - from) as f64 / replies as f64;
    Each {
        statements: share(to.statements - from.statements),
        commits: share(to.commits - from.commits),
        attempts: messages(from.attempts, to.attempts),
        events: messages(from.events, to.events),
    }
}

/// Forgets the statements counted so far by [`print_statements`].
async fn forget_statements(lab: &Lab) {
    sqlx::query("select pg_stat_statements_reset()").execute(lab.pool()).await.unwrap();
}

/// Prints which statements the worker has made, and how often for a reply: where a count grew.
async fn print_statements(lab: &Lab, replies: usize) {
    let rows: Vec<(i64, f64, String)> = sqlx::query_as(
        "select s.calls, s.total_exec_time + s.total_plan_time, left(regexp_replace(s.query, '\\s+', ' ', 'g'), 110)
           from pg_stat_statements s join pg_roles r on r.oid = s.userid where r.rolname = 'counted' and s.calls * 20 >= $1
          order by s.calls desc, s.query",
    )
    .bind(i64::try_from(replies).unwrap())
    .fetch_all(lab.pool())
    .await
    .unwrap();
    for (calls, took, statement) in rows {
        #[allow(clippy::cast_precision_loss)] // counts of a test
        let (each, took) = (calls as f64 / replies as f64, took / replies as f64);
        println!("  {each:6.2} calls {took:6.3} ms  {statement}");
    }
}

/// A lab whose worker is a user of its own in Postgres; `None`, with a notice, where Postgres cannot count.
async fn stage() -> Option<(Lab, Vec<Shop>)> {
    let mut lab = match Lab::try_start_with(LabOptions { counted: true, ..LabOptions::OWN }).await {
        Ok(lab) => lab,
        Err(error) => {
            println!("notice: Postgres has no pg_stat_statements, nothing is counted: {error:#}");
            return None;
        }
    };
    for statement in [
        "create extension pg_stat_statements",
        "create role counted superuser login password 'counted'",
    ] {
        sqlx::raw_sql(statement).execute(lab.pool()).await.unwrap();
    }
    for role in [Role::Ingest, Role::Projector, Role::Api] {
        lab.run(role).await;
    }
    run_worker(&mut lab).await;
    lab.all_ready().await;
    lab.point_meta_at_ingest();
    // Webhooks are none of what is counted.
    let shops = crowd::open(&lab, 0..10, 50).await;
    lab.settled().await;
    lab.simulator.set_policy(|policy| policy.echoes = false).unwrap();
    Some((lab, shops))
}

/// Starts the worker as the user whose statements are counted.
async fn run_worker(lab: &mut Lab) {
    let url = lab.settings["DATABASE_URL"].clone();
    let mut counted = url::Url::parse(&url).unwrap();
    counted.set_username("counted").unwrap();
    counted.set_password(Some("counted")).unwrap();
    lab.set("DATABASE_URL", counted.as_str());
    lab.run(Role::Worker).await;
    lab.set("DATABASE_URL", &url);
}

fn wishes<'a>(
    shops: &'a [Shop],
    what: &str,
    count: usize,
) -> Vec<(&'a Shop, &'a simulator::Person, String, String)> {
    (0..count)
        .map(|n| {
            let shop = &shops[n % shops.len()];
            let person = &shop.people[n / shops.len() % shop.people.len()];
            (shop, person, format!("{what} {n}"), format!("{what}-{n}"))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_costs_few_statements_and_in_a_backlog_very_few() {
    let Some((lab, shops)) = stage().await else { return };
    crowd::named(&lab, 10 * 50).await;
    // Accounts go faster after some successes.
    let warm = ask(&lab, wishes(&shops, "warm", 200)).await.len();
    all_ended(&lab, warm, Duration::from_secs(60)).await;

    forget_statements(&lab).await;
    let before = Counts::now(&lab).await;
    let mut clock = tokio::time::interval(Duration::from_millis(20));
    for wish in wishes(&shops, "trickle", 200) {
        clock.tick().await;
        ask(&lab, vec![wish]).await;
    }
    all_ended(&lab, warm + 200, Duration::from_secs(60)).await;
    let trickle = each(before, Counts::now(&lab).await, 200);
    println!("trickle: {trickle:?}");
    print_statements(&lab, 200).await;

    lab.hookline_ok(&["send", "freeze"]).await;
    ask(&lab, wishes(&shops, "backlog", 500)).await;
    forget_statements(&lab).await;
    let before = Counts::now(&lab).await;
    lab.hookline_ok(&["send", "thaw"]).await;
    all_ended(&lab, warm + 700, Duration::from_secs(120)).await;
    let backlog = each(before, Counts::now(&lab).await, 500);
    println!("backlog: {backlog:?}");
    print_statements(&lab, 500).await;
    assert_eq!(lab.simulator.count(CallKind::Send), (warm + 700) as u64);

    assert!(trickle.statements <= TRICKLE_MAX, "{trickle:?}");
    assert!(trickle.commits <= TRICKLE_COMMITS_MAX, "{trickle:?}");
    assert!(trickle.attempts <= 1.0 && trickle.events <= 1.0, "{trickle:?}");
    assert!(backlog.statements <= BACKLOG_MAX, "{backlog:?}");
    assert!(backlog.commits <= BACKLOG_COMMITS_MAX, "{backlog:?}");
    assert!(backlog.attempts <= BACKLOG_LOGGED_MAX && backlog.events <= 1.0, "{backlog:?}");
}

/// Statements of a webhook with one message, of a person who is known, while 50 come every second. Measured: 21, of which 6 are the automations.
const WEBHOOK_MAX: f64 = 22.5;
/// The same where 500 wait. Measured: 0.7.
const WEBHOOK_BACKLOG_MAX: f64 = 1.5;

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_costs_few_statements_and_in_a_backlog_very_few() {
    let Some((mut lab, shops)) = stage().await else { return };
    crowd::named(&lab, 10 * 50).await;
    let person = |n: usize| &shops[n % shops.len()].people[n / shops.len() % 50];
    forget_statements(&lab).await;
    let before = Counts::now(&lab).await;
    let mut clock = tokio::time::interval(Duration::from_millis(20));
    for n in 0..200 {
        clock.tick().await;
        person(n).says("is anybody there?");
    }
    lab.settled().await;
    let trickle = each(before, Counts::now(&lab).await, 200);
    println!("webhooks, trickle: {trickle:?}");
    print_statements(&lab, 200).await;

    lab.stop(Role::Worker).await;
    let raw = lab.last_sequence("META_RAW").await;
    for n in 0..500 {
        person(n).says("hello again");
    }
    eventually("all are stored", Duration::from_secs(30), async || {
        match lab.last_sequence("META_RAW").await - raw {
            500.. => Ok(()),
            stored => Err(format!("{stored} of 500")),
        }
    })
    .await;
    forget_statements(&lab).await;
    let before = Counts::now(&lab).await;
    run_worker(&mut lab).await;
    lab.ready(Role::Worker).await;
    lab.settled().await;
    let backlog = each(before, Counts::now(&lab).await, 500);
    println!("webhooks, backlog: {backlog:?}");
    print_statements(&lab, 500).await;

    assert!(trickle.statements <= WEBHOOK_MAX, "{trickle:?}");
    assert!(backlog.statements <= WEBHOOK_BACKLOG_MAX, "{backlog:?}");
}
