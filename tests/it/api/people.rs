//! What people who answer need beside replies: labels, notes, snooze, saved replies.

use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};
use tests::body::{IG, now, text};
use tests::client::Api;

use super::{is_problem, lab, person, webhook, written};

/// The time so many seconds from now, as a request has it.
fn in_seconds(seconds: i64) -> String {
    (Utc::now() + chrono::TimeDelta::seconds(seconds)).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The ids of a list of conversations.
async fn listed(api: &Api, filter: &str) -> Vec<String> {
    let (status, page) = api.get(&format!("/v1/conversations?{filter}")).await;
    assert_eq!(status, 200, "{page}");
    let rows = page["conversations"].as_array().unwrap();
    assert_eq!(page["total"], rows.len(), "{page}");
    rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// A request with a key of its own.
async fn once(api: &Api, method: &str, path: &str, key: &str, body: &Value) -> (u16, Value) {
    let method = method.parse().unwrap();
    let request = api.http.request(method, format!("{}{path}", api.url)).bearer_auth(&api.token);
    let answer = request.header("idempotency-key", key).json(body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

async fn labels(api: &Api, ann: &str, bob: &str) {
    let path = format!("/v1/conversations/{ann}/labels");
    let put = async |name: &str, key: &str| {
        once(api, "PUT", &format!("{path}/{name}"), key, &json!({})).await
    };
    let (status, shown) = put("vip", "l1").await;
    assert_eq!((status, &shown["labels"]), (200, &json!(["vip"])), "{shown}");
    assert_eq!(put("vip", "l2").await.1["labels"], json!(["vip"]), "once is enough");
    // Spaces around it are none of it; upper case is another label.
    assert_eq!(put("%20Order%2F7%20", "l3").await.1["labels"], json!(["Order/7", "vip"]));
    assert_eq!(listed(api, "label=vip").await, [ann]);
    assert_eq!(listed(api, "label=%20vip").await, [ann]);
    assert_eq!(listed(api, "label=VIP").await, [] as [String; 0]);
    assert_eq!(listed(api, "label=vip&q=two").await, [ann]);
    assert_eq!(listed(api, "label=vip&q=nowhere").await, [] as [String; 0]);
    let long = "x".repeat(65);
    for wrong in ["%20", "a%0Ab", "a%00b", &long] {
        let answer = put(wrong, "l4").await;
        is_problem(&answer, 422, "invalid");
        assert_eq!(answer.1["field"], "name");
    }
    is_problem(&api.get("/v1/conversations?label=").await, 422, "invalid");
    is_problem(
        &once(api, "PUT", "/v1/conversations/cnv_none/labels/a", "l5", &json!({})).await,
        404,
        "not_found",
    );
    is_problem(&put("other", "l1").await, 409, "key_reused");
    let off = async |of: &str, name: &str, key: &str| {
        once(api, "DELETE", &format!("/v1/conversations/{of}/labels/{name}"), key, &json!({})).await
    };
    assert_eq!(off(ann, "vip", "l6").await.1["labels"], json!(["Order/7"]));
    assert_eq!(off(bob, "vip", "l7").await.1["labels"], json!([]));
    assert_eq!(listed(api, "label=vip").await, [] as [String; 0]);
    assert_eq!(put("vip", "l8").await.1["labels"], json!(["Order/7", "vip"]));
}

async fn notes(api: &Api, ann: &str, bob: &str) {
    let path = format!("/v1/conversations/{ann}/notes");
    let mut written = Vec::new();
    for n in 0..3 {
        let (status, note) = api.post(&path, json!({"text": format!("note {n}")})).await;
        assert_eq!((status, &note["by"]), (201, &json!("tester")), "{note}");
        written.push(note["id"].clone());
    }
    let (_, first) = once(api, "POST", &path, "n", &json!({"text": "once"})).await;
    let (status, again) = once(api, "POST", &path, "n", &json!({"text": "once"})).await;
    assert_eq!((status, &again), (201, &first));
    is_problem(&once(api, "POST", &path, "n", &json!({"text": "twice"})).await, 409, "key_reused");
    written.push(first["id"].clone());
    written.reverse();
    let (_, page) = api.get(&format!("{path}?limit=3")).await;
    let (_, rest) =
        api.get(&format!("{path}?cursor={}", page["next_cursor"].as_str().unwrap())).await;
    let ids = |page: &Value| {
        page["notes"].as_array().unwrap().iter().map(|note| note["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!([ids(&page), ids(&rest)].concat(), written);
    assert_eq!(rest["next_cursor"], Value::Null);
    let (_, none) = api.get(&format!("/v1/conversations/{bob}/notes")).await;
    assert_eq!(none["notes"], json!([]));
    for (body, field) in [
        (json!({}), "text"),
        (json!({"text": " "}), "text"),
        (json!({"text": "a", "to": "meta"}), "to"),
    ] {
        let answer = api.post(&path, body).await;
        is_problem(&answer, 422, "invalid");
        assert_eq!(answer.1["field"], field);
    }
    is_problem(&api.get("/v1/conversations/cnv_none/notes").await, 404, "not_found");
}

/// Snoozes Ann until later, and Bob until a moment that is past when the next step begins.
async fn snooze(lab: &tests::Lab, api: &Api, ann: &str, bob: &str) {
    let path = |id: &str| format!("/v1/conversations/{id}/snooze");
    for wrong in
        [json!({"until": "tomorrow"}), json!({"until": 7}), json!({"till": "2030-01-01T00:00:00Z"})]
    {
        is_problem(&api.post(&path(ann), wrong).await, 422, "invalid");
    }
    is_problem(&api.post(&path("cnv_none"), json!({})).await, 404, "not_found");
    assert_eq!(listed(api, "").await.len(), 2);
    let until = in_seconds(3_600);
    let (status, shown) = api.post(&path(ann), json!({"until": until})).await;
    assert_eq!((status, &shown["snoozed_until"]), (200, &json!(until)), "{shown}");
    assert_eq!(listed(api, "").await, [bob]);
    assert_eq!(listed(api, "snoozed=true").await, [ann]);
    assert_eq!(listed(api, "snoozed=true&q=two").await, [ann]);
    assert_eq!(listed(api, &format!("account_id={IG}")).await, [bob]);
    // It ends at its time by itself, and by an act.
    let (_, shown) = api.post(&path(bob), json!({"until": in_seconds(-5)})).await;
    assert_eq!(shown["snoozed_until"], Value::Null, "{shown}");
    api.post(&path(bob), json!({"until": in_seconds(2)})).await;
    tests::eventually("Bob is back", std::time::Duration::from_secs(30), async || {
        let ids = listed(api, "").await;
        if ids == [bob] { Ok(()) } else { Err(format!("{ids:?}")) }
    })
    .await;
    let (_, shown) = api.post(&path(ann), json!({})).await;
    assert_eq!(shown["snoozed_until"], Value::Null);
    assert_eq!(listed(api, "").await.len(), 2);
    // What we send wakes nothing; what the person sends does.
    api.post(&path(ann), json!({"until": until})).await;
    webhook(lab, IG, &[tests::body::echo(IG, &person(1), "mid.ours", now() + 1, "ours")]).await;
    lab.settled().await;
    assert_eq!(listed(api, "snoozed=true").await, [ann]);
    webhook(lab, IG, &[text(IG, &person(1), "mid.woke", now() + 2_000, "woke")]).await;
    lab.settled().await;
    assert_eq!(listed(api, "").await.len(), 2);
    assert_eq!(api.get(&format!("/v1/conversations/{ann}")).await.1["snoozed_until"], Value::Null);
    // Snoozed again, after that message.
    let (_, shown) = api.post(&path(ann), json!({"until": until})).await;
    assert_eq!(shown["snoozed_until"], json!(until));
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_notes_and_snooze_are_events_and_a_rebuild_ends_in_the_same_rows() {
    let lab = lab().await;
    let api = lab.api();
    let (ann, bob) = (written(&lab, IG, 1, "one two").await, written(&lab, IG, 2, "hello").await);
    let commands = lab.last_sequence("INBOX_COMMANDS").await;
    labels(&api, &ann, &bob).await;
    notes(&api, &ann, &bob).await;
    snooze(&lab, &api, &ann, &bob).await;
    assert_eq!(lab.last_sequence("INBOX_COMMANDS").await, commands, "none of it has a way to Meta");
    for event in lab.events().await {
        let kind = event["type"].as_str().unwrap();
        let is_act =
            ["labelled", "unlabelled", "noted", "snoozed"].iter().any(|act| kind.contains(act));
        if is_act {
            assert_eq!(event["data"]["origin"]["via"], "api", "{event}");
            assert_eq!(event["data"]["by"], "tester", "{event}");
        }
    }
    let rows = async || {
        let conversation = api.get(&format!("/v1/conversations/{ann}")).await.1;
        let notes = api.get(&format!("/v1/conversations/{ann}/notes")).await.1["notes"].clone();
        (conversation, notes)
    };
    let before = rows().await;
    lab.hookline_ok(&["verify"]).await;
    lab.hookline_ok(&["verify", "--sample", "2"]).await;
    lab.hookline_ok(&["rebuild", "--swap"]).await;
    lab.settled().await;
    assert_eq!(rows().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn saved_replies_are_kept_changed_and_deleted() {
    let lab = lab().await;
    let api = lab.api();
    let body = json!({"name": " Hours ", "text": "9 to 5"});
    let (status, hours) = once(&api, "POST", "/v1/saved_replies", "s1", &body).await;
    assert_eq!(
        (status, &hours["name"], &hours["account_ids"]),
        (201, &json!("Hours"), &Value::Null),
        "{hours}"
    );
    assert_eq!(once(&api, "POST", "/v1/saved_replies", "s1", &body).await, (201, hours.clone()));
    let other = json!({"name": "Hours", "text": "8 to 4"});
    is_problem(&once(&api, "POST", "/v1/saved_replies", "s1", &other).await, 409, "key_reused");
    let of_ig = json!({"name": "Returns", "text": "Within 30 days", "account_ids": [IG]});
    let (status, returns) = api.post("/v1/saved_replies", of_ig).await;
    assert_eq!((status, &returns["account_ids"]), (201, &json!([IG])), "{returns}");
    let names = async |filter: &str| {
        let (_, page) = api.get(&format!("/v1/saved_replies{filter}")).await;
        let rows = page["saved_replies"].as_array().unwrap().clone();
        rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("").await, ["Returns", "Hours"]);
    assert_eq!(names(&format!("?account_id={IG}")).await, ["Returns", "Hours"]);
    assert_eq!(names(&format!("?account_id={}", tests::body::PAGE)).await, ["Hours"]);
    let path = format!("/v1/saved_replies/{}", hours["id"].as_str().unwrap());
    let (status, changed) = once(&api, "PUT", &path, "s2", &other).await;
    assert_eq!((status, &changed["text"], &changed["id"]), (200, &json!("8 to 4"), &hours["id"]));
    for (body, code, field) in [
        (json!({"name": "", "text": "a"}), "invalid", "name"),
        (json!({"name": "a", "text": ""}), "invalid", "text"),
        (json!({"name": "a", "text": "a", "account_ids": []}), "invalid", "account_ids"),
        (json!({"name": "a", "text": "a", "account_ids": ["1"]}), "not_found", ""),
    ] {
        let answer = api.post("/v1/saved_replies", body).await;
        assert_eq!(
            (&answer.1["code"], answer.1["field"].as_str().unwrap_or_default()),
            (&json!(code), field),
            "{answer:?}"
        );
    }
    assert_eq!(once(&api, "DELETE", &path, "s3", &json!({})).await.0, 204);
    is_problem(&once(&api, "DELETE", &path, "s3", &json!({})).await, 404, "not_found");
    is_problem(&once(&api, "PUT", &path, "s2", &other).await, 404, "not_found");
    assert_eq!(names("").await, ["Returns"]);
}
