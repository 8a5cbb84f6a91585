//! Importing from Graph what no webhook reported.

use std::time::Duration;

use serde_json::json;
use simulator::{AccountSpec, CallKind, Fault, FaultRule, Telling};
use tests::body::{IG, PAGE};
use tests::{Api, LabOptions, Role, eventually};

use super::{
    READER, conversation_of, has_fields, is_problem, lab_apart, lab_without_accounts, with_token,
};

#[tokio::test(flavor = "multi_thread")]
async fn with_sync_the_list_holds_what_no_webhook_reported() {
    let lab = lab_without_accounts().await;
    let api = lab.api();
    let instagram = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    let page = lab.simulator.add_account(AccountSpec::messenger(PAGE)).unwrap();
    let answer = ["--auto-reply", "We will be back soon."];
    lab.add_account("instagram", "instagram", IG, &instagram.token(), &answer).await;
    lab.add_account("messenger", "facebook", PAGE, &page.token(), &answer).await;
    for account in [&instagram, &page] {
        let ann = account.person("Ann Berg");
        let quiet = ann.reported(Telling::Silent);
        quiet.says("never told");
        ann.says("told").accepted().await.unwrap();
        let id = conversation_of(&lab, account.id(), ann.id()).await;
        eventually("the automatic reply is there", Duration::from_secs(20), async || {
            let texts = ann.texts_received();
            if texts.len() == 1 { Ok(()) } else { Err(format!("{texts:?}")) }
        })
        .await;
        lab.settled().await;
        quiet.says("never told either");
        let texts = |messages: &[serde_json::Value]| {
            let mut texts: Vec<_> =
                messages.iter().map(|m| m["text"].as_str().unwrap().to_owned()).collect();
            texts.sort();
            texts
        };
        assert_eq!(texts(&api.messages(&id).await), ["We will be back soon.", "told"]);
        let all = ["We will be back soon.", "never told", "never told either", "told"];
        for _ in 0..2 {
            let (status, page) =
                api.get(&format!("/v1/conversations/{id}/messages?sync=true")).await;
            assert_eq!(status, 200, "{page}");
            assert_eq!(texts(page["messages"].as_array().unwrap()), all);
        }
        let (_, conversation) = api.get(&format!("/v1/conversations/{id}")).await;
        assert_eq!(conversation["unread_count"], 1, "imported ones do not count");
        lab.settled().await;
        assert_eq!(ann.texts_received().len(), 1, "imported ones are not answered");
        // What Meta says when it fails is reported, and nothing is lost by it.
        lab.simulator.fault(
            FaultRule::new(Fault::NoPermission)
                .on(CallKind::Conversations)
                .of(account.id())
                .times(1),
        );
        let failed = api.get(&format!("/v1/conversations/{id}/messages?sync=true")).await;
        is_problem(&failed, 502, "sync_failed");
        assert_eq!(texts(&api.messages(&id).await), all);
    }
    is_problem(&api.get("/v1/conversations/cnv_none/messages?sync=true").await, 404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_imported_as_a_whole_and_says_how_much() {
    let lab = lab_without_accounts().await;
    let api = lab.api();
    let instagram = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    lab.add_account("instagram", "instagram", IG, &instagram.token(), &[]).await;
    for n in 0..30 {
        let person = instagram.person(&format!("Person {n}"));
        person.reported(Telling::Silent).says("old words");
    }
    let path = format!("/v1/accounts/{IG}/sync?wait=20s");
    let (status, done) = api.post(&path, json!({})).await;
    assert_eq!(
        (status, &done["status"], &done["command"]),
        (200, &json!("done"), &json!("sync")),
        "{done}"
    );
    has_fields(&done, "command_id command status result error");
    assert_eq!(
        (&done["result"]["synced"], &done["result"]["failed"]),
        (&json!(30), &json!(0)),
        "{done}"
    );
    let conversations = api.conversations().await;
    assert_eq!(conversations.len(), 30, "a caller reads what was imported");
    assert!(
        conversations
            .iter()
            .all(|c| c["unread_count"] == 0 && c["last_message"]["text"] == "old words")
    );
    assert_eq!(lab.simulator.count(CallKind::Profile), 0, "an import reads no profile");
    let (status, again) = api.post(&path, json!({})).await;
    assert_eq!((status, &again["status"]), (200, &json!("done")));
    assert_eq!(api.conversations().await.len(), 30);
    is_problem(&api.post("/v1/accounts/404/sync", json!({})).await, 404, "not_found");
    // They wrote within the day, so they can be answered.
    let (ours, theirs) = (&conversations[0], &conversations[0]["contact"]["id"]);
    assert!(ours["window_expires_at"].is_string(), "{ours}");
    let path = format!("/v1/conversations/{}/messages?wait=20s", ours["id"].as_str().unwrap());
    let (status, sent) = api.post_once(&path, "k", json!({"text": "Still interested?"})).await;
    assert_eq!((status, &sent["status"]), (200, &json!("sent")), "{sent}");
    let person = lab.simulator.person(theirs.as_str().unwrap()).unwrap();
    assert_eq!(person.texts_received(), ["Still interested?"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_needs_a_token_that_may_write_and_is_shared() {
    let lab = lab_without_accounts().await;
    let api = lab.api();
    let instagram = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    lab.add_account("instagram", "instagram", IG, &instagram.token(), &[]).await;
    let ann = instagram.person("Ann Berg");
    ann.says("reported").accepted().await.unwrap();
    let id = conversation_of(&lab, IG, ann.id()).await;
    lab.settled().await;
    ann.reported(Telling::Silent).says("silent");
    let calls = lab.simulator.count(CallKind::Conversations);
    let path = format!("/v1/conversations/{id}/messages?sync=true");
    let reader = with_token(&api, READER);
    is_problem(&reader.get(&path).await, 403, "insufficient_scope");
    let plain = reader.get(&format!("/v1/conversations/{id}/messages?sync=false")).await;
    assert_eq!(plain.0, 200, "{plain:?}");
    assert_eq!(lab.last_sequence("INBOX_COMMANDS").await, 0, "a reader causes no command");
    assert_eq!(lab.simulator.count(CallKind::Conversations), calls, "and no call to Graph");
    let answers = futures::future::join_all((0..6).map(|_| api.get(&path))).await;
    for (status, page) in answers {
        assert_eq!(status, 200, "{page}");
        assert_eq!(page["messages"].as_array().unwrap().len(), 2, "{page}");
    }
    assert_eq!(lab.last_sequence("INBOX_COMMANDS").await, 1, "all wait for one import");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_conversation_is_imported_while_the_account_is() {
    let lab = lab_without_accounts().await;
    let api = lab.api();
    let instagram = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    lab.add_account("instagram", "instagram", IG, &instagram.token(), &[]).await;
    // Two pages of 25 a second.
    for n in 0..600 {
        instagram.person(&format!("Person {n}")).reported(Telling::Silent).says("old words");
    }
    let ann = instagram.person("Ann Berg");
    ann.says("reported").accepted().await.unwrap();
    let id = conversation_of(&lab, IG, ann.id()).await;
    let (status, import) = api.post(&format!("/v1/accounts/{IG}/sync"), json!({})).await;
    assert_eq!(status, 202, "{import}");
    let state = async || -> Result<String, String> {
        sqlx::query_scalar("select state from worker.commands where command_id = $1")
            .bind(import["command_id"].as_str())
            .fetch_one(lab.pool())
            .await
            .map_err(|error| error.to_string())
    };
    tokio::time::sleep(Duration::from_secs(2)).await;
    for n in 0..2 {
        ann.reported(Telling::Silent).says("silent");
        let began = std::time::Instant::now();
        let (status, page) = api.get(&format!("/v1/conversations/{id}/messages?sync=true")).await;
        assert_eq!(status, 200, "{page}");
        assert_eq!(page["messages"].as_array().unwrap().len(), n + 2, "{page}");
        assert_eq!(state().await.as_deref(), Ok("open"), "the account is imported beside");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }
    eventually("the account is imported", Duration::from_secs(60), async || {
        let state = state().await?;
        if state == "sent" { Ok(()) } else { Err(state) }
    })
    .await;
}

/// Several processes of the api share one import, and none of them holds a connection while it waits.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_is_shared_by_all_processes_of_the_api() {
    let mut lab = lab_apart(LabOptions::default()).await;
    lab.run_nth(Role::Api, 1).await;
    lab.ready_nth(Role::Api, 1).await;
    let instagram = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    lab.add_account("instagram", "instagram", IG, &instagram.token(), &[]).await;
    let ann = instagram.person("Ann Berg");
    ann.says("reported").accepted().await.unwrap();
    let id = conversation_of(&lab, IG, ann.id()).await;
    lab.settled().await;
    ann.reported(Telling::Silent).says("silent");
    // They all come while the first import runs.
    let slow = Duration::from_millis(1_500);
    lab.simulator.set_policy(|policy| policy.answer_delay = slow).unwrap();
    let path = format!("/v1/conversations/{id}/messages?sync=true");
    let apis = [lab.api(), Api { url: lab.url_nth(Role::Api, 1), ..lab.api() }];
    // More than one process has connections.
    let asked = (0..40).map(|n| apis[n % 2].get(&path));
    for (status, page) in futures::future::join_all(asked).await {
        assert_eq!(status, 200, "{page}");
        assert_eq!(page["messages"].as_array().unwrap().len(), 2, "{page}");
    }
    assert_eq!(lab.last_sequence("INBOX_COMMANDS").await, 1, "all wait for one import");
    // What comes after it is another import.
    lab.simulator.set_policy(|policy| policy.answer_delay = Duration::ZERO).unwrap();
    ann.reported(Telling::Silent).says("silent again");
    let (status, page) = apis[1].get(&path).await;
    assert_eq!((status, page["messages"].as_array().unwrap().len()), (200, 3), "{page}");
    assert_eq!(lab.last_sequence("INBOX_COMMANDS").await, 2);
}
