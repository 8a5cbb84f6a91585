//! Replies that are not sent: listed, cancelled, settled by people; what the policy says before anybody asks; several comments at once.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::{AccountHandle, CallKind, Fault, FaultRule};
use tests::body::IG;
use tests::crowd::{connect_both, give_up, reaches, writes};
use tests::{Api, Lab, eventually};

use super::{ROBOT, is_problem, is_time, lab_without_accounts, with_token};

const LONG: Duration = Duration::from_secs(40);

/// Queues a reply; its id.
async fn queue(lab: &Lab, conversation: &str, text: &str) -> String {
    let path = format!("/v1/conversations/{conversation}/messages");
    let (status, queued) = lab.api().post_once(&path, text, json!({"text": text})).await;
    assert_eq!(status, 202, "{queued}");
    queued["reply_id"].as_str().unwrap().to_owned()
}

async fn listed(api: &Api, query: &str) -> Vec<Value> {
    let (status, page) = api.get(&format!("/v1/replies{query}")).await;
    assert_eq!(status, 200, "{page}");
    page["replies"].as_array().unwrap().clone()
}

fn ids(replies: &[Value]) -> Vec<&str> {
    replies.iter().map(|reply| reply["reply_id"].as_str().unwrap()).collect()
}

async fn are_listed(api: &Api, query: &str, expected: &[&str]) -> Vec<Value> {
    eventually(&format!("{query} lists them"), LONG, async || {
        let found = listed(api, query).await;
        if ids(&found) == expected { Ok(found) } else { Err(format!("{found:?}")) }
    })
    .await
}

