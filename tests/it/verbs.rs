//! Every operator's verb against a missing broker, a missing Postgres and wrong words: exit codes and one line by docs/contract.md 9.

use std::time::{Duration, Instant};

use futures::StreamExt;
use tests::{Lab, LabOptions, eventually};

/// What a verb talks to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Broker,
    Postgres,
    Both,
}

struct Verb {
    words: &'static [&'static str],
    needs: Needs,
    /// Words that are wrong whatever runs.
    wrong: &'static [&'static str],
}

const fn verb(
    words: &'static [&'static str],
    needs: Needs,
    wrong: &'static [&'static str],
) -> Verb {
    Verb { words, needs, wrong }
}

/// One line per verb. `doctor` reports what it found instead of an error and is tried by itself; replay, rebuild and verify are tried beside
/// their own tests.
const VERBS: &[Verb] = &[
    verb(&["status"], Needs::Both, &["status", "--watch", "soon"]),
    verb(&["trace", "evt_1"], Needs::Both, &["trace"]),
    verb(&["streams", "plan"], Needs::Broker, &["streams", "plan", "--now"]),
    verb(&["streams", "apply"], Needs::Both, &["streams", "apply", "--output", "xml"]),
    verb(
        &["streams", "adopt", "META_RAW", "--reason", "r"],
        Needs::Both,
        &["streams", "adopt", "--reason", "r"],
    ),
    verb(&["jobs", "list"], Needs::Postgres, &["jobs", "list", "--limit", "0"]),
    verb(&["jobs", "show", "x-1"], Needs::Postgres, &["jobs", "show"]),
    verb(&["jobs", "pause", "x-1"], Needs::Postgres, &["jobs", "pause"]),
    verb(&["jobs", "resume", "x-1"], Needs::Postgres, &["jobs", "resume"]),
    verb(&["jobs", "cancel", "x-1"], Needs::Postgres, &["jobs", "cancel"]),
    verb(&["jobs", "rate", "x-1", "5"], Needs::Postgres, &["jobs", "rate", "x-1"]),
    verb(&["audit"], Needs::Postgres, &["audit", "--limit", "many"]),
    verb(&["redrive", "list"], Needs::Postgres, &["redrive"]),
    verb(&["redrive", "show", "1"], Needs::Postgres, &["redrive", "show", "one"]),
    verb(&["redrive", "run"], Needs::Postgres, &["redrive", "run", "--everything"]),
    verb(
        &["redrive", "discard", "1", "--reason", "r"],
        Needs::Postgres,
        &["redrive", "discard", "1"],
    ),
    verb(
        &["erase", "--account", "1", "--message", "m", "--reason", "r"],
        Needs::Both,
        &["erase", "--account", "1", "--contact", "c", "--message", "m", "--reason", "r"],
    ),
    verb(&["replies", "list"], Needs::Postgres, &["replies", "list", "--limit", "0"]),
    verb(
        &["replies", "resolve", "r", "--as", "sent"],
        Needs::Postgres,
        &["replies", "resolve", "r"],
    ),
    verb(&["send", "freeze"], Needs::Postgres, &["send", "stop"]),
    verb(&["send", "thaw"], Needs::Postgres, &["send", "thaw", "--all"]),
    verb(&["accounts", "list"], Needs::Postgres, &["accounts", "list", "all"]),
    verb(&["accounts", "check"], Needs::Postgres, &["accounts", "check", "--account"]),
    verb(&["accounts", "remove", "1"], Needs::Postgres, &["accounts", "remove"]),
];

/// Port 9 of loopback: nobody listens there.
const NO_BROKER: (&str, &str) = ("NATS_URL", "nats://127.0.0.1:9");
const NO_POSTGRES: (&str, &str) = ("DATABASE_URL", "postgres://hookline@127.0.0.1:9/hookline");

/// Words, variables, the exit code, and what the error names.
type Case = (&'static [&'static str], Vec<(&'static str, &'static str)>, i32, &'static str);

