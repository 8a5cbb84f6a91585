//! The shape of every answer: which fields, also those that are null, and the form of times.

use std::time::Duration;

use serde_json::{Value, json};
use tests::body::{IG, PAGE, change, now, text};
use tests::{Lab, Role, eventually, fixture};

use super::{
    conversation_of, fields, has_fields, is_problem, is_time, lab, person, webhook, written,
};

const CONVERSATION: &str = "id channel account_id contact last_message last_message_at unread_count window_expires_at archived assigned_to labels snoozed_until";
const MESSAGE: &str = "id message_id direction text attachments reply_to reactions sent_at edited_at deleted_at delivered_at read_at referral sent_by reply_id";

#[tokio::test(flavor = "multi_thread")]
async fn conversations_and_messages_have_exactly_the_promised_fields() {
    let lab = lab().await;
    let api = lab.api();
    let (status, empty) = api.get("/v1/conversations").await;
    assert_eq!(
        (status, empty),
        (200, json!({"conversations": [], "total": 0, "next_cursor": null}))
    );

    let sent_at = now() - 5_000;
    let quoting = json!({"sender": {"id": person(1)}, "recipient": {"id": IG}, "timestamp": sent_at + 1, "message": {
        "mid": "mid.2", "text": "this one", "reply_to": {"mid": "mid.1"}}});
    let image = json!({"sender": {"id": person(1)}, "recipient": {"id": IG}, "timestamp": sent_at + 2, "message": {
        "mid": "mid.3", "attachments": [{"type": "image", "payload": {"url": "https://example.com/a.png"}}]}});
    let liked = json!({"sender": {"id": person(1)}, "recipient": {"id": IG}, "timestamp": sent_at + 3,
        "reaction": {"mid": "mid.1", "action": "react", "reaction": "love", "emoji": "❤"}});
    let first = text(IG, &person(1), "mid.1", sent_at, "Grüße 👋 \"quoted\"\n<b>");
    webhook(&lab, IG, &[first, quoting, image, liked]).await;
    let id = conversation_of(&lab, IG, &person(1)).await;
    lab.settled().await;

    let (_, page) = api.get("/v1/conversations").await;
    has_fields(&page, "conversations total next_cursor");
    assert_eq!((&page["total"], &page["next_cursor"]), (&json!(1), &Value::Null));
    let listed = &page["conversations"][0];
    has_fields(listed, CONVERSATION);
    has_fields(&listed["contact"], "id name username avatar_url placeholder");
    assert_eq!(listed["contact"]["id"], person(1));
    assert_eq!(listed["contact"]["name"], listed["contact"]["placeholder"]);
    assert_eq!(listed["contact"]["username"], Value::Null);
    assert_eq!((&listed["channel"], &listed["account_id"]), (&json!("instagram"), &json!(IG)));
    assert_eq!((&listed["archived"], &listed["assigned_to"]), (&json!(false), &Value::Null));
    assert_eq!(listed["unread_count"], 3);
    assert_eq!(listed["last_message"]["message_id"], "mid.3");
    is_time(&listed["last_message_at"]);
    is_time(&listed["window_expires_at"]);
    let time = |value: &Value| {
        chrono::DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap().timestamp_millis()
    };
    assert_eq!(time(&listed["last_message_at"]), sent_at + 2);
    assert_eq!(time(&listed["window_expires_at"]), sent_at + 2 + 86_400_000);
    let (status, one) = api.get(&format!("/v1/conversations/{id}")).await;
    assert_eq!((status, &one), (200, listed));

    let (_, page) = api.get(&format!("/v1/conversations/{id}/messages")).await;
    has_fields(&page, "messages next_cursor");
    let messages = page["messages"].as_array().unwrap();
    let mids: Vec<_> = messages.iter().map(|m| m["message_id"].as_str().unwrap()).collect();
    assert_eq!(mids, ["mid.3", "mid.2", "mid.1"], "newest first");
    for message in messages {
        has_fields(message, MESSAGE);
        is_time(&message["sent_at"]);
        assert_eq!(message["direction"], "inbound");
        assert!(message["id"].as_str().unwrap().starts_with("msg_"));
        for unset in [
            "edited_at",
            "deleted_at",
            "delivered_at",
            "read_at",
            "referral",
            "sent_by",
            "reply_id",
        ] {
            assert_eq!(message[unset], Value::Null, "{unset}");
        }
    }
    assert_eq!(messages[2]["text"], "Grüße 👋 \"quoted\"\n<b>");
    assert_eq!(messages[2]["reactions"].as_array().unwrap().len(), 1);
    assert_eq!(messages[1]["reply_to"]["message_id"], "mid.1");
    assert_eq!(messages[0]["attachments"][0]["type"], "image");
    assert_eq!((&messages[0]["text"], &messages[2]["attachments"]), (&Value::Null, &json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_else_has_exactly_the_promised_fields() {
    let lab = lab().await;
    let api = lab.api();
    for (path, field) in [
        ("blocklist", "blocklist"),
        ("comments", "comments"),
        ("mentions", "mentions"),
        ("feed", "posts"),
        ("insights", "insights"),
    ] {
        let (status, page) = api.get(&format!("/v1/{path}")).await;
        assert_eq!(
            (status, page),
            (200, json!({field: [], "total": 0, "next_cursor": null})),
            "{path}"
        );
    }
    let id = written(&lab, PAGE, 7, "hello").await;
    let (status, contact) = api.get(&format!("/v1/contacts/{}", person(7))).await;
    assert_eq!(status, 200, "{contact}");
    has_fields(
        &contact,
        "id channel account_id conversation_id name username avatar_url placeholder enriched profile enriched_at blocked",
    );
    assert_eq!((&contact["id"], &contact["conversation_id"]), (&json!(person(7)), &json!(id)));

    let (status, accounts) = api.get("/v1/accounts").await;
    assert_eq!((status, &accounts["total"]), (200, &json!(2)), "{accounts}");
    has_fields(&accounts, "accounts total next_cursor");
    for account in accounts["accounts"].as_array().unwrap() {
        has_fields(
            account,
            "id channel login name app page_id aliases auto_reply state state_reason state_since added_at",
        );
        is_time(&account["added_at"]);
        is_time(&account["state_since"]);
    }
    assert!(!accounts.to_string().contains("no-graph-needed"), "a token of Meta is shown");
    let (status, health) = api.get(&format!("/v1/accounts/{PAGE}/health")).await;
    assert_eq!(status, 200, "{health}");
    has_fields(
        &health,
        "id channel state state_reason state_since diagnosis token scopes webhook_fields completeness last_webhooks ids last_message_at conversations unread_conversations worker",
    );
    assert_eq!((&health["conversations"], &health["unread_conversations"]), (&json!(1), &json!(1)));
    is_time(&health["last_message_at"]);
    is_problem(&api.get("/v1/accounts/404/health").await, 404, "not_found");

    let (status, blocked) =
        api.post("/v1/blocklist", json!({"conversation_id": id, "reason": "spam"})).await;
    assert_eq!(status, 200, "{blocked}");
    has_fields(
        &blocked,
        "channel account_id contact_id conversation_id name reason blocked_by blocked_at",
    );
    assert_eq!((&blocked["reason"], &blocked["blocked_by"]), (&json!("spam"), &json!("tester")));
    is_time(&blocked["blocked_at"]);

    public_things(&lab).await;
}

/// Comments, posts and mentions, from the fixtures.
async fn public_things(lab: &Lab) {
    let api = lab.api();
    let commented = change(
        IG,
        now(),
        "comments",
        json!({"id": "17900000000000001", "text": "How much?", "from": {"id": person(8), "username": "ann"},
        "media": {"id": "17800000000000001", "media_product_type": "FEED"}}),
    );
    let mentioned = change(
        IG,
        now(),
        "mentions",
        json!({"media_id": "17800000000000002", "comment_id": "17900000000000002"}),
    );
    let posted = tests::body::body("instagram", &[commented, mentioned]);
    assert_eq!(lab.meta().post("/webhooks/instagram", &posted).await, 200);
    let post = String::from_utf8(fixture("messenger/fb-feed-post-add.json")).unwrap();
    let post: Value = serde_json::from_str(&post).unwrap();
    let mut post = post.get("body").cloned().unwrap_or(post);
    post["entry"][0]["id"] = json!(PAGE);
    let post = serde_json::to_vec(&post).unwrap();
    assert_eq!(lab.meta().post("/webhooks/facebook", &post).await, 200);
    let expected = [
        (
            "comments",
            "comments",
            "id channel account_id comment_id parent_id media_id post_id author text attachment live ad reactions hidden created_at edited_at deleted_at",
        ),
        (
            "mentions",
            "mentions",
            "id channel account_id media_id comment_id post_id item author_id author_username text mentioned_at deleted_at",
        ),
        (
            "feed",
            "posts",
            "id channel account_id post_id item author_id author_username text link photos video_id published hidden reactions comments_total created_at edited_at deleted_at",
        ),
    ];
    for (path, field, shape) in expected {
        let page = eventually(path, Duration::from_secs(20), async || {
            let (_, page) = api.get(&format!("/v1/{path}")).await;
            // Total and list are two looks: a row may come between them.
            let there = page["total"] == 1 && page[field][0].is_object();
            if there { Ok(page) } else { Err(page.to_string()) }
        })
        .await;
        has_fields(&page, &format!("{field} total next_cursor"));
        has_fields(&page[field][0], shape);
    }
    let (_, page) = api.get("/v1/comments?media_id=17800000000000001").await;
    let comment = &page["comments"][0];
    assert_eq!(comment["author"], json!({"id": person(8), "username": "ann", "self": false}));
    assert_eq!(
        (&comment["id"], &comment["comment_id"]),
        (&json!("17900000000000001"), &json!("17900000000000001"))
    );
    is_time(&comment["created_at"]);
    let (_, none) = api.get("/v1/comments?media_id=17800000000000009").await;
    assert_eq!(none["total"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn description_documentation_health_and_metrics_need_nobody_else() {
    // What `up` prints holds the token; a role's log must not.
    let lab = super::lab_apart(tests::LabOptions::default()).await;
    super::add_accounts(&lab).await;
    let api = lab.api();
    written(&lab, IG, 1, "secret words").await;
    let read = async |path: &str| {
        let answer = api.http.get(format!("{}{path}", api.url)).send().await.unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (answer.status().as_u16(), kind, answer.text().await.unwrap())
    };
    for (path, status) in [("/livez", "ok"), ("/readyz", "ready")] {
        let (code, kind, body) = read(path).await;
        assert_eq!((code, kind.as_str()), (200, "application/json"), "{path}");
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), json!({"status": status}));
    }
    // Figures are for operators, on a listener of their own.
    assert_eq!(read("/metrics").await.0, 404);
    let metrics = lab.metrics(Role::Api).await;
    assert!(
        metrics.contains("hookline_api_requests_total{route=\"/v1/conversations\",status=\"200\"}"),
        "{metrics}"
    );
    for secret in [person(1).as_str(), "secret words", tests::lab::API_TOKEN, "cnv_"] {
        assert!(!metrics.contains(secret), "metrics show `{secret}`");
        assert!(
            !lab.log(Role::Api).contains(secret) || secret == "cnv_",
            "the log shows `{secret}`"
        );
    }

    let (code, _, document) = read("/openapi.json").await;
    let document: Value = serde_json::from_str(&document).unwrap();
    assert!(code == 200 && document["openapi"].as_str().is_some_and(|v| v.starts_with("3.")));
    assert!(fields(&document["paths"]).contains(&"/v1/conversations/{id}/messages"));

    // The page and everything it names comes from here: no other host is asked.
    let (code, kind, page) = read("/docs/").await;
    assert!(code == 200 && kind.starts_with("text/html"), "{code} {kind}");
    let named: Vec<&str> = page
        .split(['"', '\''])
        .filter(|part| part.ends_with(".js") || part.ends_with(".css") || part.contains("://"))
        .collect();
    assert!(named.len() >= 3, "{named:?}");
    for name in named {
        assert!(!name.contains("://") && !name.starts_with("//"), "`{name}` is elsewhere");
        let (code, _, text) = read(&format!("/docs/{}", name.trim_start_matches("./"))).await;
        assert!(code == 200 && !text.is_empty(), "{name}: {code}");
        if name.contains("initializer") {
            assert!(text.contains("/openapi.json"), "{text}");
        }
    }
    let (code, ..) = read("/docs").await;
    assert_eq!(code, 200, "without the slash it is found as well");
}
