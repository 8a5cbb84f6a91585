//! A read model made again while everything goes on: nobody notices, a death in the middle costs nothing, and what is wrong is found.

mod watch;

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rand::RngExt as _;
use schemas::{Event, Kind};
use serde_json::Value;
use tests::body::IG;
use tests::traffic::{share, soak};
use tests::{Lab, LabOptions, eventually};

use crate::converge::history;
use watch::Watch;

const EVENTS: usize = 1_000_000;
const KILLS: usize = 20;

/// Publishes without ids, as fast as it goes.
async fn publish_all(lab: &Lab, events: impl Iterator<Item = Event>) {
    let client = lab.jetstream().await.client().clone();
    for (n, event) in events.enumerate() {
        let body = serde_json::to_vec(&event).unwrap();
        client.publish(event.nats_subject(), body.into()).await.unwrap();
        if n % 2000 == 1999 {
            client.flush().await.unwrap();
        }
    }
    client.flush().await.unwrap();
}

async fn projected(lab: &Lab) -> u64 {
    eventually("everything is projected", Duration::from_secs(1200), async || {
        let head = lab.last_sequence("INBOX_EVENTS").await;
        let at: Option<i64> = sqlx::query_scalar("select max(seq) from inbox.position")
            .fetch_one(lab.pool())
            .await
            .map_err(|error| error.to_string())?;
        let at = u64::try_from(at.unwrap_or(0)).unwrap();
        tests::client::holds(at >= head, || format!("{at} of {head}")).map(|()| head)
    })
    .await
}

/// The worker knows where every fact is; what was published past it is entered here.
async fn enter(lab: &Lab, count: usize) {
    for message in lab.messages("INBOX_EVENTS").await.iter().take(count) {
        let seq = i64::try_from(message.info().unwrap().stream_sequence).unwrap();
        let event: Event = serde_json::from_slice(&message.payload).unwrap();
        sqlx::query(
            "insert into worker.facts (event_id, revision, kind, channel, account_id, digest, rank, time, time_approximate, event_seq)
             values ($1, $2, $3, $4, $5, '', 0, now(), false, $6) on conflict do nothing",
        )
        .bind(event.id.as_str())
        .bind(i32::try_from(event.revision()).unwrap())
        .bind(event.kind().as_str())
        .bind(event.data.channel.as_str())
        .bind(event.data.account_id.as_str())
        .bind(seq)
        .execute(lab.pool())
        .await
        .unwrap();
    }
}

async fn serving(lab: &Lab) -> String {
    sqlx::query_scalar("select schema from inbox.serving").fetch_one(lab.pool()).await.unwrap()
}

/// A verb that must end with this code; its JSON.
async fn verb(lab: &Lab, arguments: &[&str], expected: i32) -> Value {
    let mut all = arguments.to_vec();
    all.extend_from_slice(&["--output", "json"]);
    let began = Instant::now();
    let (code, out, err) = lab.hookline(&all).await;
    eprintln!("{arguments:?}: {code} after {:?}", began.elapsed());
    assert_eq!(code, expected, "{arguments:?}: {out}{err}");
    serde_json::from_str(&out).unwrap_or(Value::String(err))
}

/// Starts a verb and kills it after a while; `false`: it was faster.
async fn killed(lab: &Lab, arguments: &[&str], after: Duration) -> bool {
    let mut child =
        lab.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    match tokio::time::timeout(after, child.wait()).await {
        Ok(status) => {
            assert!(status.unwrap().success());
            false
        }
        Err(_) => {
            child.kill().await.unwrap();
            true
        }
    }
}