async fn fails(lab: &Lab, words: &[&str], variables: &[(&str, &str)], expected: i32, named: &str) {
    let begun = Instant::now();
    let (code, out, err) = lab.hookline_with(words, variables).await;
    assert_eq!(code, expected, "{words:?} {variables:?}: {out}{err}");
    assert!(begun.elapsed() < Duration::from_secs(15), "{words:?}: {:?}", begun.elapsed());
    assert!(err.contains(named), "{words:?}: {err}");
    if expected == 4 {
        assert_eq!(err.lines().count(), 1, "{words:?}: {err}");
        assert!(out.is_empty() && err.starts_with("hookline: "), "{words:?}: {out}{err}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_server_is_exit_code_4_and_one_line_and_wrong_words_are_2() {
    let lab = Lab::start_with(LabOptions::EMPTY).await;
    let mut cases: Vec<Case> = Vec::new();
    for verb in VERBS {
        if verb.needs != Needs::Postgres {
            cases.push((verb.words, vec![NO_BROKER], 4, "NATS_URL"));
        }
        if verb.needs != Needs::Broker {
            cases.push((verb.words, vec![NO_POSTGRES], 4, "DATABASE_URL"));
        }
        cases.push((verb.wrong, Vec::new(), 2, "--help"));
    }
    let lab = &lab;
    let all = cases
        .iter()
        .map(|(words, variables, code, named)| fails(lab, words, variables, *code, named));
    // They wait for somebody who does not answer: side by side.
    futures::stream::iter(all).buffer_unordered(16).collect::<Vec<()>>().await;
    let doctors = [NO_BROKER, NO_POSTGRES].map(async |missing| {
        let (code, out, _) = lab.hookline_with(&["doctor"], &[missing]).await;
        assert!(code == 4 && out.contains(missing.0), "{code} {out}");
    });
    futures::future::join_all(doctors).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_listed_paused_and_given_up_and_every_act_is_recorded() {
    use ops::{NewJob, Ops};
    let lab = Lab::start_with(LabOptions::EMPTY).await;
    let (code, out, err) = lab.hookline(&["jobs", "list", "--output", "json"]).await;
    assert!(code == 0 && out.trim() == "[]", "{code} {out}{err}");
    let ops = Ops::open(lab.pool().clone()).await.unwrap();
    let new = NewJob {
        verb: "replay",
        arguments: serde_json::json!({"since": "2026-01-01T00:00:00Z", "all": true}),
        rate: None,
        reason: Some("a test"),
        who: "tester",
    };
    let (job, _) = ops.start(new).await.unwrap();
    let id = job.id.as_str();
    let shown = async |id: &str| {
        let (code, out, err) = lab.hookline(&["jobs", "show", id, "--output", "json"]).await;
        assert_eq!(code, 0, "{err}");
        serde_json::from_str::<serde_json::Value>(&out).unwrap()
    };
    assert_eq!(shown(id).await["command"], "hookline replay --all --since 2026-01-01T00:00:00Z");
    let status = async || {
        let (_, out, _) = lab.hookline(&["status", "--output", "json"]).await;
        serde_json::from_str::<serde_json::Value>(&out).unwrap()
    };
    assert_eq!(status().await["jobs"][id], "interrupted");
    let ends = async |words: &[&str], expected: i32| {
        let (code, out, err) = lab.hookline(words).await;
        assert_eq!(code, expected, "{words:?}: {out}{err}");
    };
    ends(&["jobs", "pause", id, "--dry-run"], 0).await;
    assert_eq!(shown(id).await["state"], "running", "a dry run changes nothing");
    ends(&["jobs", "pause", id, "--reason", "load"], 0).await;
    assert_eq!(shown(id).await["state"], "paused");
    ends(&["jobs", "rate", id, "20"], 0).await;
    assert_eq!(shown(id).await["rate"], 20.0);
    ends(&["jobs", "rate", id, "-1"], 2).await;
    ends(&["jobs", "resume", id], 0).await;
    ends(&["jobs", "cancel", id, "--reason", "enough"], 0).await;
    assert_eq!(shown(id).await["state"], "cancelled");
    ends(&["jobs", "pause", id], 3).await;
    ends(&["jobs", "pause", "replay-none"], 2).await;
    let acts: Vec<String> = ops.acts(10).await.unwrap().into_iter().map(|act| act.verb).collect();
    assert_eq!(acts, ["jobs cancel", "jobs rate", "jobs pause"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watched_status_shows_again_and_again_how_fast_the_log_grows() {
    let mut lab = Lab::with_all_roles().await;
    lab.set("RUST_LOG", "warn");
    let file = lab.folder().join("watch");
    let mut watch = lab
        .command(&["status", "--watch", "1", "--output", "json"])
        .stdout(std::fs::File::create(&file).unwrap())
        .spawn()
        .unwrap();
    let js = lab.jetstream().await;
    eventually("ticks show growth", Duration::from_secs(30), async || {
        // Not an event: the projector parks it, and status says so.
        js.publish("inbox.v1.event.00.instagram.1.message-received", "nonsense".into())
            .await
            .unwrap()
            .await
            .unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        let ticks: Vec<serde_json::Value> =
            text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let grows = ticks.iter().any(|tick| tick["events_per_second"].as_f64() > Some(0.0));
        let dead = ticks.last().is_some_and(|tick| tick["dead_letters"].as_i64() > Some(0));
        let causes = ticks
            .last()
            .is_some_and(|tick| !tick["dead_letters_by_cause"].as_object().unwrap().is_empty());
        if ticks.len() >= 3 && grows && dead && causes { Ok(()) } else { Err(text) }
    })
    .await;
    watch.kill().await.unwrap();
    // What the projector set aside is listed, shown and given up like the rest.
    let (_, out, _) = lab.hookline(&["redrive", "list", "--output", "json"]).await;
    let rows: Vec<serde_json::Value> = serde_json::from_str(&out).unwrap();
    let row = rows.iter().find(|row| row["stage"] == "projector").unwrap();
    let seq = row["seq"].to_string();
    let (code, out, _) = lab.hookline(&["redrive", "show", &seq, "--stage", "projector"]).await;
    assert!(code == 0 && out.contains("projector"), "{out}");
    let discard = ["redrive", "discard", &seq, "--stage", "projector", "--reason", "nonsense"];
    assert_eq!(lab.hookline(&discard).await.0, 0);
    assert_eq!(lab.hookline(&discard).await.0, 2, "it is gone");
}
