//! What is asked for ends, whatever becomes of it: refused at once, refused by the worker, or stored and not published.

use std::time::Duration;

use serde_json::{Value, json};
use tests::body::IG;
use tests::crowd::{connect_both, reaches, writes};
use tests::raw_nats::RawNats;
use tests::{Lab, Role, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_worker_would_refuse_is_refused_at_once_with_the_reason() {
    let lab = Lab::with_all_roles().await;
    let (instagram, page) = connect_both(&lab).await;
    let (_, by_instagram) = writes(&lab, &instagram, "Ann Berg").await;
    let (_, by_page) = writes(&lab, &page, "Ben Clausen").await;
    let api = lab.api();
    for (n, (conversation, body, names)) in [
        (&by_page, json!({"text": "x".repeat(65_537)}), "65536"),
        (&by_instagram, json!({"text": "x".repeat(10_001)}), "11 messages, at most 10"),
        (&by_page, json!({"text": "x".repeat(20_001)}), "11 messages, at most 10"),
        (&by_page, json!({"text": "hi", "reply_to": "m".repeat(513)}), "reply_to"),
        (&by_page, json!({"template": {"elements": "e".repeat(100_000)}}), "65536"),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/v1/conversations/{conversation}/messages");
        let (status, problem) = api.post_once(&path, &format!("k{n}"), body).await;
        assert_eq!(status, 422, "{n}: {problem}");
        assert!(problem.to_string().contains(names), "{n}: {problem}");
    }
    let path = format!("/v1/conversations/{by_instagram}/messages?wait=30s");
    let (_, sent) = api.post_once(&path, "ten", json!({"text": "x".repeat(10_000)})).await;
    assert_eq!(sent["parts"].as_array().map(Vec::len), Some(10), "{sent}");
}

/// A worker may refuse what an api of another release accepted, or what somebody else wrote under its id.
#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_the_worker_refuses_has_failed_with_its_error() {
    let mut lab = Lab::with_roles_apart().await;
    let (instagram, _) = connect_both(&lab).await;
    let (person, conversation) = writes(&lab, &instagram, "Ann Berg").await;
    lab.settled().await;
    lab.kill9(Role::Worker).await;
    let path = format!("/v1/conversations/{conversation}/messages");
    let (status, queued) = lab.api().post_once(&path, "k1", json!({"text": "hi"})).await;
    assert_eq!((status, &queued["status"]), (202, &json!("queued")), "{queued}");
    let id = queued["reply_id"].as_str().unwrap();
    let stream = lab.jetstream().await.get_stream("INBOX_COMMANDS").await.unwrap();
    let last = lab.last_sequence("INBOX_COMMANDS").await;
    assert!(stream.delete_message(last).await.unwrap());
    let body = json!({"id": id, "channel": "instagram", "account_id": IG, "command": "reply", "data": {"text": 7}});
    let subject = format!("inbox.v1.command.00.instagram.{IG}.reply");
    let mut raw = RawNats::connect(&lab.nats).await;
    raw.publish(subject.as_bytes(), b"", body.to_string().as_bytes()).await;
    raw.flush().await;
    lab.lapse(Role::Worker).await;
    lab.run(Role::Worker).await;
    let failed = reaches(&lab, id, &["failed"], Duration::from_secs(30)).await;
    assert_eq!(failed["error"]["code"], "malformed", "{failed}");
    assert!(person.texts_received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_and_not_published_is_published_at_the_next_start() {
    let mut lab = Lab::with_roles_apart().await;
    let (instagram, _) = connect_both(&lab).await;
    let (person, conversation) = writes(&lab, &instagram, "Ann Berg").await;
    lab.settled().await;
    lab.kill9(Role::Api).await;
    lab.run_to_die(Role::Api, "api.before_publish=kill").await;
    lab.ready(Role::Api).await;
    let api = lab.api();
    let path = format!("{}/v1/conversations/{conversation}/messages", api.url);
    let asked = api.http.post(&path).bearer_auth(&api.token).header("idempotency-key", "k1");
    assert!(asked.json(&json!({"text": "stored only"})).send().await.is_err(), "it was to die");
    assert!(lab.died(Role::Api, Duration::from_secs(10)).await);
    assert!(person.texts_received().is_empty());
    // Nobody asks again.
    lab.run(Role::Api).await;
    eventually("the reply is sent", Duration::from_secs(30), async || {
        let texts = person.texts_received();
        if texts == ["stored only"] { Ok(()) } else { Err(format!("{texts:?}")) }
    })
    .await;
    let unpublished: i64 =
        sqlx::query_scalar("select count(*) from api.requests where published_at is null")
            .fetch_one(lab.pool())
            .await
            .unwrap();
    assert_eq!(unpublished, 0);
    let row: Value =
        sqlx::query_scalar("select to_jsonb(r) from worker.replies r where text = 'stored only'")
            .fetch_one(lab.pool())
            .await
            .unwrap();
    assert_eq!(row["requester"], "person", "{row}");
}
