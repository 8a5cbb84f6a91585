//! Sender-less items and real edits: evidence that names the message gives an author, nothing else does, whatever comes first.

use std::time::Duration;

use serde_json::{Value, json};
use tests::body::{IG, PAGE, body, echo, entry, instagram, now, senderless, text};
use tests::client::holds;
use tests::{Lab, eventually};

use super::graph::FakeGraph;
use super::{ANN, BOB, done, kinds, lab, lab_apart, of_kind, post, published, read_again, rows};

const ALIAS: &str = "25500000000000101";
/// Long enough that nothing is retried on schedule within a test.
const RARELY: [(&str, &str); 2] = [("RETRY_MIN", "120s"), ("RETRY_MAX", "120s")];

fn party(id: &str, username: &str) -> Value {
    json!({"id": id, "username": username})
}

fn returned_by_graph(mid: &str, from: Value, to: Value, text: &str) -> Value {
    json!({"id": mid, "created_time": "2026-11-21T10:00:00+0000", "from": from, "to": {"data": [to]}, "message": text})
}

fn edit(mid: &str, sender: Option<&str>, number: i64, text: &str, at: i64) -> Vec<u8> {
    let mut item =
        json!({"timestamp": at, "message_edit": {"mid": mid, "num_edit": number, "text": text}});
    if let Some(sender) = sender {
        item["sender"] = json!({"id": sender});
        item["recipient"] = json!({"id": if sender == IG { ANN } else { IG }});
    }
    instagram(item)
}

fn read(mid: &str, at: i64) -> Vec<u8> {
    instagram(
        json!({"sender": {"id": ANN}, "recipient": {"id": IG}, "timestamp": at, "read": {"mid": mid}}),
    )
}

async fn shop(graph: &FakeGraph, settings: &[(&str, &str)]) -> Lab {
    let lab = lab(graph, settings).await;
    open(&lab).await;
    lab
}

async fn open(lab: &Lab) {
    lab.add_account("instagram", "instagram", IG, "t", &["--alias", ALIAS, "--page-id", PAGE])
        .await;
}

