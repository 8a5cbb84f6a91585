//! Comments through the API, as Meta then has them.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::{AccountHandle, AccountSpec};
use tests::body::{IG, PAGE, now};
use tests::{Api, Lab, eventually};

use super::{has_fields, is_problem, lab_without_accounts};

async fn patch(api: &Api, path: &str, body: Value) -> (u16, Value) {
    let request = api.http.patch(format!("{}{path}", api.url)).bearer_auth(&api.token);
    let answer = request.json(&body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

fn is_done(answer: &(u16, Value), command: &str) {
    let (status, state) = answer;
    assert_eq!(
        (*status, &state["status"], &state["command"]),
        (200, &json!("done"), &json!(command)),
        "{state}"
    );
    has_fields(state, "command_id command status result error");
    assert!(state["command_id"].is_string() && state["error"].is_null(), "{state}");
}

async fn listed(api: &Api, path: &str, what: &str, check: impl Fn(&[Value]) -> bool) {
    eventually(what, Duration::from_secs(20), async || {
        let (_, page) = api.get(path).await;
        if check(page["comments"].as_array().unwrap()) { Ok(()) } else { Err(page.to_string()) }
    })
    .await;
}

async fn through_all_routes(lab: &Lab, account: &AccountHandle) {
    let api = lab.api();
    let ann = account.person("Ann Berg");
    let media = account.media("The green lamp");
    let comment =
        ann.comments(&media, "How much?").accepted().await.unwrap().comment_id().to_owned();
    let list = format!("/v1/comments?media_id={media}");
    listed(&api, &list, "the comment is listed", |all| {
        all.len() == 1 && all[0]["comment_id"] == comment.as_str()
    })
    .await;
    let at_meta = |id: &str| account.comments().into_iter().find(|c| c.id == id);

    let path = format!("/v1/comments/{comment}");
    let answer = api.post(&format!("{path}/replies?wait=10s"), json!({"text": "Forty."})).await;
    is_done(&answer, "comment_reply");
    let ours: Vec<_> = account.comments().into_iter().filter(|c| c.person.is_none()).collect();
    assert_eq!(
        (ours.len(), ours[0].text.as_str(), ours[0].parent.as_deref()),
        (1, "Forty.", Some(comment.as_str()))
    );
    listed(&api, &list, "our answer is listed as ours", |all| {
        all.iter().any(|c| {
            c["text"] == "Forty."
                && c["author"]["self"] == true
                && c["parent_id"] == comment.as_str()
        })
    })
    .await;

    let answer = api
        .post(&format!("{path}/private_reply?wait=10s"), json!({"text": "Here is a link."}))
        .await;
    is_done(&answer, "comment_private_reply");
    assert_eq!(ann.texts_received(), ["Here is a link."]);

    is_done(
        &patch(&api, &format!("{path}?wait=10s"), json!({"hidden": true})).await,
        "comment_hide",
    );
    assert!(at_meta(&comment).unwrap().hidden);
    listed(&api, &format!("{list}&hidden=true"), "it is listed as hidden", |all| {
        all.len() == 1 && all[0]["hidden"] == true
    })
    .await;
    // Facebook's feed gives times in whole seconds: what happens within one has no order.
    let hidden_at = now() / 1000;
    eventually("another second", Duration::from_secs(3), async || {
        if now() / 1000 > hidden_at { Ok(()) } else { Err("the same".to_owned()) }
    })
    .await;
    is_done(
        &patch(&api, &format!("{path}?wait=10s"), json!({"hidden": false})).await,
        "comment_unhide",
    );
    assert!(!at_meta(&comment).unwrap().hidden);
    listed(&api, &format!("{list}&hidden=true"), "it is listed as shown", <[Value]>::is_empty)
        .await;

    let (status, done) = api.delete(&format!("{path}?wait=10s"), json!({})).await;
    is_done(&(status, done), "comment_delete");
    assert!(at_meta(&comment).is_none_or(|c| c.deleted));
    listed(&api, &list, "the deleted one is gone", |all| {
        all.iter().all(|c| c["comment_id"] != comment.as_str())
    })
    .await;
    listed(&api, &format!("{list}&deleted=true"), "but not forgotten, without its text", |all| {
        all.iter().any(|c| {
            c["comment_id"] == comment.as_str()
                && c["text"].is_null()
                && c["deleted_at"].is_string()
        })
    })
    .await;
    our_own(&api, account, &media).await;
}

/// A comment of ours, and what its key stands for.
async fn our_own(api: &Api, account: &AccountHandle, media: &str) {
    let answer = api
        .post(&format!("/v1/media/{media}/comments?wait=10s"), json!({"text": "Last three!"}))
        .await;
    is_done(&answer, "comment_create");
    assert!(account.comments().iter().any(|c| c.text == "Last three!" && c.parent.is_none()));
    // A key is one command, however often.
    let create = format!("/v1/media/{media}/comments?wait=10s");
    let (_, first) = api.post_once(&create, "once", json!({"text": "Sold out."})).await;
    let (_, again) = api.post_once(&create, "once", json!({"text": "Sold out."})).await;
    assert_eq!(first["command_id"], again["command_id"]);
    is_problem(&api.post_once(&create, "once", json!({"text": "Sold."})).await, 409, "key_reused");
    assert_eq!(account.comments().iter().filter(|c| c.text == "Sold out.").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn comments_of_instagram_are_answered_hidden_and_deleted() {
    let lab = lab_without_accounts().await;
    let account = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    lab.add_account("instagram", "instagram", IG, &account.token(), &[]).await;
    through_all_routes(&lab, &account).await;
    let api = lab.api();
    for (path, body, status, code) in [
        ("/v1/comments/404/replies", json!({"text": "a"}), 404, "not_found"),
        ("/v1/comments/404/replies", json!({"text": " "}), 422, "invalid"),
        ("/v1/comments/404/private_reply", json!({}), 422, "invalid"),
        ("/v1/media/404/comments", json!({"text": "a"}), 404, "not_found"),
    ] {
        is_problem(&api.post(path, body).await, status, code);
    }
    is_problem(&patch(&api, "/v1/comments/404", json!({"hidden": "yes"})).await, 422, "invalid");
    // Of an account that the caller names, Meta may know more than we do.
    let unknown = format!("/v1/comments/404/replies?channel=instagram&account_id={IG}&wait=10s");
    let (status, failed) = api.post(&unknown, json!({"text": "a"})).await;
    assert_eq!((status, &failed["status"]), (200, &json!("failed")), "{failed}");
    assert!(failed["error"]["code"].is_string(), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn comments_of_a_page_are_answered_hidden_and_deleted() {
    let lab = lab_without_accounts().await;
    let account = lab.simulator.add_account(AccountSpec::messenger(PAGE)).unwrap();
    lab.add_account("messenger", "facebook", PAGE, &account.token(), &[]).await;
    through_all_routes(&lab, &account).await;
}