/// A reply whose outcome nobody can know.
async fn parked(lab: &Lab, account: &AccountHandle, conversation: &str, text: &str) -> String {
    let lost = FaultRule::new(Fault::ResetBefore).on(CallKind::Send).of(account.id()).times(1);
    lab.simulator.fault(lost);
    lab.simulator
        .fault(FaultRule::new(Fault::NoPermission).on(CallKind::Conversations).of(account.id()));
    let reply = queue(lab, conversation, text).await;
    give_up(lab, &reply).await;
    reaches(lab, &reply, &["unknown"], LONG).await;
    lab.simulator.clear_faults();
    reply
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sent_is_listed_cancelled_and_settled() {
    let lab = lab_without_accounts().await;
    let (instagram, _) = connect_both(&lab).await;
    let (ann, conversation) = writes(&lab, &instagram, "Ann Berg").await;
    let api = lab.api();
    let policy = format!("/v1/conversations/{conversation}/policy");
    let (status, says) = api.get(&policy).await;
    assert_eq!(
        (status, &says["allowed"], &says["rule"]),
        (200, &json!(true), &json!("window.24h"))
    );
    is_time(&says["expires_at"]);
    assert!(says.get("held").is_none() && says.get("code").is_none(), "{says}");

    // Held by a freeze, newest first, page by page.
    lab.hookline_ok(&["send", "freeze", "--account", IG, "--reason", "test"]).await;
    let (_, says) = api.get(&format!("{policy}?as=automation")).await;
    assert_eq!((&says["allowed"], &says["held"]), (&json!(true), &json!("frozen")), "{says}");
    let one = queue(&lab, &conversation, "one").await;
    let two = queue(&lab, &conversation, "two").await;
    // The second waits behind the first.
    let held = are_listed(&api, "?status=held", &[&one]).await;
    assert_eq!(held[0]["held"], "frozen", "{held:?}");
    are_listed(&api, "", &[&two, &one]).await;
    let (_, page) = api.get("/v1/replies?limit=1").await;
    assert_eq!(ids(page["replies"].as_array().unwrap()), [two.as_str()]);
    let next = format!("/v1/replies?limit=1&cursor={}", page["next_cursor"].as_str().unwrap());
    let (_, page) = api.get(&next).await;
    assert_eq!(ids(page["replies"].as_array().unwrap()), [one.as_str()], "{page}");
    // A cursor of one token is none of another's.
    is_problem(&with_token(&api, ROBOT).get(&next).await, 422, "invalid");
    is_problem(&api.get("/v1/replies?status=sent").await, 422, "invalid");
    assert_eq!(listed(&api, "?account_id=1").await.len(), 0);

    // Cancelled although nothing is sent now; a repeat changes nothing.
    let path = format!("/v1/replies/{one}?wait=20s");
    for _ in 0..2 {
        let (status, gone) = api.delete(&path, json!({})).await;
        assert_eq!((status, &gone["status"]), (200, &json!("failed")), "{gone}");
        assert_eq!(gone["error"]["code"], "cancelled", "{gone}");
    }
    let (status, command) = api.get(&format!("/v1/commands/{one}")).await;
    assert_eq!((status, &command["status"]), (200, &json!("failed")), "{command}");
    lab.hookline_ok(&["send", "thaw", "--account", IG, "--reason", "test"]).await;
    reaches(&lab, &two, &["sent"], LONG).await;
    assert_eq!(ann.texts_received(), ["two"]);
    is_problem(&api.delete(&format!("/v1/replies/{two}"), json!({})).await, 409, "already_ended");
    is_problem(&api.delete("/v1/replies/rpl_none", json!({})).await, 404, "not_found");

    // Parked, and settled by a person.
    let lost = parked(&lab, &instagram, &conversation, "lost").await;
    are_listed(&api, "?status=unknown", &[&lost]).await;
    let (_, says) = api.get(&format!("{policy}?as=automation")).await;
    assert_eq!(says["held"], "parked", "{says}");
    let path = format!("/v1/replies/{lost}/resolve?wait=20s");
    let not_sent = || json!({"as": "not_sent", "reason": "not in the thread"});
    is_problem(&with_token(&api, ROBOT).post(&path, not_sent()).await, 403, "person_only");
    is_problem(&api.post(&path, json!({"as": "perhaps", "reason": "x"})).await, 422, "invalid");
    is_problem(&api.post(&path, json!({"as": "sent"})).await, 422, "invalid");
    let sent = format!("/v1/replies/{two}/resolve?wait=20s");
    is_problem(&api.post(&sent, not_sent()).await, 409, "not_parked");
    let (status, settled) = api.post(&path, not_sent()).await;
    assert_eq!((status, &settled["status"]), (200, &json!("failed")), "{settled}");
    assert_eq!(settled["error"]["code"], "not_sent", "{settled}");
    is_problem(&api.post(&path, not_sent()).await, 409, "not_parked");
    assert_eq!(listed(&api, "?status=unknown").await.len(), 0);
    assert_eq!(ids(&listed(&api, "?status=failed").await), [lost.as_str(), one.as_str()]);
    assert_eq!(ann.texts_received(), ["two"], "settling sends nothing");

    // What operators look at.
    let (status, acts) = api.get("/v1/ops/audit?limit=1").await;
    assert_eq!((status, &acts["acts"][0]["verb"]), (200, &json!("send thaw")), "{acts}");
    for (path, list) in
        [("jobs", "jobs"), ("dead", "normalize"), ("dead", "project"), ("waiting", "waiting")]
    {
        let (status, page) = api.get(&format!("/v1/ops/{path}")).await;
        assert_eq!((status, &page[list]), (200, &json!([])), "{path}: {page}");
    }
    is_problem(&with_token(&api, ROBOT).get("/v1/ops/audit").await, 403, "insufficient_scope");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_comments_are_hidden_each_with_an_outcome_of_its_own() {
    let lab = lab_without_accounts().await;
    let (instagram, _) = connect_both(&lab).await;
    let api = lab.api();
    let (ann, media) = (instagram.person("Ann Berg"), instagram.media("The green lamp"));
    let mut comments = Vec::new();
    for words in ["one", "two"] {
        let said = ann.comments(&media, words).accepted().await.unwrap().comment_id().to_owned();
        comments.push(said);
    }
    eventually("both are listed", LONG, async || {
        let (_, page) = api.get(&format!("/v1/comments?media_id={media}")).await;
        if page["total"] == 2 { Ok(()) } else { Err(page.to_string()) }
    })
    .await;
    let body = json!({"ids": [comments[0], "17900000000000000", comments[1]], "hidden": true});
    let (status, came) = api.post_once("/v1/comments/hide?wait=20s", "k", body.clone()).await;
    assert_eq!(status, 200, "{came}");
    let outcomes = came["outcomes"].as_array().unwrap();
    let command = |n: usize| &outcomes[n]["command"];
    assert_eq!((&command(0)["status"], &command(2)["status"]), (&json!("done"), &json!("done")));
    assert_eq!(outcomes[1]["problem"]["code"], "not_found", "{came}");
    let hidden = |id: &String| {
        instagram.comments().into_iter().find(|one| one.id == *id).is_some_and(|one| one.hidden)
    };
    assert!(comments.iter().all(hidden), "{:?}", instagram.comments());
    // The same key is the same commands.
    let (_, again) = api.post_once("/v1/comments/hide?wait=20s", "k", body).await;
    assert_eq!(again["outcomes"][2]["command"]["command_id"], command(2)["command_id"], "{again}");
    let path = format!("/v1/commands/{}", command(0)["command_id"].as_str().unwrap());
    let (status, state) = api.get(&path).await;
    assert_eq!((status, &state["status"]), (200, &json!("done")), "{state}");
    assert_eq!(state["command"], "comment_hide");
    is_problem(&api.get("/v1/commands/cmd_none").await, 404, "not_found");
    let none = json!({"ids": [], "hidden": true});
    is_problem(&api.post("/v1/comments/hide", none).await, 422, "invalid");
}
