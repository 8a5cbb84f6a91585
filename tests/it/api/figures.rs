//! Figures through the API, as Meta then shows them.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::{AccountSpec, CallKind, Fault, FaultRule};
use tests::body::{IG, PAGE};
use tests::{Api, eventually};

use super::{has_fields, is_problem, lab_without_accounts};

const REFRESH: &str = "/v1/insights/refresh?wait=25s";

async fn refresh(api: &Api, body: Value) -> Value {
    let (status, state) = api.post(REFRESH, body).await;
    assert_eq!((status, &state["command"]), (200, &json!("insights_refresh")), "{state}");
    state
}

async fn listed(api: &Api, filters: &str, wanted: usize) -> Vec<Value> {
    eventually("the figures are listed", Duration::from_secs(20), async || {
        let (_, page) = api.get(&format!("/v1/insights?{filters}")).await;
        let rows = page["insights"].as_array().cloned().unwrap_or_default();
        if rows.len() == wanted { Ok(rows) } else { Err(page.to_string()) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_read_and_a_metric_that_meta_has_no_more_costs_only_itself() {
    let lab = lab_without_accounts().await;
    let account = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    lab.add_account("instagram", "instagram", IG, &account.token(), &[]).await;
    let page = lab.simulator.add_account(AccountSpec::messenger(PAGE)).unwrap();
    lab.add_account("messenger", "facebook", PAGE, &page.token(), &[]).await;
    let api = lab.api();

    // One that is retired would fail the whole request: it is not asked for, and named with its successor.
    let asked = json!({"account_id": IG, "scope": "account",
        "metrics": ["impressions", "reach", "views", "online_followers"]});
    let (status, done) = api.post_once(REFRESH, "once", asked.clone()).await;
    assert_eq!((status, &done["status"]), (200, &json!("done")), "{done}");
    let result = &done["result"];
    assert_eq!(result["captured"], json!(["reach", "views"]), "{done}");
    assert_eq!(result["empty"], json!(["online_followers"]), "{done}");
    assert_eq!(result["refused"][0]["metric"], "impressions", "{done}");
    assert_eq!(result["refused"][0]["successor"], "views", "{done}");
    let calls = account.calls(Some(CallKind::Insights));
    assert!(!calls.is_empty() && calls.iter().all(|call| call.status == Some(200)), "{calls:?}");
    let (_, again) = api.post_once(REFRESH, "once", asked).await;
    assert_eq!(again["command_id"], done["command_id"]);
    assert_eq!(account.count(CallKind::Insights), calls.len() as u64, "a key is one command");

    let rows = listed(&api, &format!("account_id={IG}&scope=account"), 2).await;
    has_fields(&rows[0], "account_id channel scope id metric period values captured_at");
    let reach = rows.iter().find(|row| row["metric"] == "reach").unwrap();
    assert_eq!((&reach["period"], &reach["id"]), (&json!("day"), &Value::Null), "{reach}");
    assert!(reach["values"][0]["value"].is_u64(), "{reach}");
    let captured_at = reach["captured_at"].as_str().unwrap();
    listed(&api, &format!("since={captured_at}&metric=reach"), 1).await;
    listed(&api, &format!("until={captured_at}&metric=reach"), 0).await;

    // What only Meta knows not to fit is found by asking one by one.
    let media = account.media("The green lamp");
    let done = refresh(
        &api,
        json!({"account_id": IG, "scope": "media", "id": media, "metrics": ["likes", "reels_skip_rate", "saved"]}),
    )
    .await;
    assert_eq!(done["result"]["captured"], json!(["likes", "saved"]), "{done}");
    assert_eq!(done["result"]["refused"][0]["metric"], "reels_skip_rate", "{done}");
    assert_eq!(done["result"]["refused"][0]["code"], 100, "{done}");
    listed(&api, &format!("id={media}"), 2).await;

    // Few viewers are no missing permission.
    let story = account.story(3);
    let metrics = json!(["views", "navigation"]);
    let done =
        refresh(&api, json!({"account_id": IG, "scope": "story", "id": story, "metrics": metrics}))
            .await;
    assert_eq!(
        (&done["status"], &done["result"]["too_few_viewers"]),
        (&json!("done"), &json!(true)),
        "{done}"
    );
    let story = account.story(80);
    refresh(&api, json!({"account_id": IG, "scope": "story", "id": story, "metrics": metrics}))
        .await;
    listed(&api, &format!("scope=story&id={story}"), 2).await;

    // A read is repeated until Meta answers.
    lab.simulator.fault(FaultRule::new(Fault::TimeoutBefore).on(CallKind::Insights).times(1));
    let done =
        refresh(&api, json!({"account_id": IG, "scope": "account", "metrics": ["likes"]})).await;
    assert_eq!(done["status"], "done", "{done}");

    let failed =
        refresh(&api, json!({"account_id": IG, "scope": "account", "metrics": ["saved"]})).await;
    assert_eq!(failed["error"]["code"], "metrics_refused", "{failed}");
    let failed =
        refresh(&api, json!({"account_id": PAGE, "scope": "account", "metrics": ["reach"]})).await;
    assert_eq!(failed["error"]["code"], "unsupported", "{failed}");
    for (body, status, code) in [
        (json!({"account_id": "404", "scope": "account", "metrics": ["reach"]}), 404, "not_found"),
        (json!({"account_id": IG, "scope": "media", "metrics": ["reach"]}), 422, "invalid"),
        (json!({"account_id": IG, "scope": "account", "metrics": []}), 422, "invalid"),
        (json!({"account_id": IG, "scope": "account", "metrics": [1]}), 422, "invalid"),
    ] {
        is_problem(&api.post(REFRESH, body).await, status, code);
    }
}
