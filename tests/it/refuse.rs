//! Bad input to the API and the accounts verb: the contract's answer, and a message that names the field. (The webhook door has its own
//! tests in `ingest`.)

use serde_json::{Value, json};
use tests::body::{IG, instagram, now, text};
use tests::{Api, Lab, eventually};

fn is_problem(answer: &(u16, Value), status: u16, names: &str) {
    let (got, body) = answer;
    assert_eq!(*got, status, "{body}");
    assert!(
        body["code"].is_string() && body["title"].is_string(),
        "not a problem document: {body}"
    );
    assert!(body.to_string().contains(names), "`{names}` is not named: {body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_names_what_is_wrong() {
    let lab = Lab::with_all_roles().await;
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &[]).await;
    let item = text(IG, "5200000000000011", "mid.1", now() - 90_000_000, "written 25 hours ago");
    assert_eq!(lab.meta().post("/webhooks/instagram", &instagram(item)).await, 200);
    let api = lab.api();
    let id =
        eventually("the conversation is there", std::time::Duration::from_secs(20), async || {
            let all = api.conversations().await;
            all.first()
                .map(|c| c["id"].as_str().unwrap().to_owned())
                .ok_or_else(|| "none".to_owned())
        })
        .await;
    let messages = format!("/v1/conversations/{id}/messages");

    for token in ["", "wrong"] {
        let stranger = Api { token: token.to_owned(), ..api.clone() };
        is_problem(&stranger.get("/v1/conversations").await, 401, "");
    }
    is_problem(&api.get("/v1/nothing").await, 404, "");
    is_problem(&api.get("/v1/conversations/cnv_unknown").await, 404, "");
    is_problem(&api.get("/v1/conversations?limit=lots").await, 422, "limit");
    is_problem(&api.get("/v1/conversations?channel=telegram").await, 422, "channel");
    is_problem(&api.get("/v1/conversations?cursor=forged").await, 422, "cursor");
    is_problem(&api.post(&messages, json!({"text": "hi"})).await, 422, "Idempotency-Key");
    is_problem(&api.post_once(&messages, "k1", json!({})).await, 422, "text");
    is_problem(&api.post_once(&messages, "k2", json!({"text": 7})).await, 422, "text");
    is_problem(
        &api.post_once("/v1/conversations/cnv_unknown/messages", "k3", json!({"text": "a"})).await,
        404,
        "",
    );
    is_problem(
        &api.post_once(&messages, "k4", json!({"text": "too late"})).await,
        403,
        "window_closed",
    );
    let tagged =
        api.post_once(&messages, "k5", json!({"text": "a person", "tag": "HUMAN_AGENT"})).await;
    assert_eq!(tagged.0, 202, "{tagged:?}");
    is_problem(
        &api.post_once(&messages, "k5", json!({"text": "other", "tag": "HUMAN_AGENT"})).await,
        409,
        "key_reused",
    );
    is_problem(
        &api.post_once(&messages, "k6", json!({"text": "a", "tag": "ACCOUNT_UPDATE"})).await,
        422,
        "tag",
    );
    let malformed = api
        .http
        .post(format!("{}{messages}", api.url))
        .bearer_auth(&api.token)
        .header("idempotency-key", "k7")
        .header("content-type", "application/json")
        .body("{\"text\": ")
        .send()
        .await
        .unwrap();
    assert!(matches!(malformed.status().as_u16(), 400 | 422));
    assert_eq!(malformed.headers()["content-type"], "application/problem+json");
    let deleted = api
        .http
        .delete(format!("{}/v1/conversations", api.url))
        .bearer_auth(&api.token)
        .send()
        .await
        .unwrap();
    assert_eq!(deleted.status().as_u16(), 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_accounts_verb_names_what_is_wrong() {
    let lab = Lab::with_all_roles().await;
    let add = |more: &'static [&'static str]| {
        let mut arguments =
            vec!["accounts", "add", "--channel", "instagram", "--login", "instagram", "--id", IG];
        arguments.extend_from_slice(more);
        arguments
    };
    let (code, _, err) = lab.hookline(&add(&["--token-env", "NOT_THERE"])).await;
    assert!(code == 2 && err.contains("NOT_THERE"), "{code} {err}");
    let (code, _, err) = lab
        .hookline_with(&add(&["--token-env", "T"]), &[("T", "x"), ("ENCRYPTION_KEY", "short")])
        .await;
    assert!(code == 2 && err.contains("ENCRYPTION_KEY"), "{code} {err}");
    let messenger = [
        "accounts",
        "add",
        "--channel",
        "messenger",
        "--login",
        "instagram",
        "--id",
        "1",
        "--token-env",
        "T",
    ];
    let (code, _, err) = lab.hookline_with(&messenger, &[("T", "x")]).await;
    assert!(code == 2 && err.contains("login"), "{code} {err}");
    let (code, _, err) = lab.hookline(&["accounts", "remove", "instagram/404"]).await;
    assert!(code != 0 && err.contains("404"), "{code} {err}");
    lab.add_account("instagram", "instagram", IG, "very-secret-token", &["--name", "Lumen"]).await;
    let (code, out, err) = lab.hookline(&["accounts", "list", "--output", "json"]).await;
    assert_eq!(code, 0, "{err}");
    assert!(
        out.contains(IG) && out.contains("Lumen") && !out.contains("very-secret-token"),
        "{out}"
    );
}
