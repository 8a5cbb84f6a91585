//! What the items of the table in docs/contract.md 5 say: comments, feed, standby, opt-ins, references, several accounts in one body.

use serde_json::{Value, json};
use tests::body::{IG, PAGE, body, change, entry, now, text};

use super::{ANN, done, of_kind, plain, post, published};

const PERSON: &str = "7300000000000111";

#[tokio::test(flavor = "multi_thread")]
async fn comments_say_whose_they_are_where_and_what_became_of_them() {
    let lab = plain().await;
    lab.add_account("instagram", "instagram", IG, "t", &["--alias", "25500000000000101"]).await;
    lab.add_account("messenger", "facebook", PAGE, "t", &[]).await;
    let at = now() / 1000 * 1000;
    let comment = |id: &str, from: Value, media: Value| json!({"id": id, "from": from, "text": "nice", "media": media});
    let plain_media = json!({"id": "1790001", "media_product_type": "FEED"});
    let changes = [
        ("comments", comment("c1", json!({"id": ANN, "username": "ann"}), plain_media.clone())),
        ("comments", comment("c2", json!({"id": IG, "username": "shop"}), plain_media.clone())),
        (
            "comments",
            comment(
                "c3",
                json!({"id": ANN, "username": "shop", "self_ig_scoped_id": "5"}),
                plain_media,
            ),
        ),
        ("live_comments", comment("c4", json!({"id": ANN}), json!({"id": "1790002"}))),
        (
            "comments",
            comment(
                "c5",
                json!({"id": ANN}),
                json!({"id": "1790003", "media_product_type": "AD", "ad_id": 120, "ad_title": "Lamps", "original_media_id": "1790001"}),
            ),
        ),
    ];
    for (field, value) in changes {
        post(&lab, &body("instagram", &[change(IG, at, field, value)])).await;
    }
    let created = published(&lab, "comment.created", 5).await;
    let by_id = |id: &str| {
        created.iter().find(|event| event["data"]["comment_id"] == id).unwrap()["data"].clone()
    };
    assert_eq!((by_id("c1").get("self"), by_id("c1")["author"].get("self")), (None, None));
    for own in ["c2", "c3"] {
        assert_eq!(
            (&by_id(own)["self"], &by_id(own)["author"]["self"]),
            (&json!(true), &json!(true))
        );
    }
    assert_eq!((&by_id("c4")["live"], by_id("c1").get("live")), (&json!(true), None));
    assert_eq!(
        by_id("c5")["ad"],
        json!({"ad_id": "120", "ad_title": "Lamps", "original_media_id": "1790001"})
    );
    assert!(
        created.iter().all(
            |event| event["data"]["time_approximate"] == true && event.get("subject").is_none()
        )
    );

    let feed = |verb: &str, sent_at: i64, from: &str| {
        let value = json!({"item": "comment", "verb": verb, "comment_id": "103_7", "post_id": format!("{PAGE}_103"),
            "parent_id": format!("{PAGE}_103"), "from": {"id": from, "name": "Ann"}, "created_time": at / 1000 - 60, "message": "hm"});
        body("page", &[change(PAGE, sent_at, "feed", value)])
    };
    for (verb, kind) in [
        ("add", "created"),
        ("hide", "hidden"),
        ("unhide", "unhidden"),
        ("edited", "edited"),
        ("remove", "deleted"),
    ] {
        // Twice, sent at different times: one fact, except for acts that may come again and have no time of their own.
        post(&lab, &feed(verb, at, PERSON)).await;
        post(&lab, &feed(verb, at + 7_000, PERSON)).await;
        let times: &[(&str, usize)] = &[("add", 6), ("remove", 1)];
        let count = times.iter().find(|(word, _)| *word == verb).map_or(2, |(_, count)| *count);
        let published = published(&lab, &format!("comment.{kind}"), count).await;
        let data = &published.last().unwrap()["data"];
        assert_eq!((&data["comment_id"], &data["author"]["id"]), (&json!("103_7"), &json!(PERSON)));
        assert_eq!(data["post_id"], format!("{PAGE}_103"));
        assert!(data.get("parent_id").is_none(), "it stands on the post itself");
    }
    post(&lab, &feed("hide", at + 9_000, PAGE)).await;
    let own = published(&lab, "comment.hidden", 3).await;
    assert_eq!(own[2]["data"]["self"], true);
    done(&lab).await;
    assert!(lab.api().conversations().await.is_empty(), "comments make no conversation");
}

