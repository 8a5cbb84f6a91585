//! What operators do to sending: parked sends are settled by people, the kill switch holds and lets go.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use simulator::{AccountHandle, CallKind, Fault, FaultRule, Person};
use tests::body::{IG, PAGE};
use tests::crowd::{connect_both, give_up, reaches, writes};
use tests::{Lab, eventually};

async fn lab() -> (Lab, AccountHandle, AccountHandle) {
    let lab = Lab::with_all_roles().await;
    let (instagram, page) = connect_both(&lab).await;
    (lab, instagram, page)
}

/// Queues a reply; its id.
async fn queue(lab: &Lab, conversation: &str, key: &str, text: &str) -> String {
    let path = format!("/v1/conversations/{conversation}/messages");
    let (status, queued) = lab.api().post_once(&path, key, json!({"text": text})).await;
    assert_eq!(status, 202, "{queued}");
    queued["reply_id"].as_str().unwrap().to_owned()
}

/// A verb that must end with this code; its JSON.
async fn verb(lab: &Lab, arguments: &[&str], expected: i32) -> Value {
    let mut all = arguments.to_vec();
    all.extend_from_slice(&["--output", "json"]);
    let (code, out, err) = lab.hookline(&all).await;
    assert_eq!(code, expected, "{arguments:?}: {out}{err}");
    if expected == 0 { serde_json::from_str(&out).unwrap() } else { Value::String(err) }
}

/// A reply whose outcome nobody can know: its answer is lost and the thread cannot be read. `delivered`: Meta took it all the same.
async fn parked(
    lab: &Lab,
    account: &AccountHandle,
    conversation: &str,
    key: &str,
    text: &str,
    delivered: bool,
) -> String {
    let fault = if delivered { Fault::ResetAfter } else { Fault::ResetBefore };
    let unreadable =
        || FaultRule::new(Fault::NoPermission).on(CallKind::Conversations).of(account.id());
    lab.simulator.clear_faults();
    lab.simulator.fault(FaultRule::new(fault).on(CallKind::Send).of(account.id()).times(1));
    lab.simulator.fault(unreadable());
    let reply = queue(lab, conversation, key, text).await;
    give_up(lab, &reply).await;
    reaches(lab, &reply, &["unknown"], Duration::from_secs(40)).await;
    lab.simulator.clear_faults();
    reply
}

/// The kinds of the outcome events of a command, in order.
async fn outcomes(lab: &Lab, reply: &str) -> Vec<String> {
    let of = |event: &Value| event["data"]["reply_id"] == reply;
    let kind = |event: Value| event["type"].as_str().unwrap().to_owned();
    lab.events().await.into_iter().filter(of).map(kind).collect()
}

