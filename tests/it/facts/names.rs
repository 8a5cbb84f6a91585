//! What Graph's answers say in unusual words: other ids of the account, errors with odd members; and imports beside live messages.

use std::time::Duration;

use serde_json::{Value, json};
use tests::body::{IG, body, change, instagram, now, text};
use tests::client::holds;
use tests::{Lab, eventually};

use super::graph::FakeGraph;
use super::{ANN, done, lab, post, published, rows};

/// The app-scoped id under which threads and comments name the account.
const SCOPED: &str = "25500000000000999";
const LIMITED: [&str; 2] = [
    r#"{"error":{"code":613,"is_transient":null}}"#,
    r#"{"error":{"code":"613","fbtrace_id":7,"error_subcode":""}}"#,
];

fn graph_time(millis: i64) -> String {
    chrono::DateTime::from_timestamp_millis(millis)
        .unwrap()
        .format("%Y-%m-%dT%H:%M:%S+0000")
        .to_string()
}

fn shop() -> Value {
    json!({"id": SCOPED, "username": "shop"})
}

fn ann() -> Value {
    json!({"id": ANN, "username": "ann"})
}

/// A thread of Ann's with the account as Graph names it, and these messages: (mid, from, text), all of now.
fn thread(account: Value, messages: &[(&str, Value, &str)]) -> Value {
    let at = graph_time(now() - 1_000);
    let message = |(mid, from, text): &(&str, Value, &str)| json!({"id": mid, "created_time": at, "from": from, "message": text});
    let messages: Vec<Value> = messages.iter().map(message).collect();
    json!({"data": [{"id": "t1", "updated_time": at, "participants": {"data": [account, ann()]},
                     "messages": {"data": messages}}]})
}

