//! Pages: every row once, whatever comes meanwhile; and filters.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tests::Api;
use tests::body::{IG, PAGE, body, change, now, text};

use super::{conversation_of, is_problem, lab, person, webhook, written};

/// The ids of one page, and where to go on.
async fn page(
    api: &Api,
    path: &str,
    field: &str,
    cursor: Option<&str>,
) -> (Vec<String>, Option<String>) {
    let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
    let (status, page) = api.get(&format!("{path}{cursor}")).await;
    assert_eq!(status, 200, "{page}");
    let ids =
        page[field].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned());
    (ids.collect(), page["next_cursor"].as_str().map(str::to_owned))
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_every_row_once_while_new_ones_come() {
    let lab = lab().await;
    let api = lab.api();
    // Three at the same millisecond each: ties must not hide or repeat any.
    let began = now() - 100_000;
    let items: Vec<Value> = (0..30_i64)
        .map(|n| text(IG, &person(1), &format!("mid.{n}"), began + n / 3, &n.to_string()))
        .collect();
    webhook(&lab, IG, &items).await;
    for n in 2..9 {
        let item = text(IG, &person(n), &format!("mid.of.{n}"), began, "the same moment");
        webhook(&lab, IG, &[item]).await;
    }
    let id = conversation_of(&lab, IG, &person(1)).await;
    lab.settled().await;

    let path = format!("/v1/conversations/{id}/messages?limit=7");
    let (mut seen, mut cursor) = page(&api, &path, "messages", None).await;
    assert_eq!(seen.len(), 7);
    let mut n = 100;
    while let Some(next) = cursor {
        // A new message before every page.
        n += 1;
        webhook(&lab, IG, &[text(IG, &person(1), &format!("mid.{n}"), now(), "newer")]).await;
        lab.settled().await;
        let (ids, next) = page(&api, &path, "messages", Some(&next)).await;
        seen.extend(ids);
        cursor = next;
    }
    assert_eq!(seen.len(), 30, "no more, no less");
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 30, "none twice");

    let path = "/v1/conversations?limit=3";
    let (mut seen, mut cursor) = page(&api, path, "conversations", None).await;
    while let Some(next) = cursor {
        n += 1;
        webhook(&lab, IG, &[text(IG, &person(n), &format!("mid.{n}"), now(), "somebody new")])
            .await;
        lab.settled().await;
        let (ids, next) = page(&api, path, "conversations", Some(&next)).await;
        seen.extend(ids);
        cursor = next;
    }
    assert_eq!((seen.len(), seen.iter().collect::<BTreeSet<_>>().len()), (8, 8));

    // A cursor is for its list and its filters; a page ends exactly at its limit.
    let (_, cursor) = page(&api, path, "conversations", None).await;
    let cursor = cursor.unwrap();
    for wrong in [
        format!("/v1/conversations?unread=true&cursor={cursor}"),
        format!("/v1/conversations/{id}/messages?cursor={cursor}"),
        format!("/v1/blocklist?cursor={cursor}"),
        format!("/v1/conversations?cursor={cursor}x"),
    ] {
        let answer = api.get(&wrong).await;
        is_problem(&answer, 422, "invalid");
        assert_eq!(answer.1["field"], "cursor", "{wrong}");
    }
    let (_, whole) = api.get("/v1/conversations?limit=200").await;
    let total = whole["total"].as_u64().unwrap();
    let (ids, next) =
        page(&api, &format!("/v1/conversations?limit={total}"), "conversations", None).await;
    assert_eq!((ids.len() as u64, next), (total, None), "the end is reported with the last row");
    for wrong in ["0", "201", "-1", "x"] {
        let answer = api.get(&format!("/v1/conversations?limit={wrong}")).await;
        is_problem(&answer, 422, "invalid");
        assert_eq!(answer.1["field"], "limit", "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_and_their_totals() {
    let lab = lab().await;
    let api = lab.api();
    let lamp = written(&lab, IG, 1, "Is the green lamp 50% off_today?").await;
    let chair = written(&lab, IG, 2, "Do you have chairs?").await;
    let page_one = written(&lab, PAGE, 3, "Lamps?").await;
    lab.settled().await;
    let find = async |query: &str| -> BTreeSet<String> {
        let (status, page) = api.get(&format!("/v1/conversations?{query}")).await;
        assert_eq!(status, 200, "{query}: {page}");
        let rows = page["conversations"].as_array().unwrap();
        assert_eq!(page["total"], rows.len(), "{query}: {page}");
        rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    };
    let set = |ids: &[&String]| ids.iter().map(|id| (*id).clone()).collect::<BTreeSet<_>>();
    assert_eq!(find("").await, set(&[&lamp, &chair, &page_one]));
    assert_eq!(find("channel=instagram").await, set(&[&lamp, &chair]));
    assert_eq!(find(&format!("account_id={PAGE}")).await, set(&[&page_one]));
    assert_eq!(find(&format!("channel=instagram&account_id={PAGE}")).await, set(&[]));
    assert_eq!(find("q=LAMP").await, set(&[&lamp, &page_one]));
    assert_eq!(find("q=50%25%20off_").await, set(&[&lamp]), "taken as it is");
    assert_eq!(find("q=5%25off").await, set(&[]));
    assert_eq!(find(&format!("q={}", person(2))).await, set(&[&chair]));
    assert_eq!(find("q=IG%20User").await, set(&[&lamp, &chair]), "by name");

    let (status, _) = api.post(&format!("/v1/conversations/{lamp}/read"), json!({})).await;
    assert_eq!(status, 200);
    assert_eq!(find("unread=true").await, set(&[&chair, &page_one]));
    assert_eq!(find("unread=false").await, set(&[&lamp]));
    let to = json!({"assigned_to": "Ann Berg"});
    let (status, assigned) = api.post(&format!("/v1/conversations/{chair}/assign"), to).await;
    assert_eq!((status, &assigned["assigned_to"]), (200, &json!("Ann Berg")));
    assert_eq!(find("assigned_to=Ann%20Berg").await, set(&[&chair]));
    assert_eq!(find("assigned_to=").await, set(&[&lamp, &page_one]));
    assert_eq!(find("assigned_to=Bob").await, set(&[]));
    let (status, archived) =
        api.post(&format!("/v1/conversations/{lamp}/archive"), json!({})).await;
    assert_eq!((status, &archived["archived"]), (200, &json!(true)));
    assert_eq!(find("archived=true").await, set(&[&lamp]));
    assert_eq!(find("archived=false").await, set(&[&chair, &page_one]));
    assert_eq!(find("").await, set(&[&chair, &page_one]), "archived ones are out of the way");
    assert_eq!(find("archived=true&unread=true").await, set(&[]));
    for (query, field) in [
        ("channel=telegram", "channel"),
        ("archived=perhaps", "archived"),
        ("unread=2", "unread"),
        ("colour=red", "colour"),
        ("limit=1&limit=2", "limit"),
    ] {
        let answer = api.get(&format!("/v1/conversations?{query}")).await;
        is_problem(&answer, 422, "invalid");
        assert_eq!(answer.1["field"], field, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_that_two_accounts_know_is_two_rows_on_two_pages() {
    const OTHER: &str = "17841400000000102";
    let lab = lab().await;
    let api = lab.api();
    lab.add_account("instagram", "instagram", OTHER, "no-graph-needed", &[]).await;
    let at = now() / 1000 * 1000;
    for account in [IG, OTHER] {
        let value = json!({"id": "17900000000000001", "text": "hi", "from": {"id": person(8), "username": "ann"},
            "media": {"id": "17800000000000001", "media_product_type": "FEED"}});
        let posted = body("instagram", &[change(account, at, "comments", value)]);
        assert_eq!(lab.meta().post("/webhooks/instagram", &posted).await, 200);
    }
    lab.settled().await;
    let (_, both) = api.get("/v1/comments").await;
    assert_eq!(both["total"], 2, "{both}");
    assert_eq!(both["comments"][0]["created_at"], both["comments"][1]["created_at"]);
    let (_, first) = api.get("/v1/comments?limit=1").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let (_, second) = api.get(&format!("/v1/comments?limit=1&cursor={cursor}")).await;
    let rows = [&first["comments"][0], &second["comments"][0]];
    let accounts: BTreeSet<_> = rows.iter().map(|row| row["account_id"].as_str()).collect();
    assert_eq!(accounts, [Some(IG), Some(OTHER)].into(), "{first} {second}");
    assert_eq!(second["next_cursor"], Value::Null);
    // Acting on it needs to know by whom.
    is_problem(
        &api.post("/v1/comments/17900000000000001/replies", json!({"text": "a"})).await,
        409,
        "ambiguous",
    );
}