/// Waits for these rows, whatever their order.
async fn shows(lab: &Lab, expected: &[(&str, &str, Option<&str>)]) {
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    eventually("the rows are as expected", Duration::from_secs(15), async || {
        let mut seen = rows(lab).await;
        seen.sort_unstable();
        let same = seen.len() == expected.len()
            && seen.iter().zip(&expected).all(|(seen, expected)| {
                (seen.0.as_str(), seen.1.as_str(), seen.2.as_deref()) == *expected
            });
        if same { Ok(()) } else { Err(format!("{seen:?}, wanted {expected:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_host_is_asked_after_a_server_error() {
    let graph = FakeGraph::start().await;
    let lab = shop(&graph, &[]).await;
    lab.add_account("messenger", "facebook", PAGE, "page-token", &[]).await;
    graph.fails("instagram/mid.1", 500, 1);
    graph.says(
        "facebook/mid.1",
        returned_by_graph("mid.1", party(ANN, "ann"), party(IG, "shop"), "over there"),
    );
    post(&lab, &instagram(senderless("mid.1", now()))).await;
    let received = published(&lab, "message.received", 1).await.remove(0);
    assert_eq!(received["data"]["sender_resolution"]["method"], "graph_message_other_host");
    assert_eq!(
        (&received["data"]["account_id"], &received["data"]["contact_id"]),
        (&json!(IG), &json!(ANN))
    );
    // A refusal is no server error: the other host is not asked.
    graph.fails("instagram/mid.2", 400, 9_000_001);
    post(&lab, &instagram(senderless("mid.2", now()))).await;
    published(&lab, "sender.unresolved", 1).await;
    assert_eq!(graph.asked("facebook/mid.2"), 0);
    done(&lab).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_the_account_by_any_name_wrote_outbound_and_short_ids_are_nobody() {
    let graph = FakeGraph::start().await;
    let lab = shop(&graph, &RARELY).await;
    let shop = || party(IG, "shop");
    graph.says(
        "instagram/mid.alias",
        returned_by_graph("mid.alias", party(ALIAS, "shop"), party(ANN, "ann"), "by us"),
    );
    graph.says(
        "instagram/mid.short",
        returned_by_graph("mid.short", party("12334", "short"), shop(), "by nobody"),
    );
    graph.says(
        "instagram/mid.word",
        returned_by_graph("mid.word", party("unknown_sender", "word"), shop(), "by nobody"),
    );
    graph.says(
        "instagram/mid.self",
        returned_by_graph("mid.self", party(IG, "shop"), party(ALIAS, "shop"), "by nobody"),
    );
    graph.says("instagram/me", json!({"id": IG, "username": "shop"}));
    // Half an emoji and NUL, as a cut text may hold.
    let broken = format!(
        r#"{{"id":"mid.broken","created_time":"2026-11-21T10:00:01+0000","from":{{"id":{ANN},"username":"ann"}},
            "to":{{"data":[{{"id":{IG},"username":"shop"}}]}},"message":"half \ud83d and \u0000"}}"#
    );
    graph.says_raw("instagram/mid.broken", 200, broken);
    for mid in ["mid.alias", "mid.short", "mid.word", "mid.self", "mid.broken"] {
        post(&lab, &instagram(senderless(mid, now()))).await;
    }
    published(&lab, "sender.unresolved", 3).await;
    shows(
        &lab,
        &[(ANN, "outbound", Some("by us")), (ANN, "inbound", Some("half \u{fffd} and \u{fffd}"))],
    )
    .await;
    let events = done(&lab).await;
    assert!(
        of_kind(&events, "sender.unresolved")
            .iter()
            .all(|event| event["data"].get("contact_id").is_none())
    );
    let sent = of_kind(&events, "message.sent").remove(0);
    assert_eq!(sent["data"]["sender_resolution"]["method"], "graph_message");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_conversation_is_recorded_and_never_used() {
    let graph = FakeGraph::start().await;
    let lab = shop(&graph, &[]).await;
    post(
        &lab,
        &instagram(text(IG, ANN, "mid.known", now() - 9_000, "the only one who ever wrote")),
    )
    .await;
    let listed = json!({"data": [{"id": "t_only", "updated_time": "2026-11-21T10:00:00+0000",
        "participants": {"data": [party(IG, "shop"), party(ANN, "ann")]},
        "messages": {"data": [returned_by_graph("mid.known", party(ANN, "ann"), party(IG, "shop"), "the only one who ever wrote")]}}]});
    graph.says("instagram/me/conversations", listed.clone());
    post(&lab, &instagram(senderless("mid.1", now()))).await;
    let unresolved = published(&lab, "sender.unresolved", 1).await.remove(0);
    assert!(unresolved["data"].get("contact_id").is_none(), "{unresolved}");
    let guesses: Value =
        sqlx::query_scalar("select guesses from worker.waiting where message_id = 'mid.1'")
            .fetch_one(lab.pool())
            .await
            .unwrap();
    assert_eq!(guesses, json!({"newest_conversation": "t_only", "only_conversation": true}));
    // Later the listing holds this very message.
    let mut listed = listed;
    let found = returned_by_graph("mid.1", party(ANN, "ann"), party(IG, "shop"), "found");
    listed["data"][0]["messages"]["data"].as_array_mut().unwrap().insert(0, found);
    graph.says("instagram/me/conversations", listed);
    let received = published(&lab, "message.received", 2).await;
    let resolution = &received[1]["data"]["sender_resolution"];
    assert_eq!(resolution["method"], "conversation_scan");
    assert_eq!(resolution["evidence"]["guesses_not_used"]["newest_conversation"], "t_only");
    published(&lab, "fact.withdrawn", 1).await;
    done(&lab).await;
}

/// A receipt names the message and says that the account wrote it, whether it comes before the hint or after.
#[tokio::test(flavor = "multi_thread")]
async fn what_names_the_message_reveals_its_sender_in_either_order() {
    let graph = FakeGraph::start().await;
    let lab = shop(&graph, &RARELY).await;
    let at = now();
    post(&lab, &read("mid.before", at)).await;
    post(&lab, &instagram(senderless("mid.before", at - 500))).await;
    post(&lab, &instagram(senderless("mid.after", at - 400))).await;
    published(&lab, "sender.unresolved", 1).await;
    post(&lab, &read("mid.after", at + 10)).await;
    let sent = published(&lab, "message.sent", 2).await;
    for event in &sent {
        assert_eq!(event["data"]["contact_id"], ANN);
        assert_eq!(
            (&event["data"]["sender_resolution"]["method"], &event["data"]["content_missing"]),
            (&json!("known_message"), &json!(true))
        );
    }
    published(&lab, "fact.withdrawn", 1).await;
    // A reaction names the conversation, not who wrote what it is on.
    post(&lab, &instagram(senderless("mid.third", at))).await;
    published(&lab, "sender.unresolved", 2).await;
    let reaction = json!({"sender": {"id": BOB}, "recipient": {"id": IG}, "timestamp": at,
                          "reaction": {"mid": "mid.third", "action": "react", "reaction": "love", "emoji": "❤"}});
    post(&lab, &instagram(reaction)).await;
    let unresolved = published(&lab, "sender.unresolved", 3).await;
    assert_eq!(
        (&unresolved[2]["id"], &unresolved[2]["data"]["origin"]["revision"]),
        (&unresolved[1]["id"], &json!(1))
    );
    assert_eq!(unresolved[2]["data"]["contact_id"], BOB);
    // And the hint once more, now with its sender.
    let mut named = senderless("mid.third", at);
    named["sender"] = json!({"id": BOB});
    named["recipient"] = json!({"id": IG});
    post(&lab, &instagram(named)).await;
    let received = published(&lab, "message.received", 1).await.remove(0);
    assert_eq!(
        (&received["data"]["contact_id"], &received["data"]["content_missing"]),
        (&json!(BOB), &json!(true))
    );
    published(&lab, "fact.withdrawn", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_edit_of_an_unknown_message_waits_and_looks_for_it() {
    let graph = FakeGraph::start().await;
    let mut lab = lab_apart(&graph, &[("TWIN_GRACE", "1500ms"), RARELY[0], RARELY[1]]).await;
    open(&lab).await;
    graph.says(
        "instagram/mid.found",
        returned_by_graph("mid.found", party(ANN, "ann"), party(IG, "shop"), "second words"),
    );
    let at = now();
    post(&lab, &edit("mid.found", Some(ANN), 1, "second words", at)).await;
    post(&lab, &edit("mid.lost", Some(BOB), 1, "nobody has the first words", at)).await;
    post(&lab, &edit("mid.late", Some(IG), 1, "ours, edited", at)).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(lab.events().await.is_empty(), "nothing is published during the grace");
    // This one's message comes by itself, in time; the edit follows it.
    post(&lab, &instagram(echo(IG, ANN, "mid.late", at - 2_000, "ours"))).await;
    let edited = published(&lab, "message.edited", 3).await;
    assert!(
        edited.iter().all(|event| event["data"]["origin"]["via"] == "webhook"
            && event["data"].get("sender_resolution").is_none()),
        "{edited:?}"
    );
    shows(&lab, &[(ANN, "inbound", Some("second words")), (ANN, "outbound", Some("ours, edited"))])
        .await;
    let events = done(&lab).await;
    assert_eq!(of_kind(&events, "message.received").len(), 1);
    assert!(of_kind(&events, "sender.unresolved").is_empty());
    assert_eq!(graph.asked("instagram/mid.late"), 0, "nothing was to be looked for");
    // The lost one comes at last: one row with the words of the edit.
    post(&lab, &instagram(text(IG, BOB, "mid.lost", at - 3_000, "the first words"))).await;
    published(&lab, "message.received", 2).await;
    eventually("nothing waits", Duration::from_secs(10), async || {
        let open: i64 =
            sqlx::query_scalar("select count(*) from worker.waiting where state <> 'resolved'")
                .fetch_one(lab.pool())
                .await
                .unwrap();
        if open == 0 { Ok(()) } else { Err(open.to_string()) }
    })
    .await;
    // Everything again changes nothing, and an edit of what is known does not wait.
    for body in [
        edit("mid.found", Some(ANN), 1, "second words", at),
        edit("mid.lost", Some(BOB), 1, "nobody has the first words", at),
    ] {
        post(&lab, &body).await;
    }
    read_again(&mut lab).await;
    let count = done(&lab).await.len();
    post(&lab, &edit("mid.lost", Some(BOB), 2, "third words", at + 1_000)).await;
    published(&lab, "message.edited", 4).await;
    let events = done(&lab).await;
    assert_eq!(events.len(), count + 1, "{:?}", kinds(&events));
    let rows = rows(&lab).await;
    assert!(
        rows.contains(&(BOB.to_owned(), "inbound".to_owned(), Some("third words".to_owned()))),
        "{rows:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_without_a_sender_gets_that_of_its_message_or_waits_visibly() {
    let graph = FakeGraph::start().await;
    let lab = shop(&graph, &RARELY).await;
    let at = now();
    post(&lab, &instagram(text(IG, ANN, "mid.1", at - 2_000, "first words"))).await;
    published(&lab, "message.received", 1).await;
    post(&lab, &edit("mid.1", None, 1, "second words", at)).await;
    let edited = published(&lab, "message.edited", 1).await.remove(0);
    assert_eq!(edited["data"]["contact_id"], ANN);
    assert_eq!(edited["data"]["sender_resolution"]["method"], "known_message");
    post(&lab, &edit("mid.2", None, 1, "whose?", at)).await;
    let unresolved = published(&lab, "sender.unresolved", 1).await.remove(0);
    assert_eq!(unresolved["data"]["edit_number"], 1);
    assert!(!unresolved.to_string().contains("whose?"));
    // The second edit of the same message names its author: so does that of the first.
    post(&lab, &edit("mid.2", Some(BOB), 2, "mine!", at + 500)).await;
    published(&lab, "message.edited", 3).await;
    published(&lab, "fact.withdrawn", 1).await;
    done(&lab).await;
}

/// What names the author while a look-up is under way is not lost: the look-up ends without it, and the item is looked at again at once.
#[tokio::test(flavor = "multi_thread")]
async fn an_author_named_during_a_look_up_is_used_after_it() {
    let graph = FakeGraph::start().await;
    let lab = shop(&graph, &RARELY).await;
    graph.hangs("instagram/mid.2");
    let at = now();
    post(&lab, &edit("mid.2", None, 1, "whose?", at)).await;
    eventually("the look-up is under way", Duration::from_secs(20), async || {
        holds(graph.asked_below("instagram/mid.2") > 0, || "not asked".to_owned())
    })
    .await;
    post(&lab, &edit("mid.2", Some(BOB), 2, "mine!", at + 500)).await;
    let edited = published(&lab, "message.edited", 2).await;
    assert!(edited.iter().all(|edit| edit["data"]["contact_id"] == BOB), "{edited:?}");
    done(&lab).await;
}

/// Senders and profiles of one account are looked for although Graph answers nothing about another.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_graph_of_one_account_holds_up_no_other() {
    let graph = FakeGraph::start().await;
    let lab = shop(&graph, &[]).await;
    let slow = "17841400000000999";
    lab.add_account("instagram", "instagram", slow, "t", &[]).await;
    graph.hangs("instagram/mid.slow");
    graph.hangs("instagram/99");
    let at = now();
    let hints: Vec<Value> = (0..100).map(|n| senderless(&format!("mid.slow.{n}"), at)).collect();
    let people: Vec<Value> = (0..100)
        .map(|n| text(slow, &format!("99000000000{n:05}"), &format!("mid.{n}"), at, "hi"))
        .collect();
    post(&lab, &body("instagram", &[entry(slow, at, &hints), entry(slow, at, &people)])).await;
    eventually("the slow ones are under way", Duration::from_secs(10), async || {
        let asked = graph.asked_below("instagram/mid.slow").min(graph.asked_below("instagram/99"));
        if asked > 0 { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    // A worker that died would not keep them from others for long.
    let claimed: i64 = sqlx::query_scalar(
        "select count(*) from worker.waiting where claimed_until > clock_timestamp() + interval '30 seconds'",
    )
    .fetch_one(lab.pool())
    .await
    .unwrap();
    assert_eq!(claimed, 0);
    let found = returned_by_graph("mid.quick", party(ANN, "ann"), party(IG, "shop"), "quick");
    graph.says("instagram/mid.quick", found);
    graph.says(&format!("instagram/{ANN}"), json!({"name": "Ann Berg", "id": ANN}));
    post(&lab, &instagram(senderless("mid.quick", at))).await;
    eventually("Ann is known by name", Duration::from_secs(6), async || {
        let conversations = lab.api().conversations().await;
        let named = |one: &Value| one["contact"]["name"] == "Ann Berg";
        if conversations.iter().any(named) { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
}
