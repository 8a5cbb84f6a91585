//! `/v1/ops/…`: what operators see and do by HTTP is what the verbs show and do, by the role `ops`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::crowd::{connect_both, reaches, writes};
use tests::lab::API_TOKEN;
use tests::{Lab, Role, eventually};

use super::{READER, is_problem, set_tokens, with_token};

const WITHIN: Duration = Duration::from_secs(30);

async fn everything_runs() -> Lab {
    let mut lab = Lab::start().await;
    set_tokens(&mut lab);
    lab.run_all().await;
    lab
}

/// What a verb prints.
async fn verb(lab: &Lab, arguments: &[&str]) -> Value {
    let mut all = arguments.to_vec();
    all.extend_from_slice(&["--output", "json"]);
    serde_json::from_str(&lab.hookline_ok(&all).await).unwrap()
}

async fn shown(lab: &Lab, path: &str) -> Value {
    let (status, body) = lab.api().get(path).await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

/// Without what is another at each look.
fn settled(mut status: Value) -> Value {
    let facts = status.as_object_mut().unwrap();
    for moving in ["at", "events_per_second", "graph_clocks"] {
        assert!(facts.remove(moving).is_some(), "`{moving}`: {facts:?}");
    }
    status
}

async fn status_is_that_of_the_verb(lab: &Lab) {
    eventually("both show the same", WITHIN, async || {
        let by_verb = settled(verb(lab, &["status"]).await);
        let by_http = settled(shown(lab, "/v1/ops/status").await);
        let same = by_verb == by_http;
        tests::client::holds(same, || format!("{by_verb}\n{by_http}"))
    })
    .await;
    let status = shown(lab, "/v1/ops/status").await;
    let stages: Vec<&str> = status["stages"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["stage"].as_str())
        .collect();
    assert_eq!(
        stages,
        ["normalize", "callbacks", "commands", "automate", "withdrawals", "project"],
        "{status}"
    );
}

/// The story of a reply by HTTP is that of the verb; contents only with a reason, which the audit has.
async fn trace_is_that_of_the_verb(lab: &Lab, reply: &str) {
    let path = format!("/v1/ops/trace/{reply}");
    eventually("both show the same story", WITHIN, async || {
        let by_verb = verb(lab, &["trace", reply]).await;
        let by_http = shown(lab, &path).await;
        let same = by_verb == by_http && by_http["echoes"][0].is_object();
        tests::client::holds(same, || format!("{by_verb}\n{by_http}"))
    })
    .await;
    let received = |event: &Value| event["type"] == "hookline.message.received.v1";
    let event = lab.events().await.into_iter().find(received).unwrap();
    let event = event["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/ops/trace/{event}");
    let story = shown(lab, &path).await;
    assert!(!story["raws"][0]["structure"].is_null(), "{story}");
    assert!(story["raws"][0]["body"].is_null() && story["events"].is_null(), "{story}");
    is_problem(&lab.api().get(&format!("{path}?contents=true")).await, 422, "invalid");
    is_problem(&lab.api().get("/v1/ops/trace/evt_none").await, 404, "not_found");
    let before = verb(lab, &["audit"]).await;
    assert!(!before.to_string().contains("trace --reveal"), "{before}");
    let story = shown(lab, &format!("{path}?contents=true&reason=they%20asked")).await;
    assert!(story["raws"][0]["body"].is_string() && story["events"][0]["id"] == event.as_str());
    let act = &verb(lab, &["audit"]).await[0];
    assert_eq!(
        (&act["verb"], &act["who"], &act["reason"], &act["arguments"]["id"]),
        (&json!("trace --reveal"), &json!("tester"), &json!("they asked"), &json!(event))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_operators_see_by_http_is_what_the_verbs_show() {
    let lab = everything_runs().await;
    let (instagram, _) = connect_both(&lab).await;
    let (_, conversation) = writes(&lab, &instagram, "Ann Berg").await;
    let path = format!("/v1/conversations/{conversation}/messages");
    let (_, reply) = lab.api().post_once(&path, "k", json!({"text": "hello"})).await;
    let reply = reply["reply_id"].as_str().unwrap().to_owned();
    reaches(&lab, &reply, &["sent"], WITHIN).await;
    lab.settled().await;
    trace_is_that_of_the_verb(&lab, &reply).await;
    // One freeze, so that there is something to compare.
    lab.hookline_ok(&["send", "freeze", "--account", instagram.id(), "--reason", "trying"]).await;
    status_is_that_of_the_verb(&lab).await;
    let status = shown(&lab, "/v1/ops/status").await;
    assert_eq!(status["freezes"][0]["reason"], "trying", "{status}");
    for path in ["/v1/ops/status", "/v1/ops/send", "/v1/ops/trace/evt_1"] {
        let answer = with_token(&lab.api(), READER).get(path).await;
        is_problem(&answer, 403, "insufficient_scope");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_by_http_holds_within_two_seconds_and_says_whose_it_is() {
    let lab = everything_runs().await;
    let (instagram, page) = connect_both(&lab).await;
    let (ann, conversation) = writes(&lab, &instagram, "Ann Berg").await;
    let (bo, other) = writes(&lab, &page, "Bo Holm").await;
    let api = lab.api();
    let queue = async |conversation: &str, key: &str| {
        let path = format!("/v1/conversations/{conversation}/messages");
        let (status, queued) = api.post_once(&path, key, json!({"text": key})).await;
        assert_eq!(status, 202, "{queued}");
        queued["reply_id"].as_str().unwrap().to_owned()
    };
    for (body, field) in [
        (json!({"account_id": "instagram/1", "reason": "x"}), "account_id"),
        (json!({"conversation": "cnv_none", "reason": "x"}), "conversation"),
        (
            json!({"account_id": page.id(), "conversation": conversation, "reason": "x"}),
            "conversation",
        ),
        (json!({"account_id": instagram.id()}), "reason"),
        (json!({"reason": " "}), "reason"),
    ] {
        let refused = api.post("/v1/ops/send/freeze", body).await;
        is_problem(&refused, 422, "invalid");
        assert_eq!(refused.1["field"], field, "{refused:?}");
    }
    let refused =
        with_token(&api, READER).post("/v1/ops/send/freeze", json!({"reason": "x"})).await;
    is_problem(&refused, 403, "insufficient_scope");
    assert_eq!(shown(&lab, "/v1/ops/send").await, json!({"freezes": []}));

    let why = json!({"account_id": instagram.id(), "reason": "wrong replies"});
    let (status, frozen) = api.post("/v1/ops/send/freeze", why.clone()).await;
    let (since, scope) = (Instant::now(), format!("account:instagram/{}", instagram.id()));
    assert_eq!((status, &frozen["changed"], &frozen["scope"]), (200, &json!(true), &json!(scope)));
    let (_, again) = api.post("/v1/ops/send/freeze", why.clone()).await;
    assert_eq!((&again["changed"], &again["frozen"]), (&json!(false), &json!(true)), "{again}");
    let held = queue(&conversation, "held").await;
    let free = queue(&other, "free").await;
    reaches(&lab, &free, &["sent"], WITHIN).await;
    let freezes = shown(&lab, "/v1/ops/send").await;
    let (one, acts) = (&freezes["freezes"][0], verb(&lab, &["audit"]).await);
    assert_eq!(
        (&one["scope"], &one["by"], &one["reason"]),
        (&json!(scope), &json!("tester"), &json!("wrong replies"))
    );
    assert_eq!(
        (&acts[1]["verb"], &acts[1]["who"], &acts[1]["reason"]),
        (&json!("send freeze"), &json!("tester"), &json!("wrong replies"))
    );
    // Long enough that a leak would show.
    tokio::time::sleep(Duration::from_secs(3).saturating_sub(since.elapsed())).await;
    let last = reaches(&lab, &held, &["queued"], Duration::from_secs(2)).await;
    assert_eq!((&last["attempts"], ann.texts_received().len()), (&json!(0), 0), "{last}");
    assert_eq!(bo.texts_received(), ["free"]);

    let (status, thawed) = api.post("/v1/ops/send/thaw", why).await;
    assert_eq!((status, &thawed["changed"], &thawed["frozen"]), (200, &json!(true), &json!(false)));
    reaches(&lab, &held, &["sent"], WITHIN).await;
    assert_eq!(ann.texts_received(), ["held"]);
    assert_eq!(shown(&lab, "/v1/ops/send").await, json!({"freezes": []}));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_role_with_its_own_rights_does_it_and_only_for_the_api() {
    let mut lab = Lab::start().await;
    lab.set("API_TOKENS", &format!("tester={API_TOKEN}:admin"));
    lab.run_apart().await;
    let away = lab.api().get("/v1/ops/status").await;
    is_problem(&away, 503, "unavailable");
    assert!(away.1["detail"].as_str().unwrap().contains("hookline ops"), "{away:?}");
    lab.run(Role::Ops).await;
    lab.ready(Role::Ops).await;
    let (instagram, _) = connect_both(&lab).await;
    let (_, conversation) = writes(&lab, &instagram, "Ann Berg").await;
    lab.settled().await;
    let status = shown(&lab, "/v1/ops/status").await;
    assert!(status["stages"][0]["lag"].is_u64(), "{status}");
    let (_, messages) = lab.api().get(&format!("/v1/conversations/{conversation}/messages")).await;
    let id = messages["messages"][0]["message_id"].as_str().unwrap();
    let story = shown(&lab, &format!("/v1/ops/trace/{id}?contents=true&reason=rights")).await;
    assert!(story["raws"][0]["body"].is_string() && story["events"][0].is_object(), "{story}");
    let (code, frozen) = lab.api().post("/v1/ops/send/freeze", json!({"reason": "rights"})).await;
    assert_eq!((code, &frozen["scope"]), (200, &json!("*")), "{frozen}");

    // Whoever else can reach the subject is no operator.
    let client = lab.nats_client().await;
    let thaw = json!({"who": "eve", "ask": {"what": "thaw", "account_id": null, "conversation": null, "reason": "x"}});
    for vouch in ["", "00", &lab.vouch().of(b"something else")] {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert(runtime::vouch::HEADER, vouch);
        let asked = serde_json::to_vec(&thaw).unwrap().into();
        let answer =
            client.request_with_headers(schemas::subjects::OPS, headers, asked).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
        assert_eq!(answer["why"], "not_understood", "{answer}");
    }
    assert_eq!(shown(&lab, "/v1/ops/send").await["freezes"][0]["scope"], "*");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_one_user_for_everything_the_api_answers_by_itself() {
    let mut lab = Lab::start_with(tests::LabOptions::EMPTY).await;
    set_tokens(&mut lab);
    lab.run_apart().await;
    eventually("the status is shown without the role `ops`", WITHIN, async || {
        let (status, body) = lab.api().get("/v1/ops/status").await;
        tests::client::holds(status == 200 && body["stages"].is_array(), || body.to_string())
    })
    .await;
}
