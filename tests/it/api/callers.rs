//! Who may do what.

use serde_json::{Value, json};
use tests::body::{IG, now, text};
use tests::{Api, Role};

use super::{PLAIN, READER, ROBOT, conversation_of, is_problem, lab, person, webhook, with_token};

/// Calls a route with a key; of a stream only the status.
pub(super) async fn call(api: &Api, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let method = method.to_uppercase().parse().unwrap();
    let request = api.http.request(method, format!("{}{path}", api.url)).bearer_auth(&api.token);
    let answer = request.header("idempotency-key", "k").json(body).send().await.unwrap();
    let status = answer.status().as_u16();
    if answer.headers()["content-type"] == "text/event-stream" {
        return (status, Value::Null);
    }
    (status, answer.json().await.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_asks_for_a_token_and_a_reader_writes_nowhere() {
    let lab = lab().await;
    let api = lab.api();
    let (reader, stranger) = (with_token(&api, READER), with_token(&api, "wrong"));
    let document: Value = api
        .http
        .get(format!("{}/openapi.json", api.url))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let mut writing = 0;
    let paths = document["paths"].as_object().unwrap();
    // What browsers need beside it asks for no token.
    for (path, item) in paths.iter().filter(|(path, _)| path.starts_with("/v1/")) {
        let path = path.replace("{id}", "1").replace("{reply_id}", "1");
        for method in item.as_object().unwrap().keys() {
            is_problem(&call(&stranger, method, &path, &json!({})).await, 401, "unauthorized");
            let answer = call(&reader, method, &path, &json!({})).await;
            if path.starts_with("/v1/ops/") || path.starts_with("/v1/endpoints") {
                is_problem(&answer, 403, "insufficient_scope");
            } else if method == "get" {
                assert!(![401, 403].contains(&answer.0), "{method} {path}: {answer:?}");
            } else {
                writing += 1;
                is_problem(&answer, 403, "insufficient_scope");
            }
        }
    }
    assert!(writing >= 20, "{writing}");
    assert_eq!(lab.last_sequence("INBOX_COMMANDS").await, 0, "nobody wrote anything");
    for header in
        [None, Some("Basic dGVzdA=="), Some("Bearer"), Some("bearer  "), Some("Bearer a b")]
    {
        let mut request = api.http.get(format!("{}/v1/accounts", api.url));
        if let Some(header) = header {
            request = request.header("authorization", header);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 401, "{header:?}");
        assert!(answer.headers()["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
    assert!(!lab.log(Role::Api).contains(READER));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_window_only_a_person_may_answer_and_only_with_the_tag() {
    let lab = lab().await;
    let api = lab.api();
    let (robot, plain) = (with_token(&api, ROBOT), with_token(&api, PLAIN));
    let hours = |hours: i64| now() - hours * 3_600_000;
    for (n, at) in [(1, hours(25)), (2, hours(7 * 24 + 1)), (3, now())] {
        webhook(&lab, IG, &[text(IG, &person(n), &format!("mid.{n}"), at, "hi")]).await;
    }
    let mut paths = Vec::new();
    for n in 1..=3 {
        let id = conversation_of(&lab, IG, &person(n)).await;
        paths.push(format!("/v1/conversations/{id}/messages"));
    }
    let plainly = || json!({"text": "hello"});
    let tagged = || json!({"text": "hello", "tag": "HUMAN_AGENT"});
    let [late, too_late, open] = paths.as_slice() else { unreachable!() };
    is_problem(&robot.post_once(late, "r1", plainly()).await, 403, "window_closed");
    is_problem(&robot.post_once(late, "r2", tagged()).await, 403, "human_agent_person_only");
    is_problem(&robot.post_once(open, "r3", tagged()).await, 403, "human_agent_person_only");
    is_problem(&plain.post_once(late, "p1", plainly()).await, 403, "window_closed");
    is_problem(&plain.post_once(too_late, "p2", tagged()).await, 403, "window_closed");
    assert_eq!(plain.post_once(late, "p3", tagged()).await.0, 202);
    // A program says what it has seen.
    is_problem(&robot.post_once(open, "r4", plainly()).await, 422, "invalid");
    let seen = robot.http.get(format!("{}{open}", robot.url)).bearer_auth(&robot.token);
    let seen = seen.send().await.unwrap().headers()["etag"].clone();
    let request = robot.http.post(format!("{}{open}", robot.url)).bearer_auth(&robot.token);
    let request = request.header("idempotency-key", "r4").header("if-match", seen);
    assert_eq!(request.json(&plainly()).send().await.unwrap().status(), 202);
    // What was refused took no key: the same key may be used rightly.
    assert_eq!(plain.post_once(late, "p1", tagged()).await.0, 202);
    // Keys belong to their token.
    let (_, one) = plain.post_once(open, "same", plainly()).await;
    let (_, other) = api.post_once(open, "same", plainly()).await;
    assert!(one["reply_id"].is_string() && one["reply_id"] != other["reply_id"], "{one} {other}");

    let commands: Vec<Value> = lab
        .messages("INBOX_COMMANDS")
        .await
        .iter()
        .map(|message| serde_json::from_slice(&message.payload).unwrap())
        .collect();
    let by: Vec<_> = commands.iter().map(|c| c["requested_by"]["kind"].as_str().unwrap()).collect();
    assert_eq!(by, ["person", "automation", "person", "person", "person"]);
    assert_eq!(commands[1]["requested_by"]["name"], "robot");
}
