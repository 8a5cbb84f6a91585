//! Webhook fields: all that may be had, none taken away, what is withheld is shown.

use serde_json::json;
use simulator::{AccountSpec, CallKind};
use tests::body::{IG, PAGE};
use tests::{Lab, Role};

use super::verb;

#[tokio::test(flavor = "multi_thread")]
async fn what_meta_refuses_costs_only_itself_and_is_shown() {
    let mut lab = Lab::start().await;
    let shop = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    // Somebody chose a field that the product does not ask for.
    shop.set_subscribed_fields(&["messages", "story_insights"], &[]);
    shop.refuse_fields(&["comments", "mentions"], 200);
    lab.add_account("instagram", "instagram", IG, &shop.token(), &[]).await;
    let (code, rows) = verb(&lab, &["accounts", "subscribe", IG]).await;
    assert_eq!(code, 0, "messages arrive: {rows}");
    let there = shop.subscribed_fields();
    for field in ["messages", "story_insights", "message_edit", "standby", "live_comments"] {
        assert!(there.iter().any(|one| one == field), "{field}: {there:?}");
    }
    let refused: Vec<_> = rows
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["state"] != "subscribed")
        .map(|row| (row["field"].clone(), row["state"].clone(), row["code"].clone()))
        .collect();
    let expected = |field: &str| (json!(field), json!("refused"), json!(200));
    assert_eq!(refused, [expected("comments"), expected("mentions")]);
    let (_, findings) = verb(&lab, &["accounts", "check", IG]).await;
    let shown = findings.to_string();
    assert!(shown.contains("comments do not arrive") && shown.contains("code 200"), "{shown}");

    lab.run(Role::Worker).await;
    lab.ready(Role::Worker).await;
    lab.run(Role::Projector).await;
    lab.run(Role::Api).await;
    lab.ready(Role::Projector).await;
    lab.ready(Role::Api).await;
    let (status, health) = lab.api().get(&format!("/v1/accounts/{IG}/health")).await;
    assert_eq!(status, 200, "{health}");
    assert_eq!(health["webhook_fields"]["refused"][0]["field"], "comments", "{health}");
    assert_eq!(health["diagnosis"]["code"], "fields_withheld", "{health}");
    assert_eq!(health["token"]["valid"], true, "{health}");
    let (_, status) = verb(&lab, &["status"]).await;
    assert_eq!(
        status["accounts_to_tend"][0]["fields_withheld"],
        json!(["instagram/comments", "instagram/mentions"]),
        "{status}"
    );
    // Granted since: asked for through the API, it is there.
    shop.refuse_fields(&[], 200);
    let path = format!("/v1/accounts/{IG}/subscribe?wait=20s");
    let (status, done) = lab.api().post(&path, json!({})).await;
    assert_eq!((status, &done["status"]), (200, &json!("done")), "{done}");
    assert_eq!(done["result"]["refused"], json!([]), "{done}");
    assert!(shop.subscribed_fields().iter().any(|field| field == "comments"));
    // Nothing is missing: Meta is asked what there is, and for nothing.
    let before = shop.count(CallKind::Subscription);
    assert_eq!(verb(&lab, &["accounts", "subscribe", IG]).await.0, 0);
    assert_eq!(shop.count(CallKind::Subscription), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_behind_a_page_is_asked_for_twice_and_may_lack_the_second() {
    let lab = Lab::start().await;
    let shop = lab.simulator.add_account(AccountSpec::instagram_by_page(IG, PAGE)).unwrap();
    shop.set_subscribed_fields(&[], &["feed"]);
    shop.refuse_fields(&simulator::INSTAGRAM_FIELDS, 100);
    // On the Page `messages` and some others have the same names, and are refused too.
    lab.add_account("instagram", "facebook", IG, &shop.token(), &["--page-id", PAGE]).await;
    assert_eq!(shop.subscribed_fields(), Vec::<String>::new());
    assert!(shop.subscribed_page_fields().iter().any(|field| field == "feed"), "it is kept");
    let (code, _) = verb(&lab, &["accounts", "subscribe", IG]).await;
    assert_eq!(code, 1, "messages do not arrive");
    shop.refuse_fields(&["comments"], 100);
    let (code, rows) = verb(&lab, &["accounts", "subscribe", IG]).await;
    assert_eq!(code, 0, "{rows}");
    let page = shop.subscribed_page_fields();
    for field in ["feed", "messages", "message_edits", "message_echoes"] {
        assert!(page.iter().any(|one| one == field), "{field}: {page:?}");
    }
    let own = shop.subscribed_fields();
    assert!(own.iter().any(|field| field == "story_insights"), "{own:?}");
    assert!(own.iter().all(|field| field != "comments"), "{own:?}");
    assert!(shop.count(CallKind::DebugToken) > 0, "our app is known by the token");
}
