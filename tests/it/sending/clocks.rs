//! Clocks that are wrong send nothing twice.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::{CallKind, Fault, FaultRule};
use tests::crowd::{connect_both, writes};
use tests::{Lab, eventually};

/// How often the thread was read back for lost sends.
async fn looks(lab: &Lab) -> i64 {
    sqlx::query_scalar("select coalesce(sum(looks), 0)::bigint from worker.parts")
        .fetch_one(lab.pool())
        .await
        .unwrap()
}

/// Meta's clock is wrong by so much; two replies lose their answers, one of which Meta took.
async fn check(clock_ahead_ms: i64) {
    let lab = Lab::with_all_roles().await;
    let accounts = connect_both(&lab).await;
    let policy = |policy: &mut simulator::Policy| {
        policy.echoes = false;
        policy.clock_ahead_ms = clock_ahead_ms;
    };
    lab.simulator.set_policy(policy).unwrap();
    for (account, name) in [(&accounts.0, "Ann Berg"), (&accounts.1, "Bea Carl")] {
        let (person, id) = writes(&lab, account, name).await;
        lab.simulator
            .fault(FaultRule::new(Fault::ResetAfter).on(CallKind::Send).of(account.id()).times(1));
        let path = format!("/v1/conversations/{id}/messages");
        let (status, queued) =
            lab.api().post_once(&path, "k1", json!({"text": "we are open until six"})).await;
        assert_eq!(status, 202, "{queued}");
        let before = looks(&lab).await;
        // Two that agree would be enough.
        eventually("its thread is read back", Duration::from_secs(60), async || {
            let done = looks(&lab).await - before;
            tests::client::holds(3 <= done, || format!("{done} looks"))
        })
        .await;
        assert_eq!(
            person.received().len(),
            1,
            "{name} got it twice, clock {clock_ahead_ms} ms ahead"
        );
    }
    assert_eq!(lab.simulator.count(CallKind::Send), 2);
    operators_see_it(&lab, clock_ahead_ms).await;
}

/// `status` and `doctor` name the difference to Graph's clock.
async fn operators_see_it(lab: &Lab, clock_ahead_ms: i64) {
    let (_, out, err) = lab.hookline(&["status", "--output", "json"]).await;
    let status: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
    for host in ["facebook", "instagram"] {
        let clock = &status["graph_clocks"][host];
        let ahead = clock["ahead_ms"].as_i64().unwrap_or_default();
        assert!(ahead.abs_diff(clock_ahead_ms) < 10_000, "{clock}");
        assert_eq!(clock["agrees"], json!(false), "{clock}");
    }
    let (code, out, err) = lab.hookline(&["doctor", "--output", "json"]).await;
    assert_eq!(code, 1, "{out}{err}");
    let findings: Value = serde_json::from_str(&out).unwrap();
    let named = findings
        .as_array()
        .unwrap()
        .iter()
        .any(|one| one["level"] == "problem" && one["check"] == "clock of Graph (instagram)");
    assert!(named, "{findings}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_of_meta_that_is_behind_proves_no_absence() {
    check(-600_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_of_meta_that_is_ahead_proves_no_absence() {
    check(600_000).await;
}
