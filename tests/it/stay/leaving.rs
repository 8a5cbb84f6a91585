//! Disconnecting: by an operator, by the API, by the person who removes the app.

use std::time::Duration;

use serde_json::json;
use simulator::{AccountSpec, CallbackKind};
use tests::body::{IG, PAGE};
use tests::crowd::{connect_both, reaches, writes};
use tests::{Lab, Role, eventually};

use super::{state, verb};

const LONG: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnected_account_has_no_token_no_queue_and_its_history() {
    let lab = Lab::with_all_roles().await;
    let (shop, page) = connect_both(&lab).await;
    let (ann, conversation) = writes(&lab, &shop, "Ann Berg").await;
    lab.hookline_ok(&["send", "freeze", "--account", IG, "--reason", "test"]).await;
    let path = format!("/v1/conversations/{conversation}/messages");
    let (status, queued) = lab.api().post_once(&path, "key-1", json!({"text": "never sent"})).await;
    assert_eq!(status, 202, "{queued}");
    let reply = queued["reply_id"].as_str().unwrap().to_owned();
    let sealed: Vec<u8> = sqlx::query_scalar("select token from worker.accounts where id = $1")
        .bind(IG)
        .fetch_one(lab.pool())
        .await
        .unwrap();
    let (code, would) = verb(&lab, &["accounts", "disconnect", IG, "--dry-run"]).await;
    assert_eq!((code, &would["disconnected"]), (0, &json!(false)), "{would}");
    assert_eq!(state(&lab, IG).await, "active");
    let (code, done) = verb(&lab, &["accounts", "disconnect", IG, "--reason", "they left"]).await;
    assert_eq!((code, &done["unsubscribed"]), (0, &json!(true)), "{done}");
    assert_eq!(shop.subscribed_fields(), Vec::<String>::new());
    // What is frozen ends with the freeze.
    lab.hookline_ok(&["send", "thaw", "--account", IG, "--reason", "test"]).await;
    let ended = reaches(&lab, &reply, &["failed"], LONG).await;
    assert_eq!(ended["error"]["code"], "account_disconnected", "{ended}");
    assert_eq!(ann.texts_received(), Vec::<String>::new());
    let after: Vec<u8> = sqlx::query_scalar("select token from worker.accounts where id = $1")
        .bind(IG)
        .fetch_one(lab.pool())
        .await
        .unwrap();
    assert!(after != sealed && after.len() < sealed.len(), "the token is destroyed");
    assert_eq!(lab.api().messages(&conversation).await.len(), 1, "the history stays");
    let (_, again) = verb(&lab, &["accounts", "disconnect", IG]).await;
    assert_eq!(again["disconnected"], false, "{again}");
    // By the API.
    let path = format!("/v1/accounts/{PAGE}/disconnect?wait=20s");
    let (status, gone) = lab.api().post(&path, json!({})).await;
    assert_eq!((status, &gone["status"]), (200, &json!("done")), "{gone}");
    assert_eq!(
        (state(&lab, PAGE).await.as_str(), page.subscribed_fields().len()),
        ("disconnected", 0)
    );
    let (_, health) = lab.api().get(&format!("/v1/accounts/{PAGE}/health")).await;
    assert_eq!(health["diagnosis"]["code"], "disconnected", "{health}");
    // Connected again it starts again, and nothing of before is sent.
    lab.add_account("instagram", "instagram", IG, &shop.token(), &[]).await;
    let path = format!("/v1/conversations/{conversation}/messages?wait=20s");
    let (status, sent) = lab.api().post_once(&path, "key-2", json!({"text": "we are back"})).await;
    assert_eq!((status, &sent["status"]), (200, &json!("sent")), "{sent}");
    assert_eq!(ann.texts_received(), ["we are back"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_valid_callbacks_act() {
    let mut lab = Lab::start().await;
    lab.set("PUBLIC_URL", "https://hookline.example/");
    lab.run_all().await;
    let meta = lab.simulator.clone();
    let (shop, page) = connect_both(&lab).await;
    let other = meta.add_account(AccountSpec::instagram("17841400000000202")).unwrap();
    lab.add_account("instagram", "instagram", other.id(), &other.token(), &[]).await;
    let call =
        async |kind, user: &str, issued_at| meta.call_back("main", kind, user, issued_at).await;
    let (remove, delete) = (CallbackKind::Deauthorize, CallbackKind::Deletion);
    // Old, of another app, about nobody: nothing happens.
    let now = chrono::Utc::now().timestamp();
    assert_eq!(call(remove, IG, Some(now - 86_500)).await.0, 401);
    assert_eq!(meta.call_back("other", remove, IG, None).await.0, 401);
    assert_eq!(call(remove, "25500000000009999", None).await.0, 200);
    // The app is removed: by its alias, by who connected the Page.
    assert_eq!(call(remove, &shop.connected_by(), None).await, (200, String::new()));
    let issued = Some(now - 5);
    let (status, answer) = call(delete, &page.connected_by(), issued).await;
    assert_eq!(status, 200, "{answer}");
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let code = answer["confirmation_code"].as_str().unwrap().to_owned();
    assert_eq!(answer["url"], format!("https://hookline.example/deletion/{code}"));
    assert!(code.len() == 32 && code.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{code}");
    eventually("both are disconnected", LONG, async || {
        match (state(&lab, IG).await.as_str(), state(&lab, PAGE).await.as_str()) {
            ("disconnected", "disconnected") => Ok(()),
            states => Err(format!("{states:?}\n{}", lab.log(Role::Worker))),
        }
    })
    .await;
    assert_eq!(state(&lab, other.id()).await, "active");
    let page_of = async |code: &str| {
        let answer = reqwest::get(format!("{}/deletion/{code}", lab.url(Role::Api))).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    eventually("the page says that it is done", LONG, async || {
        let (status, text) = page_of(&code).await;
        assert!(!text.contains(PAGE) && !text.contains(&page.connected_by()), "{text}");
        let is_done = status == 200 && text.contains("the data was deleted");
        tests::client::holds(is_done, || format!("{status} {text}"))
    })
    .await;
    assert_eq!(page_of(&"0".repeat(32)).await.0, 404);
    // A repeat has the same code and undoes no new connection.
    lab.add_account("messenger", "facebook", PAGE, &page.token(), &[]).await;
    let (status, again) = call(delete, &page.connected_by(), issued).await;
    assert!(status == 200 && again.contains(&code), "{again}");
    let (_, nobody) = call(delete, "25500000000009999", None).await;
    let nobody: serde_json::Value = serde_json::from_str(&nobody).unwrap();
    let nobody = nobody["confirmation_code"].as_str().unwrap().to_owned();
    eventually("nothing is held of an unknown person", LONG, async || {
        let (status, text) = page_of(&nobody).await;
        if text.contains("No account and no conversation of this person is held") {
            Ok(())
        } else {
            Err(format!("{status} {text}"))
        }
    })
    .await;
    assert_eq!(state(&lab, PAGE).await, "active");
    // Webhooks are read as before, and a replay does not meet the callbacks.
    let (_, conversation) = writes(&lab, &other, "Ann Berg").await;
    assert!(!conversation.is_empty());
    lab.hookline_ok(&["replay", "--since", "1h", "--dry-run", "--output", "json"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_app_disconnects_at_the_first_refusal() {
    let lab = Lab::with_all_roles().await;
    let (shop, _) = connect_both(&lab).await;
    let (ann, conversation) = writes(&lab, &shop, "Ann Berg").await;
    shop.remove_app();
    let path = format!("/v1/conversations/{conversation}/messages");
    let (status, queued) = lab.api().post_once(&path, "key-3", json!({"text": "too late"})).await;
    assert_eq!(status, 202, "{queued}");
    let ended = reaches(&lab, queued["reply_id"].as_str().unwrap(), &["failed"], LONG).await;
    assert_eq!(ended["error"]["code"], "account_disconnected", "{ended}");
    assert_eq!((state(&lab, IG).await.as_str(), ann.texts_received().len()), ("disconnected", 0));
}