#[tokio::test(flavor = "multi_thread")]
async fn standby_references_and_secrets() {
    let lab = plain().await;
    lab.add_account("messenger", "facebook", PAGE, "t", &[]).await;
    let at = now();
    let item = |sender: Value, payload: Value| {
        let mut item = json!({"sender": sender, "recipient": {"id": PAGE}, "timestamp": at});
        item.as_object_mut().unwrap().extend(payload.as_object().unwrap().clone());
        item
    };
    let person = || json!({"id": PERSON});
    let reference = || json!({"user_ref": "plugin-ref-1"});
    let standby = json!({"id": PAGE, "time": at, "standby": [
        item(person(), json!({"message": {"mid": "m_standby", "text": "to the other app"}})),
        item(person(), json!({"postback": {"mid": "m_tap", "title": "Start"}})),
    ]});
    let messaging = json!({"id": PAGE, "time": at, "messaging": [
        item(person(), json!({"optin": {"type": "notification_messages", "notification_messages_token": "SECRET-TOKEN-1",
             "notification_messages_status": "RESUME NOTIFICATIONS", "token_expiry_timestamp": at + 1_000, "payload": "lamps"}})),
        item(person(), json!({"account_linking": {"status": "linked", "authorization_code": "SECRET-CODE-1"}})),
        item(reference(), json!({"optin": {"ref": "door", "user_ref": "plugin-ref-1"}})),
        item(reference(), json!({"postback": {"title": "Hello", "payload": "P"}})),
        item(person(), json!({"message": {"mid": "m_linked", "text": "it is me"}, "prior_message": {"source": "checkbox_plugin", "identifier": "plugin-ref-1"}})),
        item(json!({"id": "12345"}), json!({"postback": {"title": "short", "payload": "P"}})),
    ]});
    post(&lab, &body("page", &[standby, messaging])).await;
    published(&lab, "account_link.changed", 1).await;
    let events = done(&lab).await;
    let received = of_kind(&events, "message.received");
    assert_eq!(
        (&received[0]["data"]["standby"], received[1]["data"].get("standby")),
        (&json!(true), None)
    );
    assert_eq!(
        (&received[1]["data"]["user_ref"], &received[1]["data"]["contact_id"]),
        (&json!("plugin-ref-1"), &json!(PERSON))
    );
    let postbacks = of_kind(&events, "postback.received");
    assert_eq!(postbacks.len(), 2);
    assert_eq!(postbacks[0]["data"]["standby"], true);
    assert_eq!(
        (&postbacks[1]["data"]["user_ref"], postbacks[1].get("subject")),
        (&json!("plugin-ref-1"), None)
    );
    let optins = of_kind(&events, "optin.received");
    assert_eq!(
        (&optins[0]["data"]["status"], &optins[1]["data"]["user_ref"]),
        (&json!("RESUME_NOTIFICATIONS"), &json!("plugin-ref-1"))
    );
    let refused = of_kind(&events, "webhook.unrecognized");
    assert_eq!(
        refused.iter().map(|event| event["data"]["reason"].clone()).collect::<Vec<_>>(),
        ["refused_contact"]
    );
    // Secrets are in the raw webhook and sealed, nowhere else.
    assert!(
        events.iter().all(|event| !event.to_string().contains("SECRET-")),
        "a secret was published"
    );
    let sealed: Vec<(String, Vec<u8>)> =
        sqlx::query_as("select name, sealed from worker.secrets order by name")
            .fetch_all(lab.pool())
            .await
            .unwrap();
    assert_eq!(
        sealed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["authorization_code", "notification_messages_token"]
    );
    assert!(sealed.iter().all(|(_, bytes)| !bytes.windows(7).any(|window| window == b"SECRET-")));
    for role in tests::Role::ALL {
        assert!(!lab.log(role).contains("SECRET-"), "{}", role.name());
    }
    assert_eq!(lab.api().conversations().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_body_for_several_accounts_goes_to_each() {
    let lab = plain().await;
    let accounts = [IG, "17841400000000202", "17841400000000303"];
    for account in &accounts[..2] {
        lab.add_account("instagram", "instagram", account, "t", &[]).await;
    }
    let at = now();
    // The same mid and the same person's id under three accounts are three things.
    let entries: Vec<Value> = accounts
        .iter()
        .map(|account| entry(account, at, &[text(account, ANN, "mid.same", at, account)]))
        .collect();
    let mut bodies = vec![entries.clone()];
    bodies.extend(entries.into_iter().rev().map(|entry| vec![entry]));
    for entries in bodies {
        post(&lab, &body("instagram", &entries)).await;
    }
    published(&lab, "webhook.unrecognized", 2).await;
    let events = done(&lab).await;
    let received = of_kind(&events, "message.received");
    assert_eq!(received.len(), 2);
    assert!(received.iter().all(|event| event["data"]["text"] == event["data"]["account_id"]));
    assert_ne!(received[0]["subject"], received[1]["subject"]);
    assert_eq!(lab.api().conversations().await.len(), 2);
}