async fn sync(lab: &Lab, times: usize) {
    let (status, answer) = lab.api().post(&format!("/v1/accounts/{IG}/sync"), json!({})).await;
    assert!(status < 300, "{answer}");
    published(lab, "command.done", times).await;
    lab.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_known_by_every_id_and_the_handle_that_graph_uses() {
    let graph = FakeGraph::start().await;
    graph.says("instagram/me", json!({"id": SCOPED, "user_id": IG, "username": "shop"}));
    let messages = [("mid.2", shop(), "yes, until six"), ("mid.1", ann(), "open today?")];
    graph.says("instagram/me/conversations", thread(shop(), &messages));
    let lab = lab(&graph, &[]).await;
    lab.add_account("instagram", "instagram", IG, "t", &[]).await;
    sync(&lab, 1).await;
    let row =
        |direction: &str, text: &str| (ANN.to_owned(), direction.to_owned(), Some(text.to_owned()));
    let expected = [row("inbound", "open today?"), row("outbound", "yes, until six")];
    assert_eq!(rows(&lab).await, expected);
    // Learnt by the sync, named by the check, and kept when the account is added again.
    lab.add_account("instagram", "instagram", IG, "t", &[]).await;
    let (_, out, err) = lab.hookline(&["accounts", "check", IG, "--output", "json"]).await;
    let findings: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
    let all = findings.as_array().unwrap();
    let identity = all.iter().find(|one| one["check"] == "identity").unwrap();
    let said = identity["text"].as_str().unwrap();
    assert!(said.contains(SCOPED) && said.contains("@shop"), "{identity}");
    let listed = lab.hookline_ok(&["accounts", "list", "--output", "json"]).await;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(
        (&listed[0]["aliases"], &listed[0]["handle"]),
        (&json!([SCOPED]), &json!("shop")),
        "{listed}"
    );
    // A webhook under that id is of this account, and the id is no contact.
    let echo = json!({"sender": {"id": SCOPED}, "recipient": {"id": ANN}, "timestamp": now(),
                      "message": {"mid": "mid.3", "text": "come in", "is_echo": true}});
    post(&lab, &body("instagram", &[tests::body::entry(SCOPED, now(), &[echo])])).await;
    done(&lab).await;
    assert_eq!(rows(&lab).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_a_comment_is_found_under_the_other_id() {
    let graph = FakeGraph::start().await;
    graph.says("instagram/me", json!({"id": SCOPED, "user_id": IG, "username": "shop"}));
    let lab = lab(&graph, &[]).await;
    lab.add_account("instagram", "instagram", IG, "t", &[]).await;
    for (n, from) in [(1, shop()), (2, json!({"username": "Shop"}))] {
        let comment = format!("1790000000000000{n}");
        let value =
            json!({"id": comment, "from": ann(), "text": "price?", "media": {"id": "1790001"}});
        post(&lab, &body("instagram", &[change(IG, now(), "comments", value)])).await;
        published(&lab, "comment.created", n).await;
        lab.settled().await;
        let replies = format!("instagram/{comment}/replies");
        graph.fails(&replies, 500, 1);
        let path = format!("/v1/comments/{comment}/replies");
        let (status, command) = lab.api().post(&path, json!({"text": "9 euros"})).await;
        assert!(status < 300, "{command}");
        eventually("it was tried", Duration::from_secs(20), async || {
            holds(graph.asked(&replies) > 0, || "not asked".to_owned())
        })
        .await;
        let found = json!({"id": format!("1800{n}"), "text": "9 euros", "timestamp": graph_time(now() + 1_000), "from": from});
        graph.says(&replies, json!({"data": [found]}));
        let ended = published(&lab, "command.done", n).await;
        assert_eq!(ended[n - 1]["data"]["command"], "comment_reply", "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_odd_member_of_an_error_does_not_hide_the_limit() {
    let graph = FakeGraph::start().await;
    let lab = lab(&graph, &[]).await;
    lab.add_account("instagram", "instagram", IG, "t", &[]).await;
    post(&lab, &instagram(text(IG, ANN, "mid.1", now(), "hello"))).await;
    done(&lab).await;
    let id = lab.api().conversations().await[0]["id"].as_str().unwrap().to_owned();
    let sends = "instagram/me/messages";
    let path = format!("/v1/conversations/{id}/messages");
    let mut n = 0;
    for status in [400, 200] {
        for limited in LIMITED {
            n += 1;
            graph.says_raw(sends, status, limited.to_owned());
            let before = graph.asked(sends);
            let (accepted, reply) = lab
                .api()
                .post_once(&path, &format!("k{n}"), json!({"text": format!("no {n}")}))
                .await;
            assert_eq!(accepted, 202, "{reply}");
            eventually("Meta was asked again", Duration::from_secs(20), async || {
                holds(graph.asked(sends) > before + 1, || "once".to_owned())
            })
            .await;
            graph.says(sends, json!({"recipient_id": ANN, "message_id": format!("mid.out.{n}")}));
            published(&lab, "reply.sent", n).await;
        }
    }
    // The same under 200 stops the account.
    graph.says_raw(sends, 200, r#"{"error":{"code":"190"}}"#.to_owned());
    lab.api().post_once(&path, "k9", json!({"text": "stopped"})).await;
    eventually("the account is stopped", Duration::from_secs(20), async || {
        let listed = lab.hookline_ok(&["accounts", "list", "--output", "json"]).await;
        holds(listed.contains("\"stopped\""), || listed.clone())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_copy_for_another_app_came_first_is_ours_and_answered_once() {
    let graph = FakeGraph::start().await;
    graph.says("instagram/me/messages", json!({"recipient_id": ANN, "message_id": "mid.out"}));
    let lab = lab(&graph, &[]).await;
    lab.add_account("instagram", "instagram", IG, "t", &["--auto-reply", "Thanks!"]).await;
    let at = now();
    let item = text(IG, ANN, "mid.1", at, "open today?");
    let copy = json!({"id": IG, "time": at, "standby": [item]});
    let whole = instagram(item.clone());
    post(&lab, &body("instagram", &[copy])).await;
    published(&lab, "message.received", 1).await;
    lab.settled().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(graph.asked("instagram/me/messages"), 0, "another app owns the thread");
    post(&lab, &whole).await;
    published(&lab, "reply.sent", 1).await;
    let again = json!({"id": IG, "time": at + 1, "standby": [item]});
    post(&lab, &body("instagram", &[again])).await;
    done(&lab).await;
    let other_owns: bool = sqlx::query_scalar("select other_owns from worker.conversations")
        .fetch_one(lab.pool())
        .await
        .unwrap();
    assert!(!other_owns);
    let received = published(&lab, "message.received", 2).await;
    assert_eq!(received[1]["data"].get("standby"), None);
    assert_eq!(graph.asked("instagram/me/messages"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_message_that_an_import_saw_first_is_answered_once_when_it_comes() {
    let graph = FakeGraph::start().await;
    graph.says("instagram/me/messages", json!({"recipient_id": ANN, "message_id": "mid.out"}));
    let messages = [("mid.1", ann(), "open today?")];
    graph.says("instagram/me/conversations", thread(json!({"id": IG}), &messages));
    let lab = lab(&graph, &[]).await;
    lab.add_account("instagram", "instagram", IG, "t", &["--auto-reply", "Thanks!"]).await;
    sync(&lab, 1).await;
    sync(&lab, 2).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(graph.asked("instagram/me/messages"), 0, "an import answers nobody");
    let at = now() - 800;
    post(&lab, &instagram(text(IG, ANN, "mid.1", at, "open today?"))).await;
    published(&lab, "reply.sent", 1).await;
    // Again, in another batch, and with more: another reading is no reason to answer once more.
    post(&lab, &instagram(text(IG, ANN, "mid.1", at, "open today?"))).await;
    let mut more = text(IG, ANN, "mid.1", at, "open today?");
    more["message"]["quick_reply"] = json!({"payload": "OPEN"});
    post(&lab, &instagram(more)).await;
    done(&lab).await;
    sync(&lab, 3).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(graph.asked("instagram/me/messages"), 1);
    let received = published(&lab, "message.received", 3).await;
    let last = &received[2]["data"];
    assert_eq!(
        (&last["quick_reply"]["payload"], &last["text"]),
        (&json!("OPEN"), &json!("open today?"))
    );
}