async fn unnoticed(of: f64) {
    let (events, kills) = (share(EVENTS, of), share(KILLS, of.max(0.1)));
    let lab = Lab::with_all_roles().await;
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &[]).await;
    let began = Instant::now();
    let rich = history::generate(7, 20);
    let known = rich.len();
    let plain = (0..events.saturating_sub(rich.len()))
        .map(|n| history::long(100 + n % 997, Kind::MessageReceived, n, 0));
    publish_all(&lab, rich.into_iter().chain(plain)).await;
    let head = projected(&lab).await;
    enter(&lab, known).await;
    eprintln!("{head} events are projected after {:?}", began.elapsed());

    let watch = Arc::new(Watch::default());
    let writes = tokio::spawn(watch.clone().write(lab.meta()));
    let asks = tokio::spawn(watch.clone().ask(lab.api()));
    let reads = tokio::spawn(watch.clone().read(lab.pool().clone()));
    let lag = tokio::spawn(watch.clone().lag(lab.jetstream().await, lab.pool().clone()));
    let listens = tokio::spawn(watch.clone().listen(lab.api()));

    let began = Instant::now();
    let mut died = 0;
    for _ in 0..kills {
        let after = Duration::from_millis(rand::rng().random_range(300..3000));
        died += usize::from(killed(&lab, &["rebuild"], after).await);
    }
    let swapped = verb(&lab, &["rebuild", "--swap", "--reason", "a test"], 0).await;
    eprintln!("rebuilt and swapped after {:?}, {died} deaths", began.elapsed());
    assert_eq!(swapped["swapped"], true);
    assert_eq!(swapped["differing"], 0, "{swapped}");
    assert_eq!(serving(&lab).await, "inbox_v2");
    assert_eq!(verb(&lab, &["verify"], 0).await["schema"], "inbox_v2");
    let reverted = verb(&lab, &["rebuild", "revert"], 0).await;
    assert_eq!(reverted["differing"], 0, "{reverted}");
    assert_eq!(serving(&lab).await, "inbox_v1");
    // By chance, and where only one of two conversations is chosen that events about one message name.
    for seed in [None, Some("536987761"), Some("3935258918")] {
        let seed = seed.map_or(Vec::new(), |seed| vec!["--seed", seed]);
        let arguments = [vec!["verify", "--sample", "20"], seed].concat();
        assert_eq!(verb(&lab, &arguments, 0).await["differing"], 0);
    }

    watch.over.store(true, Ordering::Relaxed);
    writes.await.unwrap();
    asks.await.unwrap();
    reads.await.unwrap();
    let (waited, seen) = (lag.await.unwrap(), listens.await.unwrap());
    let p99 = waited[waited.len() * 99 / 100];
    let (delivered, looks) =
        (watch.delivered.load(Ordering::Relaxed), watch.looks.load(Ordering::Relaxed));
    eprintln!(
        "{delivered} webhooks, {looks} looks; live lag p50 {:?}, p99 {p99:?}, at most {:?}; {} events by SSE",
        waited[waited.len() / 2],
        waited.last().unwrap(),
        seen.len()
    );
    assert!(seen.len() > 10 && seen.windows(2).all(|pair| pair[1] == pair[0] + 1), "{seen:?}");
    assert!(p99 < Duration::from_secs(2), "{p99:?}");
    lab.settled().await;
    let rows: i64 = sqlx::query_scalar(
        "select count(*) from inbox.messages where message_id like 'mid.live.%'",
    )
    .fetch_one(lab.pool())
    .await
    .unwrap();
    assert_eq!(usize::try_from(rows).unwrap(), delivered);
    assert_eq!(verb(&lab, &["verify"], 0).await["differing"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_goes_unnoticed() {
    unnoticed(1.0 / 250.0).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak"]
async fn soak_rebuild() {
    unnoticed(soak()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_found_and_healed_by_whoever_goes_on_after_a_death() {
    let mut lab = Lab::with_all_roles().await;
    publish_all(&lab, history::shuffled(&history::generate(11, 12), 3).into_iter()).await;
    projected(&lab).await;
    enter(&lab, usize::MAX).await;
    assert_eq!(verb(&lab, &["verify"], 0).await["differing"], 0);
    assert_eq!(verb(&lab, &["verify", "--sample", "12"], 0).await["differing"], 0);
    verb(&lab, &["rebuild", "revert"], 3).await;
    let jobs = verb(&lab, &["jobs", "list"], 0).await;
    let shown = verb(&lab, &["jobs", "show", jobs[0]["id"].as_str().unwrap()], 0).await;
    assert_eq!(shown["command"], "hookline rebuild revert", "{shown}");

    a_changed_row_and_a_lost_one_are_found(&lab).await;

    verb(&lab, &["rebuild", "--dry-run"], 0).await;
    assert_eq!(serving(&lab).await, "inbox_v1");

    // The process dies right before and right after the moment. Who goes on after the first one waits out the real life of a claim.
    lab.wait_really();
    for (place, serves) in
        [("rebuild.before_swap_commit", "inbox_v1"), ("rebuild.after_swap_commit", "inbox_v2")]
    {
        let failpoint = format!("{place}=kill");
        let variables = [(runtime::failpoint::ENV, failpoint.as_str())];
        let (code, out, err) = lab.hookline_with(&["rebuild", "--swap"], &variables).await;
        assert_eq!(code, -1, "it dies: {out}{err}");
        assert_eq!(serving(&lab).await, serves);
    }
    assert_eq!(verb(&lab, &["verify"], 0).await["differing"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn loss_is_refused_unless_it_is_accepted_and_can_be_reverted() {
    let lab = Lab::with_all_roles().await;
    publish_all(&lab, history::shuffled(&history::generate(11, 12), 3).into_iter()).await;
    projected(&lab).await;
    enter(&lab, usize::MAX).await;
    verb(&lab, &["rebuild", "--swap"], 0).await;
    assert_eq!(serving(&lab).await, "inbox_v2");
    assert_eq!(verb(&lab, &["verify"], 0).await["differing"], 0);

    // Nothing of what comes is lost on the way to the other model, and what is parked is published once.
    publish_all(&lab, history::generate(12, 3).into_iter()).await;
    projected(&lab).await;
    assert_eq!(verb(&lab, &["verify"], 0).await["differing"], 0);

    // A row whose events the log has no more.
    sqlx::query("insert into inbox_v2.receipts (id, conversation_id, kind, watermark, at) values ('rcp_old', 'cnv_old', 'read', now(), now())")
        .execute(lab.pool())
        .await
        .unwrap();
    let refused = verb(&lab, &["rebuild", "--swap"], 3).await;
    assert!(refused.as_str().unwrap().contains("--accept-loss"), "{refused}");
    assert_eq!(serving(&lab).await, "inbox_v2");
    let lossy = verb(&lab, &["rebuild", "--swap", "--accept-loss"], 0).await;
    assert!(lossy["lost"].as_i64().unwrap() > 0, "{lossy}");
    assert_eq!(serving(&lab).await, "inbox_v3");
    verb(&lab, &["rebuild", "revert", "--reason", "too much is missing"], 0).await;
    assert_eq!(serving(&lab).await, "inbox_v2");
    let left: Vec<String> = sqlx::query_scalar(
        "select nspname::text from pg_namespace where nspname like 'inbox\\_%' order by 1",
    )
    .fetch_all(lab.pool())
    .await
    .unwrap();
    assert_eq!(left, ["inbox_v2", "inbox_v3"], "serving, and kept");
    let acts: i64 =
        sqlx::query_scalar("select count(*) from ops.audit where verb = 'rebuild swap'")
            .fetch_one(lab.pool())
            .await
            .unwrap();
    assert_eq!(acts, 3);
}

async fn a_changed_row_and_a_lost_one_are_found(lab: &Lab) {
    let wrong: String = sqlx::query_scalar(
        "update inbox_v1.messages set text = 'secret words' where id = (
           select id from inbox_v1.messages where not hidden and deleted_at is null and conversation_id is not null limit 1) returning id",
    )
    .fetch_one(lab.pool())
    .await
    .unwrap();
    for arguments in [&["verify"][..], &["verify", "--sample", "1000"]] {
        let found = verb(lab, arguments, 1).await;
        assert_eq!(found["differing"], 1, "{found}");
        let row = &found["rows"][0];
        assert_eq!((&row["id"], &row["how"]), (&Value::from(&*wrong), &Value::from("changed")));
        assert_eq!(row["columns"], serde_json::json!(["text"]));
        assert!(row["events"][0]["event_id"].is_string(), "{row}");
        assert!(!found.to_string().contains("secret"), "{found}");
    }
    // A conversation that is lost altogether: a sample finds it in the stream.
    let lost: String = sqlx::query_scalar(
        "select id from inbox_v1.conversations where last_message_at is not null order by id limit 1",
    )
    .fetch_one(lab.pool())
    .await
    .unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "delete from inbox_v1.facts where entity = '{lost}'
            or entity in (select id from inbox_v1.messages where conversation_id = '{lost}');
         delete from inbox_v1.messages where conversation_id = '{lost}';
         delete from inbox_v1.receipts where conversation_id = '{lost}';
         delete from inbox_v1.conversations where id = '{lost}'"
    )))
    .execute(lab.pool())
    .await
    .unwrap();
    let found = verb(lab, &["verify", "--sample", "1000"], 1).await;
    let missing = found["rows"].as_array().unwrap().iter().any(|row| {
        row["table"] == "conversations" && row["id"] == *lost && row["how"] == "missing"
    });
    assert!(missing, "{lost}: {found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_keeps_to_its_rate_pauses_and_is_cancelled() {
    let lab = Lab::with_all_roles().await;
    publish_all(&lab, history::generate(13, 3).into_iter()).await;
    let known = projected(&lab).await;
    // Without --swap it stops when it has compared: the same job goes on from there, now with much to do and little pace.
    verb(&lab, &["rebuild"], 0).await;
    let jobs = verb(&lab, &["jobs", "list"], 0).await;
    let job = jobs[0]["id"].as_str().unwrap();
    verb(&lab, &["jobs", "rate", job, "20", "--reason", "a test"], 0).await;
    let more = (0..2000).map(|n| history::long(100 + n % 7, Kind::MessageReceived, n, 0));
    publish_all(&lab, more).await;
    projected(&lab).await;
    let position = async || {
        let shown = verb(&lab, &["jobs", "show", job], 0).await;
        shown["progress"]["position"].as_u64().unwrap()
    };
    for (wish, state) in [("pause", "paused"), ("cancel", "cancelled")] {
        let before = position().await;
        let working = async {
            let began = Instant::now();
            let (code, out, err) = lab.hookline(&["rebuild", "--swap"]).await;
            assert_eq!(code, 1, "{out}{err}");
            began.elapsed()
        };
        let watching = async {
            eventually("it goes on", Duration::from_secs(20), async || {
                let now = position().await;
                tests::client::holds(now >= before + 30, || format!("{now} after {before}"))
            })
            .await;
            let asked = Instant::now();
            verb(&lab, &["jobs", wish, job, "--reason", "a test"], 0).await;
            asked
        };
        let (took, asked) = tokio::join!(working, watching);
        assert!(asked.elapsed() < Duration::from_secs(5), "{wish}: {:?}", asked.elapsed());
        let shown = verb(&lab, &["jobs", "show", job], 0).await;
        assert_eq!(shown["state"], state, "{shown}");
        let went = shown["progress"]["position"].as_u64().unwrap() - before.max(known);
        assert!((1..=(took.as_secs() + 2) * 20).contains(&went), "{went} in {took:?}");
    }
    assert_eq!(serving(&lab).await, "inbox_v1");
    let half = "select count(*) from pg_namespace where nspname = 'inbox_v2'";
    let half: i64 = sqlx::query_scalar(half).fetch_one(lab.pool()).await.unwrap();
    assert_eq!(half, 0, "what a cancelled job has built is gone");
    let done = verb(&lab, &["rebuild", "--swap"], 0).await;
    assert_eq!((&done["swapped"], &done["differing"]), (&Value::from(true), &Value::from(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_away_or_wrong_has_its_exit_code() {
    let lab = Lab::start_with(LabOptions::EMPTY).await;
    let nowhere = [("NATS_URL", "nats://127.0.0.1:1")];
    let no_rows = [("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none")];
    // They wait for somebody who does not answer: side by side.
    let away = [&["rebuild"][..], &["rebuild", "revert"], &["verify"]]
        .into_iter()
        .flat_map(|arguments| [&nowhere, &no_rows].map(|variables| (arguments, variables)))
        .map(async |(arguments, variables)| {
            let (code, out, err) = lab.hookline_with(arguments, variables).await;
            assert_eq!(code, 4, "{arguments:?} {variables:?}: {out}{err}");
            assert!(err.contains(variables[0].0), "{err}");
        });
    futures::future::join_all(away).await;
    for arguments in [
        &["rebuild", "--projection", "outbox"][..],
        &["rebuild", "revert", "--swap"],
        &["verify", "--sample", "0"],
        &["verify", "--seed", "1"],
    ] {
        assert_eq!(lab.hookline(arguments).await.0, 2, "{arguments:?}");
    }
}
