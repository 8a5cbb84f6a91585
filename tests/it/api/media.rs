//! Media and posts with comments that no webhook reported, read from Graph.

use std::time::Duration;

use schemas::command::{Action, CommentHideManyData, RequestedBy, Requester};
use schemas::{Channel, Command};
use serde_json::{Value, json};
use simulator::{AccountHandle, AccountSpec, CallKind, Fault, FaultRule, Telling};
use tests::body::{IG, PAGE};
use tests::{Api, Lab, eventually};

use super::{READER, is_problem, lab_without_accounts, with_token};

fn texts(comments: &Value) -> Vec<String> {
    let comments = comments.as_array().unwrap().iter();
    let mut texts: Vec<String> =
        comments.map(|one| one["text"].as_str().unwrap_or_default().to_owned()).collect();
    texts.sort();
    texts
}

async fn media_of(api: &Api, account: &str) -> Value {
    let (status, list) = api.get(&format!("/v1/media?account_id={account}")).await;
    assert_eq!(status, 200, "{list}");
    list
}

async fn reads(lab: &Lab, account: &AccountHandle, quiet: usize) {
    let api = lab.api();
    let ann = account.person("Ann Berg");
    let unseen = ann.reported(Telling::Silent);
    let lamp = account.media("The green lamp");
    let chair = account.media("The chair");
    let reported =
        ann.comments(&lamp, "reported").accepted().await.unwrap().comment_id().to_owned();
    let asked = unseen.comments(&lamp, "How much?").comment_id().to_owned();
    unseen.answers_comment(&asked, "Anybody?");
    for n in 0..quiet {
        unseen.comments(&chair, &format!("c{n:03}"));
    }
    eventually("the one that was reported is there", Duration::from_secs(20), async || {
        let (_, page) = api.get(&format!("/v1/comments?media_id={lamp}")).await;
        if page["total"] == 1 { Ok(()) } else { Err(page.to_string()) }
    })
    .await;

    // A token that may only read asks Meta for nothing.
    let reader = with_token(&api, READER);
    let (status, nothing) = reader.get(&format!("/v1/media?account_id={}", account.id())).await;
    assert_eq!((status, &nothing["media"], &nothing["read_at"]), (200, &json!([]), &Value::Null));
    let sync = format!("/v1/comments?media_id={chair}&sync=true&limit=200");
    is_problem(&reader.get(&sync).await, 403, "insufficient_scope");
    is_problem(&api.get("/v1/comments?sync=true").await, 422, "invalid");

    let list = media_of(&api, account.id()).await;
    let media = list["media"].as_array().unwrap();
    let ids: Vec<&str> = media.iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 2, "{list}");
    assert!(ids.contains(&lamp.as_str()) && ids.contains(&chair.as_str()), "{list}");
    let under = media.iter().find(|one| one["id"] == lamp.as_str()).unwrap();
    assert_eq!(texts(&under["comments"]), ["Anybody?", "How much?", "reported"]);
    let answer = under["comments"].as_array().unwrap().iter().find(|one| one["text"] == "Anybody?");
    assert_eq!(answer.unwrap()["parent_id"], asked.as_str());

    // All of one, page by page, answers included; again without change.
    let all: Vec<String> = (0..quiet).map(|n| format!("c{n:03}")).collect();
    for _ in 0..2 {
        let (status, page) = api.get(&sync).await;
        assert_eq!(status, 200, "{page}");
        assert_eq!(texts(&page["comments"]), all);
    }
    let count: i64 = sqlx::query_scalar(
        "select count(*) from worker.facts where account_id = $1 and kind = 'comment.created' and revision > 0",
    )
    .bind(account.id())
    .fetch_one(lab.pool())
    .await
    .unwrap();
    assert_eq!(count, 0, "a comment that Graph lists again is no news");

    // The list is shown again for a minute without asking Meta.
    let asked_before = lab.simulator.count(CallKind::CommentList);
    assert_eq!(media_of(&api, account.id()).await["read_at"], list["read_at"]);
    assert_eq!(lab.simulator.count(CallKind::CommentList), asked_before);
    hide_both(lab, account, &[reported, asked]).await;
}

/// One command hides several comments, and each has an outcome.
async fn hide_both(lab: &Lab, account: &AccountHandle, comments: &[String]) {
    let channel: Channel = if account.id() == IG { Channel::Instagram } else { Channel::Messenger };
    let command = Command {
        id: "hide-both".into(),
        channel,
        account_id: account.id().into(),
        contact_id: None,
        action: Action::CommentHideMany(CommentHideManyData {
            comment_ids: comments.to_vec(),
            hidden: true,
        }),
        requested_by: RequestedBy { kind: Requester::Automation, name: "test".to_owned() },
        requested_at: schemas::Timestamp::from_millis(tests::body::now()),
    };
    let js = lab.jetstream().await;
    let body = serde_json::to_vec(&command).unwrap();
    js.publish(command.nats_subject(), body.into()).await.unwrap().await.unwrap();
    eventually("both are hidden at Meta", Duration::from_secs(20), async || {
        let hidden = account.comments().into_iter().filter(|one| one.hidden).count();
        if hidden == 2 { Ok(()) } else { Err(format!("{hidden}")) }
    })
    .await;
    eventually("each has an outcome", Duration::from_secs(20), async || {
        let outcomes: Vec<String> = sqlx::query_scalar(
            "select c.command_id from worker.commands c where c.command_id like 'hide-both%' and c.account_id = $1 and c.outcome_published order by 1",
        )
        .bind(account.id())
        .fetch_all(lab.pool())
        .await
        .unwrap();
        let mut expected = vec!["hide-both".to_owned()];
        expected.extend(comments.iter().map(|id| format!("hide-both/{id}")));
        expected.sort();
        if outcomes == expected { Ok(()) } else { Err(format!("{outcomes:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn media_and_their_comments_are_read_from_graph() {
    let lab = lab_without_accounts().await;
    let instagram = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    let page = lab.simulator.add_account(AccountSpec::messenger(PAGE)).unwrap();
    lab.add_account("instagram", "instagram", IG, &instagram.token(), &[]).await;
    lab.add_account("messenger", "facebook", PAGE, &page.token(), &[]).await;
    // More than come along with the list, and than one page has.
    reads(&lab, &instagram, 120).await;
    reads(&lab, &page, 60).await;
    // What Meta says when it fails is reported.
    lab.simulator
        .fault(FaultRule::new(Fault::NoPermission).on(CallKind::CommentList).of(IG).times(1));
    let api = lab.api();
    let media = instagram.media("Another");
    let path = format!("/v1/comments?media_id={media}&account_id={IG}&channel=instagram&sync=true");
    is_problem(&api.get(&path).await, 502, "sync_failed");
}
