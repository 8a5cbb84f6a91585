//! Clocks that are wrong send nothing twice.

use std::time::Duration;

use serde_json::json;
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
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_of_meta_that_is_behind_proves_no_absence() {
    check(-600_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_of_meta_that_is_ahead_proves_no_absence() {
    check(600_000).await;
}
