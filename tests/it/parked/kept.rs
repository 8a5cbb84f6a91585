//! Parked work is never lost in silence: its bytes are kept, and only `discard` drops it.

use std::time::Duration;

use tests::body::{IG, instagram, now, text};
use tests::{Lab, eventually};

use super::{POISONED, parked, texts};

/// One message that cannot be recorded, parked; the rule that refuses it is gone again.
async fn with_one_parked() -> Lab {
    let mut lab = Lab::start().await;
    // Nothing is tried again by itself.
    lab.set("RETRY_MIN", "1h");
    lab.set("RETRY_MAX", "1h");
    lab.run_all().await;
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &[]).await;
    lab.poison("new.message_id = 'mid.poison'").await;
    let poison = instagram(text(IG, POISONED, "mid.poison", now(), "one"));
    assert_eq!(lab.meta().post("/webhooks/instagram", &poison).await, 200);
    eventually("it is parked", Duration::from_secs(10), async || match parked(&lab).await.len() {
        1 => Ok(()),
        n => Err(format!("{n} rows")),
    })
    .await;
    lab.mend().await;
    lab
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_says_nothing_in_its_lane_any_more_stays_parked() {
    let lab = with_one_parked().await;
    // Without its account the webhook is of nobody's conversation.
    let (code, out, err) = lab.hookline(&["accounts", "remove", IG]).await;
    assert_eq!(code, 0, "{out}{err}");
    let (code, out, err) = lab.hookline(&["redrive", "run", "--output", "json"]).await;
    assert_eq!(code, 1, "{out}{err}");
    let rows = parked(&lab).await;
    assert_eq!((rows.len(), rows[0]["cause"].as_str()), (1, Some("says_nothing")), "{rows:?}");

    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &[]).await;
    let (code, out, err) = lab.hookline(&["redrive", "run"]).await;
    assert_eq!(code, 0, "{out}{err}");
    assert!(parked(&lab).await.is_empty());
    lab.settled().await;
    assert_eq!(texts(&lab, POISONED).await, ["one"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn parked_work_is_carried_out_after_meta_raw_has_aged_out() {
    let lab = with_one_parked().await;
    let behind = instagram(text(IG, POISONED, "mid.p2", now() + 1, "two"));
    assert_eq!(lab.meta().post("/webhooks/instagram", &behind).await, 200);
    lab.settled().await;
    assert_eq!(parked(&lab).await.len(), 2);
    lab.age_out("META_RAW").await;

    let (code, out, err) = lab.hookline(&["redrive", "run"]).await;
    assert_eq!(code, 0, "{out}{err}");
    lab.settled().await;
    assert_eq!(texts(&lab, POISONED).await, ["one", "two"]);
    // What is carried out is not kept here: META_RAW has it for as long as it is to be kept.
    let kept: i64 = sqlx::query_scalar("select count(*) from worker.parked_raws")
        .fetch_one(lab.pool())
        .await
        .unwrap();
    assert_eq!(kept, 0);
}
