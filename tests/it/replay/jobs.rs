//! Jobs: killed and resumed, paused, cancelled; other targets; and every way to be wrong.

use std::time::{Duration, Instant};

use futures::StreamExt;
use ops::{Ops, Wish};
use rand::RngExt;
use tests::body::now;
use tests::traffic::{share, soak};
use tests::{Lab, LabOptions, eventually};

use super::{add, bodies, deliver, is_nothing, number, people, repeated, replay, rows, start, sum};

const KILLS: usize = 20;
const MESSAGES: usize = 20_000;

/// A lab whose account came after its webhooks: everything is still to be replayed.
async fn with_a_past(messages: usize) -> Lab {
    let lab = Lab::with_all_roles().await;
    deliver(&lab, &bodies("m", &people(40), messages, now() - 3_600_000)).await;
    lab.settled().await;
    add(&lab, &[]).await;
    lab
}

async fn lapse(lab: &Lab) {
    let sql = "update ops.jobs set claimed_until = clock_timestamp() - interval '1 second' where state = 'running'";
    sqlx::query(sql).execute(lab.pool()).await.unwrap();
}

async fn survives(of: f64) {
    let (kills, messages) = (share(KILLS, of).max(2), share(MESSAGES, of));
    let lab = with_a_past(messages).await;
    let mut rng = rand::rng();
    let points = [
        "replay.before_publish",
        "replay.before_commit",
        "replay.after_commit",
        "facts.after_publish",
    ];
    for n in 0..kills {
        let at = format!("{}=kill@{}", points[n % points.len()], 1 + n / points.len() % 3);
        let by_point = n % 2 == 0;
        let variables: &[(&str, &str)] =
            if by_point { &[("HOOKLINE_FAILPOINTS", &at)] } else { &[] };
        let mut child = start(&lab, &["--rate", "60/s"], variables);
        if !by_point {
            let began = "select count(*) from ops.jobs where claimed_until > clock_timestamp()";
            eventually("it works", Duration::from_secs(30), async || {
                tests::client::holds(number(&lab, began).await == 1, || "no job".to_owned())
            })
            .await;
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..900))).await;
            child.start_kill().unwrap();
        }
        let status = child.wait().await.unwrap();
        assert!(!status.success(), "killed before its end, kill {n}: {status}");
        if n > 0 {
            lapse(&lab).await;
        }
    }
    assert_eq!(
        number(&lab, "select count(*) from ops.jobs").await,
        1,
        "the same words, the same job"
    );
    let done = replay(&lab, &["--rate", "10000/s"], &[], 0).await;
    assert_eq!(sum(&done["result"], "withdrawn"), messages as u64, "{done}");
    rows(&lab, messages).await;
    lab.settled().await;
    let added = done["result"]["kinds"]["message.received"]["added"].as_u64().unwrap();
    assert_eq!(added, messages as u64, "counted once each, whoever did it");
    assert_eq!(repeated(&lab).await.0, Vec::<String>::new());
    is_nothing(&replay(&lab, &["--dry-run"], &[], 0).await["plan"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_killed_goes_on_with_the_same_words() {
    survives(1.0 / 20.0).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak"]
async fn soak_killed_replays() {
    survives(soak()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_paused_and_cancelled_and_may_go_elsewhere() {
    let lab = with_a_past(400).await;
    let ops = Ops::open(lab.pool().clone()).await.unwrap();
    for (wish, state) in [(Wish::Pause, "paused"), (Wish::Cancel, "cancelled")] {
        let child = start(&lab, &["--rate", "2/s"], &[]);
        let job = eventually("it works", Duration::from_secs(30), async || {
            let jobs = ops.jobs(1).await.map_err(|error| error.to_string())?;
            match jobs.into_iter().next() {
                Some(job) if job.held && job.progress["next"].is_number() => Ok(job),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        assert!(ops.wish(&job.id, wish).await.unwrap());
        let asked = Instant::now();
        let output = child.wait_with_output().await.unwrap();
        assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert_eq!(ops.job(&job.id).await.unwrap().unwrap().state.as_str(), state);
    }
    let half =
        number(&lab, "select count(*) from worker.facts where kind = 'message.received'").await;
    assert!((1..400).contains(&half), "{half}");
    let done = replay(&lab, &[], &[], 0).await;
    assert!(sum(&done["result"], "added") > 0);
    rows(&lab, 400).await;
    lab.settled().await;

    let head = lab.last_sequence("INBOX_EVENTS").await;
    let js = lab.jetstream().await;
    let client = js.client();
    let mut mine = client.subscribe("replay.shop").await.unwrap();
    client.flush().await.unwrap();
    let printed = lab.hookline_ok(&["replay", "--yes", "--to", "replay.table"]).await;
    assert!(printed.contains("events published on replay.table"), "{printed}");
    assert!(!printed.contains("0 added"), "{printed}");
    let done = replay(&lab, &["--to", "replay.shop"], &[], 0).await;
    let again = done["result"]["again"].as_u64().unwrap();
    assert!(again >= 400, "{done}");
    let mut seen = 0;
    while let Ok(Some(message)) = tokio::time::timeout(Duration::from_secs(1), mine.next()).await {
        seen += 1;
        let headers = message.headers.unwrap();
        assert_eq!(headers.get("Hookline-Replay").unwrap().as_str(), done["job"].as_str().unwrap());
        assert_eq!(headers.get("Content-Type").unwrap().as_str(), schemas::event::CONTENT_TYPE);
    }
    assert!(seen >= again, "{seen} of {again}");
    assert_eq!(lab.last_sequence("INBOX_EVENTS").await, head, "nothing else is touched");
    // Everything again: stored bytes, other message ids.
    let stored: std::collections::BTreeMap<String, bytes::Bytes> = lab
        .messages("INBOX_EVENTS")
        .await
        .iter()
        .map(|message| (id_of(message), message.payload.clone()))
        .collect();
    let done = replay(&lab, &["--all"], &[], 0).await;
    let job = done["job"].as_str().unwrap();
    let mut out = 0;
    for message in lab.messages("INBOX_EVENTS").await {
        let Some(id) = id_of(&message).strip_suffix(&format!(".{job}")).map(str::to_owned) else {
            continue;
        };
        out += 1;
        assert_eq!(message.payload, stored[&id], "identical but for the header");
    }
    assert_eq!(out, 440, "400 messages of 40 people: {done}");
}

fn id_of(message: &async_nats::jetstream::Message) -> String {
    let headers = message.headers.as_ref().unwrap();
    headers.get("Nats-Msg-Id").unwrap().as_str().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_words_and_missing_servers_have_their_exit_codes() {
    let mut lab = Lab::start_with(LabOptions::EMPTY).await;
    for (words, code) in [
        (vec!["--since", "yesterday"], 2),
        (vec!["--since", "1h", "--until", "2h"], 2),
        (vec!["--seq", "9..1"], 2),
        (vec!["--rate", "0"], 2),
        (vec!["--account", "telegram/1"], 2),
        (vec!["--to", "a.*"], 2),
        (vec!["--to", "inbox.v1.command.00.instagram.1.reply"], 3),
        (vec!["--to", "inbox.v1.event.00.instagram.1.message-received"], 3),
        (vec!["--to", "meta.v1.raw.any.00"], 3),
        (vec!["--nonsense"], 2),
    ] {
        let mut arguments = vec!["replay"];
        arguments.extend(&words);
        let (is, out, err) = lab.hookline(&arguments).await;
        assert_eq!(is, code, "{words:?}: {out}{err}");
        assert!(!err.trim().is_empty(), "{words:?}");
    }
    let (code, out, _) = lab.hookline(&["replay", "--help"]).await;
    assert!(code == 0 && out.contains("Examples:"), "{out}");
    let nowhere = [("NATS_URL", "nats://127.0.0.1:1")];
    let (code, _, err) = lab.hookline_with(&["replay"], &nowhere).await;
    assert!(code == 4 && err.contains("NATS_URL"), "{code} {err}");
    let nowhere = [("DATABASE_URL", "postgres://127.0.0.1:1/x")];
    let (code, _, err) = lab.hookline_with(&["replay"], &nowhere).await;
    assert!(code == 4 && err.contains("DATABASE_URL"), "{code} {err}");
    lab.settings.remove("NATS_URL");
    let (code, _, err) = lab.hookline(&["replay"]).await;
    assert!(code == 4 && err.contains("NATS_URL"), "{code} {err}");
}