async fn has_outcome(lab: &Lab, reply: &str, kind: &str) {
    eventually(&format!("{kind} is published"), Duration::from_secs(15), async || {
        let found = outcomes(lab, reply).await;
        if found.last().is_some_and(|last| last == kind) {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    })
    .await;
}

/// Meta reports the last message the person received.
async fn echo(lab: &Lab, account: &AccountHandle, person: &Person) {
    let message = person.received().pop().unwrap();
    let (at, text) = (message.at.timestamp_millis(), message.text.as_deref().unwrap());
    let mut item = tests::body::echo(account.id(), person.id(), &message.mid, at, text);
    let (object, path) = if account.id() == IG {
        ("instagram", "/webhooks/instagram")
    } else {
        item["message"]["app_id"] = json!(424_242);
        item["message"]["metadata"] = json!(message.metadata);
        ("page", "/webhooks/facebook")
    };
    let body = tests::body::body(object, &[tests::body::entry(account.id(), at, &[item])]);
    lab.meta().deliver(path, &body).await;
}

fn echoes(lab: &Lab, wanted: bool) {
    lab.simulator.set_policy(|policy| policy.echoes = wanted).unwrap();
}

/// The account's own messages in the list.
async fn outbound(lab: &Lab, conversation: &str) -> Vec<Value> {
    let mut rows = lab.api().messages(conversation).await;
    rows.retain(|row| row["direction"] == "outbound");
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_send_is_listed_and_settled_as_not_sent() {
    let (lab, instagram, _) = lab().await;
    let (person, id) = writes(&lab, &instagram, "Ann Berg").await;
    let lost = parked(&lab, &instagram, &id, "k1", "never arrived", false).await;
    has_outcome(&lab, &lost, "hookline.reply.unknown.v1").await;
    let rows = verb(&lab, &["replies", "list", "--account", IG], 0).await;
    assert_eq!(rows[0]["id"], lost.as_str(), "{rows}");
    assert_eq!((&rows[0]["contact_id"], &rows[0]["part"]), (&json!(person.id()), &json!(1)));
    assert!(rows[0].get("text").is_none(), "words only when asked for: {rows}");
    let rows = verb(&lab, &["replies", "list", "--text"], 0).await;
    assert_eq!(rows[0]["text"], "never arrived");
    let other = format!("messenger/{PAGE}");
    assert_eq!(verb(&lab, &["replies", "list", "--account", &other], 0).await, json!([]));
    let (code, table, _) = lab.hookline(&["replies", "list"]).await;
    assert!(code == 0 && table.contains(&lost) && !table.contains("arrived"), "{table}");
    let status = verb(&lab, &["status"], 0).await;
    assert_eq!(status["unknown_sends"], 1, "{status}");
    assert!(status["oldest_unknown_seconds"].is_u64(), "{status}");

    // Replies of people go on past it.
    let (_, next) = lab
        .api()
        .post_once(
            &format!("/v1/conversations/{id}/messages?wait=10s"),
            "k2",
            json!({"text": "next"}),
        )
        .await;
    assert_eq!(next["status"], "sent", "{next}");

    let dry = verb(&lab, &["replies", "resolve", &lost, "--as", "not-sent", "--dry-run"], 0).await;
    assert_eq!((&dry["state"], &dry["dry_run"]), (&json!("failed"), &json!(true)));
    reaches(&lab, &lost, &["unknown"], Duration::from_secs(2)).await;
    verb(&lab, &["replies", "resolve", &lost, "--as", "not-sent", "--reason", "looked"], 0).await;
    let acts = verb(&lab, &["audit"], 0).await;
    assert_eq!(
        (
            &acts[0]["verb"],
            &acts[0]["reason"],
            &acts[0]["arguments"]["id"],
            &acts[0]["result"]["state"]
        ),
        (&json!("replies resolve"), &json!("looked"), &json!(lost), &json!("failed"))
    );
    let failed = reaches(&lab, &lost, &["failed"], Duration::from_secs(5)).await;
    assert_eq!(failed["error"]["code"], "not_sent", "{failed}");
    has_outcome(&lab, &lost, "hookline.reply.failed.v1").await;
    let twice = verb(&lab, &["replies", "resolve", &lost, "--as", "sent"], 3).await;
    assert!(twice.as_str().unwrap().contains("not unknown"), "{twice}");
    verb(&lab, &["replies", "resolve", "rpl_none", "--as", "sent"], 2).await;
    verb(&lab, &["replies", "resolve", &lost, "--as", "perhaps"], 2).await;
    verb(&lab, &["replies", "resolve", &lost, "--as", "not-sent", "--message-id", "m"], 2).await;
    verb(&lab, &["replies", "list", "--account", "telegram/1"], 2).await;
    let away = [("DATABASE_URL", "postgres://hookline@127.0.0.1:9/hookline")];
    let (code, _, err) = lab.hookline_with(&["replies", "list"], &away).await;
    assert!(code == 4 && err.contains("DATABASE_URL"), "{code} {err}");
    assert_eq!(person.texts_received(), ["next"], "what was not sent is not sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_echo_overrules_who_said_that_it_was_not_sent() {
    let (lab, instagram, page) = lab().await;
    echoes(&lab, false);
    for account in [&instagram, &page] {
        let (person, id) = writes(&lab, account, "Bo Holm").await;
        let wrong = parked(&lab, account, &id, "k", "arrived all the same", true).await;
        verb(&lab, &["replies", "resolve", &wrong, "--as", "not-sent"], 0).await;
        has_outcome(&lab, &wrong, "hookline.reply.failed.v1").await;
        echo(&lab, account, &person).await;
        let sent = reaches(&lab, &wrong, &["sent"], Duration::from_secs(20)).await;
        assert_eq!(sent["message_id"], person.received()[0].mid.as_str(), "{sent}");
        assert_eq!(sent["error"], Value::Null, "{sent}");
        has_outcome(&lab, &wrong, "hookline.reply.sent.v1").await;
        lab.settled().await;
        let rows = outbound(&lab, &id).await;
        assert_eq!(rows.len(), 1, "one row: {rows:?}");
        assert_eq!((&rows[0]["reply_id"], &rows[0]["sent_by"]), (&json!(wrong), &json!("api")));
        assert_eq!(person.texts_received(), ["arrived all the same"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_settled_as_sent_is_one_row_with_its_echo() {
    let (lab, instagram, page) = lab().await;
    echoes(&lab, false);
    for account in [&instagram, &page] {
        let (person, id) = writes(&lab, account, "Cy Lund").await;
        // Without its id: the echo brings it.
        let first = parked(&lab, account, &id, "k1", "surely there", true).await;
        verb(&lab, &["replies", "resolve", &first, "--as", "sent"], 0).await;
        let sent = reaches(&lab, &first, &["sent"], Duration::from_secs(5)).await;
        assert_eq!(sent["message_id"], Value::Null, "{sent}");
        has_outcome(&lab, &first, "hookline.reply.sent.v1").await;
        echo(&lab, account, &person).await;
        let mid = person.received()[0].mid.clone();
        eventually("the reply has its message", Duration::from_secs(20), async || {
            let (_, reply) = lab.api().get(&format!("/v1/replies/{first}")).await;
            if reply["message_id"] == mid.as_str() { Ok(()) } else { Err(reply.to_string()) }
        })
        .await;
        // As a message that is another reply's: refused. As its own: one row with the echo that comes then.
        let second = parked(&lab, account, &id, "k2", "another", true).await;
        let stolen = ["replies", "resolve", &second, "--as", "sent", "--message-id", &mid];
        let refused = verb(&lab, &stolen, 3).await;
        assert!(refused.as_str().unwrap().contains(&first), "{refused}");
        let own = person.received()[1].mid.clone();
        verb(&lab, &["replies", "resolve", &second, "--as", "sent", "--message-id", &own], 0).await;
        let sent = reaches(&lab, &second, &["sent"], Duration::from_secs(5)).await;
        assert_eq!(sent["message_id"], own.as_str(), "{sent}");
        echo(&lab, account, &person).await;
        eventually("two rows of the api", Duration::from_secs(20), async || {
            let rows = outbound(&lab, &id).await;
            let ours = rows.iter().filter(|row| row["sent_by"] == "api").count();
            if rows.len() == 2 && ours == 2 { Ok(()) } else { Err(format!("{rows:?}")) }
        })
        .await;
        assert_eq!(person.texts_received(), ["surely there", "another"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_a_text_is_not_sent_behind_a_parked_part() {
    let (lab, instagram, _) = lab().await;
    echoes(&lab, false);
    let (person, id) = writes(&lab, &instagram, "Dee Falk").await;
    let text = format!("{} {}", "a".repeat(990), "b".repeat(500));
    let reply = parked(&lab, &instagram, &id, "k", &text, true).await;
    let (_, shown) = lab.api().get(&format!("/v1/replies/{reply}")).await;
    let states =
        |reply: &Value| [0, 1].map(|n| reply["parts"][n]["state"].as_str().unwrap().to_owned());
    assert_eq!(states(&shown), ["unknown", "skipped"], "{shown}");
    echo(&lab, &instagram, &person).await;
    let partial = reaches(&lab, &reply, &["partial"], Duration::from_secs(20)).await;
    assert_eq!(states(&partial), ["sent", "skipped"], "{partial}");
    assert_eq!(partial["error"]["code"], "stopped", "{partial}");
    has_outcome(&lab, &reply, "hookline.reply.failed.v1").await;
    assert_eq!(person.texts_received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stdout)] // a measured figure
async fn a_freeze_holds_within_two_seconds_and_a_thaw_goes_on_in_order() {
    let (lab, instagram, page) = lab().await;
    let (ann, conversation) = writes(&lab, &instagram, "Ann Berg").await;
    let (bo, other) = writes(&lab, &page, "Bo Holm").await;
    let (_, third) = writes(&lab, &instagram, "Cy Lund").await;
    verb(&lab, &["send", "freeze", "--account", "instagram/1"], 2).await;
    verb(&lab, &["send", "freeze", "--conversation", "cnv_none"], 2).await;
    let wrong = ["send", "freeze", "--account", PAGE, "--conversation", &conversation];
    verb(&lab, &wrong, 2).await;
    let dry = verb(&lab, &["send", "freeze", "--account", IG, "--dry-run"], 0).await;
    assert_eq!((&dry["changed"], &dry["dry_run"]), (&json!(true), &json!(true)));

    // Replies keep coming while the switch is turned.
    let mut texts = Vec::new();
    let mut replies = Vec::new();
    let mut frozen = None;
    for n in 0..40 {
        let text = format!("number {n}");
        replies.push(queue(&lab, &conversation, &format!("k{n}"), &text).await);
        texts.push(text);
        if n == 15 {
            let done = verb(&lab, &["send", "freeze", "--account", IG], 0).await;
            assert_eq!(done["changed"], true, "{done}");
            frozen = Some(chrono::Utc::now());
        }
    }
    let frozen = frozen.unwrap();
    let again = verb(&lab, &["send", "freeze", "--account", IG], 0).await;
    assert_eq!(again["changed"], false, "{again}");
    queue(&lab, &third, "t", "other person, same account").await;
    let free = queue(&lab, &other, "o", "other account").await;
    reaches(&lab, &free, &["sent"], Duration::from_secs(10)).await;
    let status = verb(&lab, &["status"], 0).await;
    assert_eq!(status["freezes"][0]["scope"], format!("account:instagram/{IG}"), "{status}");
    eventually("it is shown why they wait", Duration::from_secs(5), async || {
        let status = verb(&lab, &["status"], 0).await;
        if status["held"]["frozen"].as_u64() >= Some(1) { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    let (_, health) = lab.api().get(&format!("/v1/accounts/{IG}/health")).await;
    assert_eq!(health["worker"]["frozen"], true, "{health}");
    // Long enough that a leak would show.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let late: Vec<_> = instagram
        .calls(Some(CallKind::Send))
        .into_iter()
        .filter(|call| call.at > frozen + chrono::TimeDelta::seconds(2))
        .collect();
    assert!(late.is_empty(), "sent in spite of the freeze: {late:?}");
    let before = ann.texts_received().len();
    assert!(before < texts.len(), "the freeze came too late to show anything");
    let last = reaches(&lab, replies.last().unwrap(), &["queued"], Duration::from_secs(2)).await;
    assert_eq!(last["attempts"], 0, "{last}");

    let begun = Instant::now();
    let thawed = verb(&lab, &["send", "thaw", "--account", IG], 0).await;
    assert_eq!(thawed["changed"], true, "{thawed}");
    // Where a send was under way as the switch was turned, and its answer was lost on a busy machine, it is read back first.
    eventually("sending goes on", Duration::from_secs(40), async || {
        if ann.texts_received().len() > before { Ok(()) } else { Err(before.to_string()) }
    })
    .await;
    println!("first send {:?} after the thaw was asked for", begun.elapsed());
    reaches(&lab, replies.last().unwrap(), &["sent"], Duration::from_secs(30)).await;
    assert_eq!(ann.texts_received(), texts, "all, once, in order");
    assert_eq!(bo.texts_received(), ["other account"]);
    let twice = verb(&lab, &["send", "thaw", "--account", IG], 0).await;
    assert_eq!(twice["changed"], false, "{twice}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_conversation_or_everything_can_be_frozen() {
    let (lab, instagram, page) = lab().await;
    let (ann, conversation) = writes(&lab, &instagram, "Ann Berg").await;
    let (cy, third) = writes(&lab, &instagram, "Cy Lund").await;
    let (bo, other) = writes(&lab, &page, "Bo Holm").await;
    verb(&lab, &["send", "freeze", "--conversation", &conversation], 0).await;
    let held = queue(&lab, &conversation, "a", "held").await;
    let free = queue(&lab, &third, "c", "free").await;
    reaches(&lab, &free, &["sent"], Duration::from_secs(10)).await;
    let status = verb(&lab, &["send", "freeze"], 0).await;
    assert_eq!(status["scope"], "*");
    let all = queue(&lab, &other, "b", "held too").await;
    eventually("both are held", Duration::from_secs(5), async || {
        let status = verb(&lab, &["status"], 0).await;
        if status["held"]["frozen"] == 2 { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    let thawed = verb(&lab, &["send", "thaw"], 0).await;
    assert_eq!(thawed["other_freezes"], json!([format!("conversation:{conversation}")]));
    reaches(&lab, &all, &["sent"], Duration::from_secs(10)).await;
    reaches(&lab, &held, &["queued"], Duration::from_secs(2)).await;
    assert_eq!((ann.texts_received().len(), cy.texts_received().len()), (0, 1));
    verb(&lab, &["send", "thaw", "--conversation", &conversation], 0).await;
    reaches(&lab, &held, &["sent"], Duration::from_secs(10)).await;
    assert_eq!(bo.texts_received(), ["held too"]);
    let acts = verb(&lab, &["audit"], 0).await;
    let one = json!(format!("conversation:{conversation}"));
    let listed: Vec<_> =
        acts.as_array().unwrap().iter().filter(|act| act["verb"] != "accounts add").collect();
    let expected = [
        ("send thaw", &one),
        ("send thaw", &json!("*")),
        ("send freeze", &json!("*")),
        ("send freeze", &one),
    ];
    assert_eq!(listed.len(), expected.len(), "{acts}");
    for (act, (verb, scope)) in listed.iter().zip(expected) {
        assert_eq!((&act["verb"], &act["arguments"]["scope"]), (&json!(verb), scope), "{acts}");
        assert!(act["who"].is_string() && act["result"]["changed"] == true, "{acts}");
    }
}
