use std::time::{Duration, Instant};

use serde_json::json;
use simulator::{CallKind, Fault, FaultRule, Host, Usage};

use crate::stage::{Stage, eventually};

#[tokio::test]
async fn a_fault_before_has_no_effect_and_one_after_has() {
    let stage = Stage::start().await;
    let ann = stage.shop.person("Ann Berg");
    ann.says("hi");
    for (fault, status, delivered) in [
        (Fault::ServerErrorBefore, Some(500), false),
        (Fault::TemporaryBefore, Some(503), false),
        (Fault::ServerErrorAfter, Some(500), true),
        (Fault::BadGatewayAfter, Some(502), true),
        (Fault::ResetBefore, None, false),
        (Fault::ResetAfter, None, true),
        (Fault::TimeoutBefore, None, false),
        (Fault::TimeoutAfter, None, true),
        (Fault::RateLimited, Some(400), false),
        (Fault::AppLimited, Some(400), false),
        (Fault::TokenExpired, Some(400), false),
        (Fault::NoCapability, Some(400), false),
        (Fault::NoPermission, Some(403), false),
    ] {
        let before = ann.received().len();
        stage.meta.fault(FaultRule::new(fault).on(CallKind::Send).times(1));
        let body = json!({"recipient": {"id": ann.id()}, "message": {"text": "x"}});
        let answer = stage.try_post(&stage.shop, "me/messages", body).await;
        assert_eq!(answer.ok().map(|answer| answer.status().as_u16()), status, "{fault:?}");
        assert_eq!(ann.received().len() - before, usize::from(delivered), "{fault:?}");
        let call = stage.shop.calls(Some(CallKind::Send)).pop().expect("logged");
        assert_eq!((call.fault, call.created.is_some()), (Some(fault), delivered));
    }
    assert_eq!(stage.send(&stage.shop, ann.id(), "fine").await.0, 200, "one shot each");
    // Every delivered message is echoed, answered or not.
    eventually("six webhooks", || stage.arrived().len() == 1 + ann.received().len()).await;
}

#[tokio::test]
async fn a_reset_is_quick_and_a_time_out_is_not() {
    let stage = Stage::start().await;
    let ann = stage.shop.person("Ann Berg");
    ann.says("hi");
    let body = json!({"recipient": {"id": ann.id()}, "message": {"text": "x"}});
    for (fault, timed_out) in [(Fault::ResetAfter, false), (Fault::TimeoutAfter, true)] {
        stage.meta.fault(FaultRule::new(fault).times(1));
        let began = Instant::now();
        let error =
            stage.try_post(&stage.shop, "me/messages", body.clone()).await.expect_err("no answer");
        assert_eq!(error.is_timeout(), timed_out, "{fault:?}: {error}");
        assert_eq!(Duration::from_millis(600) < began.elapsed(), timed_out);
    }
}

#[tokio::test]
async fn faults_reach_only_what_they_name() {
    let stage = Stage::start().await;
    let (ann, jonas) = (stage.shop.person("Ann Berg"), stage.page.person("Jonas"));
    ann.says("hi");
    jonas.says("hi");
    stage.meta.fault(FaultRule::new(Fault::ServerErrorBefore).of(stage.shop.id()));
    stage.meta.fault(FaultRule::new(Fault::RateLimited).at(Host::Facebook).on(CallKind::Profile));
    assert_eq!(stage.send(&stage.shop, ann.id(), "x").await.0, 500);
    assert_eq!(stage.send(&stage.page, jonas.id(), "x").await.0, 200);
    assert_eq!(stage.get(&stage.page, jonas.id()).await.1["error"]["code"], 613);
    stage.meta.clear_faults();
    assert_eq!(stage.send(&stage.shop, ann.id(), "x").await.0, 200);
}

#[tokio::test]
async fn usage_is_returned_in_headers_and_may_refuse() {
    let stage = Stage::start().await;
    let ann = stage.shop.person("Ann Berg");
    ann.says("hi");
    let body = json!({"recipient": {"id": ann.id()}, "message": {"text": "x"}});
    let usage = |percent, refuse| Usage { percent, regain_minutes: 17, refuse };
    stage.shop.set_usage(usage(95, false), None);
    let answer = stage.try_post(&stage.shop, "me/messages", body.clone()).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let reported = answer.headers()["x-business-use-case-usage"].to_str().expect("text").to_owned();
    let reported: serde_json::Value = serde_json::from_str(&reported).expect("JSON");
    let row = &reported[stage.shop.id()][0];
    assert_eq!((&row["type"], &row["call_count"]), (&json!("instagram"), &json!(95)));
    assert_eq!(row["estimated_time_to_regain_access"], 17);

    stage.shop.set_usage(usage(100, true), Some(Duration::from_millis(300)));
    let answer = stage.post(&stage.shop, "me/messages", body.clone()).await;
    assert_eq!((answer.0, &answer.1["error"]["code"]), (400, &json!(613)));
    let until = Instant::now() + Duration::from_secs(5);
    while stage.post(&stage.shop, "me/messages", body.clone()).await.0 != 200 {
        assert!(Instant::now() < until, "usage never ended");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    stage.meta.fault(FaultRule::new(Fault::AppLimited).times(1));
    let answer = stage.try_post(&stage.shop, "me/messages", body).await.expect("an answer");
    assert!(answer.headers().contains_key("x-app-usage"));
}

#[tokio::test]
async fn a_share_of_calls_fails_and_the_rest_arrives_once() {
    let stage = Stage::start().await;
    let ann = stage.shop.person("Ann Berg");
    ann.says("hi");
    stage.meta.fault(FaultRule::new(Fault::ServerErrorAfter).on(CallKind::Send).rate(0.2));
    stage.meta.fault(FaultRule::new(Fault::ServerErrorBefore).on(CallKind::Send).rate(0.1));
    let mut accepted = 0;
    for number in 0..200 {
        accepted +=
            usize::from(stage.send(&stage.shop, ann.id(), &number.to_string()).await.0 == 200);
    }
    let calls = stage.shop.calls(Some(CallKind::Send));
    let after = calls.iter().filter(|call| call.fault == Some(Fault::ServerErrorAfter)).count();
    let before = calls.iter().filter(|call| call.fault == Some(Fault::ServerErrorBefore)).count();
    assert_eq!((calls.len(), accepted), (200, 200 - after - before));
    assert_eq!(ann.received().len(), accepted + after);
    assert!((20..60).contains(&after) && (5..40).contains(&before), "{after} {before}");
}
