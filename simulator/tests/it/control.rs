use serde_json::json;
use simulator::CallKind;

use crate::stage::{INSTAGRAM, Stage};

#[tokio::test]
async fn a_person_with_curl_can_play_a_conversation() {
    let stage = Stage::start().await;
    let person = format!(r#"{{"account": "{INSTAGRAM}", "name": "Ann Berg"}}"#);
    let (status, ann) = stage.control("POST", "/people", &person).await;
    assert_eq!((status, &ann["username"]), (200, &json!("ann.berg")));
    let id = ann["id"].as_str().expect("an id").to_owned();
    let act = |body: &'static str| {
        let (stage, path) = (stage.clone(), format!("/people/{id}/acts"));
        async move { stage.control("POST", &path, body).await }
    };
    let (status, said) = act(r#"{"act": "say", "text": "hi", "wait_ms": 5000}"#).await;
    assert_eq!((status, &said["accepted"]), (200, &json!(true)), "{said}");
    let (_, hint) =
        act(r#"{"act": "say", "text": "psst", "reported": "senderless", "wait_ms": 5000}"#).await;
    assert_eq!(hint["deliveries"][0]["state"], "accepted");
    stage.send(&stage.shop, &id, "hello").await;
    let (_, seen) = stage.control("GET", &format!("/people/{id}/seen"), "").await;
    let texts: Vec<_> =
        seen["messages"].as_array().expect("messages").iter().map(|m| m["text"].clone()).collect();
    assert_eq!(texts, ["hi", "psst", "hello"]);
    let (_, media) =
        stage.control("POST", &format!("/accounts/{INSTAGRAM}/media"), r#"{"caption":"x"}"#).await;
    let comment = format!(r#"{{"act":"comment","text":"nice","media_id":{}}}"#, media["id"]);
    let (status, made) = stage.control("POST", &format!("/people/{id}/acts"), &comment).await;
    assert_eq!(status, 200, "{made}");
    let (_, comments) = stage.control("GET", "/comments", "").await;
    assert_eq!(comments["comments"][0]["id"], made["comment_id"]);
    let (_, received) = stage.control("GET", "/received", "").await;
    assert_eq!(received["messages"].as_array().map(Vec::len), Some(1));
    let (_, counts) = stage.control("GET", "/counts", "").await;
    assert_eq!(counts["counts"][0], json!({"kind": "send", "account": INSTAGRAM, "count": 1}));
    let (_, calls) = stage.control("GET", "/calls?kind=send", "").await;
    assert_eq!((&calls["total"], &calls["calls"][0]["status"]), (&json!(1), &json!(200)));
    let (_, deliveries) = stage.control("GET", "/deliveries?limit=1000", "").await;
    let first = deliveries["deliveries"].as_array().and_then(|all| all.last()).expect("one");
    let path = format!("/deliveries/{}/redeliver", first["id"]);
    let (_, again) = stage.control("POST", &path, r#"{"times": 3}"#).await;
    assert_eq!(again["statuses"], json!([200, 200, 200]));
}

#[tokio::test]
async fn faults_habits_and_tokens_are_set_from_outside() {
    let stage = Stage::start().await;
    let ann = stage.shop.person("Ann Berg");
    ann.says("hi");
    let rule = r#"{"fault": "server_error_after", "kind": "send", "times": 1}"#;
    let (status, rules) = stage.control("POST", "/faults", rule).await;
    assert_eq!((status, rules["faults"].as_array().map(Vec::len)), (200, Some(1)));
    assert_eq!(stage.send(&stage.shop, ann.id(), "x").await.0, 500);
    assert_eq!(ann.received().len(), 1);
    let (status, policy) = stage.control("PATCH", "/policy", r#"{"duplicate_rate": 0.5}"#).await;
    assert_eq!((status, &policy["duplicate_rate"]), (200, &json!(0.5)));
    let path = format!("/accounts/{INSTAGRAM}/token");
    stage.control("POST", &path, r#"{"expire": true}"#).await;
    assert_eq!(stage.send(&stage.shop, ann.id(), "x").await.1["error"]["code"], 190);
    stage.control("POST", &path, r#"{"token": "new"}"#).await;
    assert_eq!(stage.send(&stage.shop, ann.id(), "x").await.0, 200);
    assert_eq!(stage.meta.count(CallKind::Send), 3);
    let raw = r#"{"path": "/webhooks/instagram", "body": "not json", "sign": "wrong"}"#;
    let (_, attempt) = stage.control("POST", "/deliver", raw).await;
    assert_eq!(attempt["status"], 200);
    let forged = stage.arrived().pop().expect("arrived");
    assert_eq!((&forged.bytes[..], forged.signed_by), (&b"not json"[..], None));
}

#[tokio::test]
async fn bad_input_is_refused_by_name() {
    let stage = Stage::start().await;
    let ann = stage.shop.person("Ann Berg");
    let acts = format!("/people/{}/acts", ann.id());
    for (method, path, body, status, field) in [
        ("POST", acts.as_str(), r#"{"act": "say"}"#, 422, "text"),
        ("POST", &acts, r#"{"act": "say", "text": 5}"#, 422, "text"),
        ("POST", &acts, r#"{"act": "dance"}"#, 422, "act"),
        ("POST", &acts, r#"{"act": "say", "txt": "x"}"#, 422, "txt"),
        ("POST", &acts, r#"{"act": "edit", "text": "x"}"#, 422, "message_id"),
        ("POST", &acts, r#"{"act": "say", "text": "x", "reported": "loudly"}"#, 422, "reported"),
        ("POST", &acts, "{", 422, "body"),
        ("POST", &acts, "", 422, "act"),
        ("POST", "/people/1/acts", r#"{"act": "say", "text": "x"}"#, 404, "person"),
        ("POST", "/people", r#"{"account": "1", "name": "x"}"#, 404, "account"),
        ("POST", "/faults", r#"{"fault": "rate_limited", "rate": 2}"#, 422, "rate"),
        ("POST", "/faults", r#"{"fault": "rate_limited", "account": "1"}"#, 422, "account"),
        ("POST", "/faults", r#"{"fault": "fire"}"#, 422, "fault"),
        ("PATCH", "/policy", r#"{"batch_rate": -1}"#, 422, "batch_rate"),
        ("PATCH", "/policy", r#"{"batch_rate": "x"}"#, 422, "batch_rate"),
        ("PATCH", "/policy", r#"{"speed": 1}"#, 422, "speed"),
        ("PUT", "/webhook", r#"{"url": "nowhere"}"#, 422, "url"),
        ("PUT", "/traffic", r#"{"people": 0, "per_minute": 1}"#, 422, "people"),
        ("PUT", "/traffic", r#"{"people": 1, "per_minute": 0}"#, 422, "per_minute"),
        ("GET", "/calls?kind=nothing", "", 422, "kind"),
        ("POST", "/deliver", r#"{"path": "x", "body": "", "sign": "none"}"#, 422, "path"),
        ("POST", "/deliveries/999/redeliver", "{}", 404, "delivery"),
    ] {
        let (got, answer) = stage.control(method, path, body).await;
        assert_eq!(
            (got, answer["error"]["field"].as_str()),
            (status, Some(field)),
            "{path} {body}: {answer}"
        );
        assert!(answer["error"]["message"].as_str().is_some_and(|text| !text.is_empty()));
    }
    assert!(ann.sees().is_empty());
}
