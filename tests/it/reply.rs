//! Replies: at most one effect, always an outcome, one row with its echo.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::{AccountHandle, CallKind, Fault, FaultRule};
use tests::body::IG;
use tests::crowd::{connect_both, reaches, writes};
use tests::{Lab, Role, eventually};

async fn lab() -> (Lab, AccountHandle, AccountHandle) {
    with_meta(Lab::with_all_roles().await).await
}

async fn with_meta(lab: Lab) -> (Lab, AccountHandle, AccountHandle) {
    let (instagram, page) = connect_both(&lab).await;
    (lab, instagram, page)
}

async fn outcome(lab: &Lab, reply: &str, within: Duration) -> Value {
    reaches(lab, reply, &["sent", "failed", "partial", "unknown"], within).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_is_sent_once_and_makes_one_row_with_its_echo() {
    let (lab, instagram, page) = lab().await;
    let api = lab.api();
    for account in [&instagram, &page] {
        let (person, id) = writes(&lab, account, "Ann Berg").await;
        let path = format!("/v1/conversations/{id}/messages");
        let (status, sent) = api
            .post_once(&format!("{path}?wait=10s"), "key-1", json!({"text": "Yes, three left."}))
            .await;
        assert_eq!((status, &sent["status"]), (200, &json!("sent")), "{sent}");
        let (status, again) = api
            .post_once(&format!("{path}?wait=10s"), "key-1", json!({"text": "Yes, three left."}))
            .await;
        assert_eq!((status, &again["message_id"]), (200, &sent["message_id"]), "{again}");
        assert!(lab.simulator.settled(Duration::from_secs(10)).await);
        lab.settled().await;
        assert_eq!(person.texts_received(), ["Yes, three left."]);
        let messages = api.messages(&id).await;
        assert_eq!(messages.len(), 2, "{messages:?}");
        assert_eq!(messages[0]["message_id"], sent["message_id"]);
        assert_eq!(
            (&messages[0]["direction"], &messages[0]["sent_by"], &messages[0]["reply_id"]),
            (&json!("outbound"), &json!("api"), &sent["reply_id"])
        );
        let (_, conversation) = api.get(&format!("/v1/conversations/{id}")).await;
        assert_eq!(conversation["unread_count"], 1, "replying does not clear it");
        let (status, _) = api.post(&format!("/v1/conversations/{id}/read"), json!({})).await;
        assert!((200..300).contains(&status));
        let (_, conversation) = api.get(&format!("/v1/conversations/{id}")).await;
        assert_eq!(conversation["unread_count"], 0, "a caller reads its own write");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_after_delivery_is_found_and_not_repeated() {
    let (lab, instagram, page) = lab().await;
    let api = lab.api();
    for account in [&instagram, &page] {
        for (n, fault) in [Fault::TimeoutAfter, Fault::ServerErrorAfter, Fault::ResetAfter]
            .into_iter()
            .enumerate()
        {
            let (person, id) = writes(&lab, account, &format!("Person {n}")).await;
            lab.simulator.fault(FaultRule::new(fault).on(CallKind::Send).of(account.id()).times(1));
            let (status, queued) = api
                .post_once(
                    &format!("/v1/conversations/{id}/messages"),
                    &format!("k{n}"),
                    json!({"text": "only once"}),
                )
                .await;
            assert_eq!(status, 202, "{queued}");
            let reply =
                outcome(&lab, queued["reply_id"].as_str().unwrap(), Duration::from_secs(40)).await;
            assert_eq!(reply["status"], "sent", "{fault:?}: {reply}");
            assert_eq!(person.texts_received(), ["only once"], "{fault:?}");
        }
    }
}

async fn echo_is_claimed(lab: &Lab, mid: &str) {
    eventually("the echo is compared", Duration::from_secs(10), async || {
        let claimed = "select claimed_by is not null from worker.echoes where item_id = $1";
        let claimed: bool =
            sqlx::query_scalar(claimed).bind(mid).fetch_one(lab.pool()).await.unwrap();
        if claimed { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
}

/// The echo of a message that was sent is there, and is to be compared after this long.
async fn echo_waits(lab: &Lab, mid: &str, after: &str) {
    let seen = "insert into worker.echoes (channel, account_id, item_id, kind, peer, content, time, examine_at)
                select 'instagram', $1, message_id, 'message', peer, content, sent_at, now() + $3::text::interval
                  from worker.parts where message_id = $2";
    let done = sqlx::query(seen).bind(IG).bind(mid).bind(after).execute(lab.pool()).await.unwrap();
    assert_eq!(done.rows_affected(), 1);
}

/// The echo of an answered reply is there and not yet compared with the ledger when an equal reply to the same person looks for its own
/// effect: the message has its part already.
#[tokio::test(flavor = "multi_thread")]
async fn an_echo_of_an_answered_twin_is_not_taken_by_the_next_reply() {
    let (lab, instagram, _) = lab().await;
    let api = lab.api();
    lab.simulator.set_policy(|policy| policy.echoes = false).unwrap();
    let (person, id) = writes(&lab, &instagram, "Ann Berg").await;
    let path = format!("/v1/conversations/{id}/messages");
    let (_, first) =
        api.post_once(&format!("{path}?wait=10s"), "k1", json!({"text": "on its way"})).await;
    assert_eq!(first["status"], "sent", "{first}");
    let mid = first["message_id"].as_str().unwrap();
    echo_waits(&lab, mid, "1 hour").await;
    // Whoever loses an answer has the person's echoes compared; not this one, which is locked.
    let mut held = lab.pool().begin().await.unwrap();
    let lock = "select from worker.echoes where item_id = $1 for update";
    sqlx::query(lock).bind(mid).execute(&mut *held).await.unwrap();
    lab.simulator.fault(FaultRule::new(Fault::ResetAfter).on(CallKind::Send).times(1));
    let (_, second) = api.post_once(&path, "k2", json!({"text": "on its way"})).await;
    eventually("the second answer is lost", Duration::from_secs(20), async || {
        let lost = "select count(*) from worker.parts where lost";
        let lost: i64 = sqlx::query_scalar(lost).fetch_one(lab.pool()).await.unwrap();
        if lost == 1 { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    held.rollback().await.unwrap();
    let second = outcome(&lab, second["reply_id"].as_str().unwrap(), Duration::from_secs(40)).await;
    let mids: Vec<String> = person.received().into_iter().map(|message| message.mid).collect();
    assert_eq!(mids.len(), 2);
    assert_eq!((&second["status"], &second["message_id"]), (&json!("sent"), &json!(mids[1])));
}

/// A worker that was frozen in the middle of writing has locked a command. Its echo waits, and nothing else does.
#[tokio::test(flavor = "multi_thread")]
async fn an_echo_of_a_locked_command_holds_up_no_other_reply() {
    let (lab, instagram, _) = lab().await;
    let api = lab.api();
    lab.simulator.set_policy(|policy| policy.echoes = false).unwrap();
    let (_, id) = writes(&lab, &instagram, "Ann Berg").await;
    let path = format!("/v1/conversations/{id}/messages?wait=10s");
    let (_, first) = api.post_once(&path, "k1", json!({"text": "one"})).await;
    assert_eq!(first["status"], "sent", "{first}");
    let mut held = lab.pool().begin().await.unwrap();
    let lock = "select from worker.commands where command_id = $1 for update";
    let locked = sqlx::query(lock).bind(first["reply_id"].as_str()).execute(&mut *held).await;
    assert_eq!(locked.unwrap().rows_affected(), 1);
    let mid = first["message_id"].as_str().unwrap();
    echo_waits(&lab, mid, "0 s").await;
    tokio::time::sleep(Duration::from_secs(1)).await; // the worker has come to it
    let (_, second) = api.post_once(&path, "k2", json!({"text": "two"})).await;
    assert_eq!(second["status"], "sent", "{second}");
    held.rollback().await.unwrap();
    echo_is_claimed(&lab, mid).await;
}

/// One echo that this version cannot read, before all others, holds up none of them.
#[tokio::test(flavor = "multi_thread")]
async fn an_echo_that_cannot_be_read_holds_up_no_other() {
    let (lab, instagram, _) = lab().await;
    lab.simulator.set_policy(|policy| policy.echoes = false).unwrap();
    let (_, id) = writes(&lab, &instagram, "Ann Berg").await;
    let path = format!("/v1/conversations/{id}/messages?wait=10s");
    let (_, sent) = lab.api().post_once(&path, "k1", json!({"text": "one"})).await;
    assert_eq!(sent["status"], "sent", "{sent}");
    let broken = "insert into worker.echoes (channel, account_id, item_id, kind, peer, content, time)
                  values ('instagram', $1, 'mid.broken', 'message', 'somebody', '\\x00', now() - interval '1 hour')";
    sqlx::query(broken).bind(IG).execute(lab.pool()).await.unwrap();
    let mid = sent["message_id"].as_str().unwrap();
    echo_waits(&lab, mid, "0 s").await;
    echo_is_claimed(&lab, mid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_published_and_not_repeated() {
    let (lab, instagram, _) = lab().await;
    let api = lab.api();
    let (person, id) = writes(&lab, &instagram, "Ann Berg").await;
    person.blocks(true);
    let path = format!("/v1/conversations/{id}/messages");
    let (_, queued) = api.post_once(&path, "k", json!({"text": "are you there?"})).await;
    let reply = outcome(&lab, queued["reply_id"].as_str().unwrap(), Duration::from_secs(20)).await;
    assert_eq!(reply["status"], "failed", "{reply}");
    assert!(reply["error"]["class"].is_string() && reply["error"]["code"].is_string(), "{reply}");
    assert_eq!(lab.simulator.count(CallKind::Send), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_in_the_middle_of_sending_does_not_send_twice() {
    let (mut lab, instagram, _) = with_meta(Lab::with_roles_apart().await).await;
    let (person, id) = writes(&lab, &instagram, "Ann Berg").await;
    // Meta takes it and never answers; the worker dies while it waits.
    lab.simulator.fault(FaultRule::new(Fault::TimeoutAfter).on(CallKind::Send).times(1));
    let api = lab.api();
    let (_, queued) = api
        .post_once(&format!("/v1/conversations/{id}/messages"), "k", json!({"text": "just once"}))
        .await;
    eventually("Meta has it", Duration::from_secs(10), async || {
        if person.texts_received().is_empty() { Err("not yet".to_owned()) } else { Ok(()) }
    })
    .await;
    lab.kill9(Role::Worker).await;
    lab.run(Role::Worker).await;
    let reply = outcome(&lab, queued["reply_id"].as_str().unwrap(), Duration::from_secs(60)).await;
    assert_eq!(reply["status"], "sent", "{reply}");
    assert_eq!(person.texts_received(), ["just once"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn long_text_arrives_in_order_as_one_reply() {
    let (lab, instagram, _) = lab().await;
    let (person, id) = writes(&lab, &instagram, "Ann Berg").await;
    let text: String =
        (0..60).map(|n| format!("Zeile {n} über Lampen, größer und schöner. ")).collect();
    let api = lab.api();
    let path = format!("/v1/conversations/{id}/messages?wait=20s");
    let (status, sent) = api.post_once(&path, "long", json!({"text": text})).await;
    assert_eq!((status, &sent["status"]), (200, &json!("sent")), "{sent}");
    let parts = person.texts_received();
    assert!(parts.len() > 2 && parts.iter().all(|part| part.len() <= 1000), "{parts:?}");
    let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(squeeze(&parts.join(" ")), squeeze(&text));
}

/// Commands come from any client of the broker. One that no database can hold is refused, and holds up nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_cannot_be_kept_stops_no_other() {
    let (lab, instagram, _) = lab().await;
    let (person, id) = writes(&lab, &instagram, "Ann Berg").await;
    let js = lab.jetstream().await;
    let long = "9".repeat(3_000);
    let bad = [
        ("nul", json!({"text": "a\u{0}b"})),
        ("long", json!({"text": "hi", "caused_by": long})),
        ("huge", json!({"text": "hi".repeat(1_000_000)})),
    ];
    for (name, data) in &bad {
        let command = json!({
            "id": name, "channel": "instagram", "account_id": IG, "contact_id": person.id(), "command": "reply",
            "requested_by": {"kind": "automation", "name": "tester"}, "requested_at": chrono::Utc::now().to_rfc3339(),
            "data": data,
        });
        let subject = format!("inbox.v1.command.00.instagram.{IG}.reply");
        js.publish(subject, command.to_string().into()).await.unwrap().await.unwrap();
    }
    let (status, sent) = lab
        .api()
        .post_once(
            &format!("/v1/conversations/{id}/messages?wait=10s"),
            "key-1",
            json!({"text": "Still here."}),
        )
        .await;
    assert_eq!((status, &sent["status"]), (200, &json!("sent")), "{sent}");
    for (name, _) in &bad {
        let ended = eventually("its end is published", Duration::from_secs(20), async || {
            let mut events = lab.events().await;
            events.retain(|event| event["data"]["command_id"] == *name);
            if events.len() == 1 {
                Ok(events.remove(0))
            } else {
                Err(format!("{name}: {events:?}"))
            }
        })
        .await;
        assert_eq!(ended["type"], "hookline.command.failed.v1");
        assert_eq!(ended["data"]["error"]["code"], "invalid");
    }
    assert_eq!(person.texts_received(), ["Still here."]);
}
