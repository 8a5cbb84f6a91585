//! What people do to conversations and contacts: read at once by whoever did it, and reversible.

use serde_json::{Value, json};
use tests::body::{IG, PAGE, echo, now, text};

use super::{conversation_of, is_problem, lab, person, webhook, written};

#[tokio::test(flavor = "multi_thread")]
async fn acts_are_read_by_whoever_did_them_and_can_be_undone() {
    let lab = lab().await;
    let api = lab.api();
    let id = written(&lab, IG, 1, "one").await;
    let path = format!("/v1/conversations/{id}");
    let unread = async || api.get(&path).await.1["unread_count"].clone();
    webhook(&lab, IG, &[text(IG, &person(1), "mid.two", now(), "two")]).await;
    lab.settled().await;
    assert_eq!(unread().await, 2);
    let (status, read) = api.post(&format!("{path}/read"), json!({})).await;
    assert_eq!((status, &read["unread_count"], &read["id"]), (200, &json!(0), &json!(id)));
    assert_eq!(unread().await, 0);
    // Our own messages do not count, the person's next one does.
    webhook(&lab, IG, &[echo(IG, &person(1), "mid.ours", now() + 1, "ours")]).await;
    webhook(&lab, IG, &[text(IG, &person(1), "mid.three", now() + 2, "three")]).await;
    lab.settled().await;
    assert_eq!(unread().await, 1);
    // A body is not needed.
    let bare = api.http.post(format!("{}{path}/read", api.url)).bearer_auth(&api.token);
    assert_eq!(bare.send().await.unwrap().status(), 200);
    assert_eq!(unread().await, 0);

    for (act, field, value) in [
        ("archive", "archived", json!(true)),
        ("archive", "archived", json!(true)),
        ("unarchive", "archived", json!(false)),
    ] {
        let (status, after) = api.post(&format!("{path}/{act}"), json!({})).await;
        assert_eq!((status, &after[field]), (200, &value), "{act}");
        assert_eq!(api.get(&path).await.1[field], value, "{act}");
    }
    for to in [json!("Ann"), json!("Bob"), Value::Null] {
        let (status, after) = api.post(&format!("{path}/assign"), json!({"assigned_to": to})).await;
        assert_eq!((status, &after["assigned_to"]), (200, &to));
    }
    for (act, body, field) in [
        ("assign", json!({}), "assigned_to"),
        ("assign", json!({"assigned_to": ""}), "assigned_to"),
        ("assign", json!({"assigned_to": 7}), "assigned_to"),
        ("typing", json!({"action": "dance"}), "action"),
        ("read", json!({"until": 1}), "until"),
    ] {
        let answer = api.post(&format!("{path}/{act}"), body).await;
        is_problem(&answer, 422, "invalid");
        assert_eq!(answer.1["field"], field);
    }
    for act in ["read", "archive", "unarchive", "typing"] {
        is_problem(
            &api.post(&format!("/v1/conversations/cnv_none/{act}"), json!({})).await,
            404,
            "not_found",
        );
    }
    // One key is one act, in one event, by the person whose token it was.
    for _ in 0..3 {
        let (status, _) = api.post_once(&format!("{path}/archive"), "tidy-up", json!({})).await;
        assert_eq!(status, 200);
    }
    is_problem(
        &api.post_once(&format!("{path}/read"), "tidy-up", json!({})).await,
        409,
        "key_reused",
    );
    let events = lab.events().await;
    let archived: Vec<_> =
        events.iter().filter(|e| e["type"] == "hookline.conversation.archived.v1").collect();
    assert_eq!(archived.len(), 3, "two without a key, one with it: {archived:?}");
    for event in archived {
        assert_eq!(
            (&event["data"]["origin"]["via"], &event["subject"]),
            (&json!("api"), &json!(id))
        );
        assert_eq!(event["data"]["by"], "tester");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blocked_contacts_are_left_out_still_recorded_and_come_back() {
    let lab = lab().await;
    let api = lab.api();
    let id = written(&lab, IG, 1, "buy followers").await;
    let other = written(&lab, IG, 2, "hello").await;
    let listed = async || {
        let rows = api.conversations().await;
        let mut ids: Vec<_> = rows.iter().map(|c| c["id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    };
    let (status, _) = api
        .post(
            "/v1/blocklist",
            json!({"contact_id": person(1), "name": "Spammer", "reason": "spam"}),
        )
        .await;
    assert_eq!(status, 200);
    assert_eq!(listed().await, std::slice::from_ref(&other));
    let (_, list) = api.get("/v1/blocklist").await;
    assert_eq!((&list["total"], &list["blocklist"][0]["name"]), (&json!(1), &json!("Spammer")));
    // Still recorded, still readable by id.
    webhook(&lab, IG, &[text(IG, &person(1), "mid.again", now(), "again")]).await;
    lab.settled().await;
    assert_eq!(listed().await, std::slice::from_ref(&other));
    assert_eq!(api.messages(&id).await.len(), 2);
    assert_eq!(api.get(&format!("/v1/contacts/{}", person(1))).await.1["blocked"], true);
    // By body or by query.
    let (status, _) = api.delete("/v1/blocklist", json!({"conversation_id": id})).await;
    assert_eq!(status, 204);
    let mut both = [id.clone(), other];
    both.sort();
    assert_eq!(listed().await, both);
    assert_eq!(api.get("/v1/blocklist").await.1["total"], 0);
    let (status, _) = api.post("/v1/blocklist", json!({"conversation_id": id})).await;
    assert_eq!(status, 200);
    let query = format!("contact_id={}&channel=instagram&account_id={IG}", person(1));
    let gone = api.http.delete(format!("{}/v1/blocklist?{query}", api.url)).bearer_auth(&api.token);
    assert_eq!(gone.send().await.unwrap().status(), 204);
    assert_eq!(listed().await, both);

    for (body, status, code) in [
        (json!({}), 422, "invalid"),
        (json!({"contact_id": ""}), 422, "invalid"),
        (json!({"contact_id": person(1), "conversation_id": id}), 422, "invalid"),
        (json!({"contact_id": "5200000000999999"}), 404, "not_found"),
        (json!({"conversation_id": "cnv_none"}), 404, "not_found"),
        (json!({"contact_id": person(1), "why": "x"}), 422, "invalid"),
    ] {
        is_problem(&api.post("/v1/blocklist", body).await, status, code);
    }
    // Somebody who never wrote.
    let stranger =
        json!({"contact_id": "5200000000777777", "channel": "instagram", "account_id": IG});
    assert_eq!(api.post("/v1/blocklist", stranger).await.0, 200);
    assert_eq!(listed().await, both);
    webhook(&lab, IG, &[text(IG, "5200000000777777", "mid.first", now(), "hi")]).await;
    lab.settled().await;
    assert_eq!(listed().await, both, "blocked before their first message");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_that_two_accounts_know_must_be_named_more_closely() {
    let lab = lab().await;
    let api = lab.api();
    // The same number at both: nothing of Meta's forbids it.
    let on_instagram = written(&lab, IG, 5, "hello").await;
    let on_messenger = written(&lab, PAGE, 5, "hello").await;
    assert_ne!(on_instagram, on_messenger);
    let path = format!("/v1/contacts/{}", person(5));
    let answer = api.get(&path).await;
    is_problem(&answer, 409, "ambiguous");
    for account in [IG, PAGE] {
        assert!(answer.1["detail"].as_str().unwrap().contains(account), "{}", answer.1);
    }
    let (status, one) = api.get(&format!("{path}?channel=messenger")).await;
    assert_eq!((status, &one["conversation_id"]), (200, &json!(on_messenger)));
    let (status, one) = api.get(&format!("{path}?account_id={IG}")).await;
    assert_eq!((status, &one["conversation_id"]), (200, &json!(on_instagram)));
    is_problem(&api.get(&format!("{path}?account_id=1")).await, 404, "not_found");
    is_problem(&api.get("/v1/contacts/nobody").await, 404, "not_found");
    is_problem(
        &api.post("/v1/blocklist", json!({"contact_id": person(5)})).await,
        409,
        "ambiguous",
    );
    let closer = json!({"contact_id": person(5), "account_id": PAGE});
    assert_eq!(api.post("/v1/blocklist", closer).await.0, 200);
    let left: Vec<_> = api.conversations().await.iter().map(|c| c["id"].clone()).collect();
    assert_eq!(left, [json!(conversation_of(&lab, IG, &person(5)).await)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_blocked_who_cannot_be_a_contact() {
    let lab = lab().await;
    let api = lab.api();
    let long = "5".repeat(5_000);
    let refused = [
        IG,
        "12",
        "javascript:alert(1)",
        "javascript:0123456789",
        "5200000000000011\r\n",
        "",
        &long,
    ];
    for id in refused {
        let body = json!({"contact_id": id, "channel": "instagram", "account_id": IG});
        is_problem(&api.post("/v1/blocklist", body).await, 422, "invalid");
    }
    let body = json!({"contact_id": person(7), "channel": "instagram", "account_id": IG});
    assert_eq!(api.post("/v1/blocklist", body).await.0, 200);
    assert_eq!(api.get("/v1/blocklist").await.1["total"], 1);
    // Addresses of files are parsed, and go out as they were given.
    let id = written(&lab, IG, 1, "one").await;
    let path = format!("/v1/conversations/{id}/messages");
    for url in ["https://x/\r\nX: y", "https://x/a b", "ftp://x/y", "https://", "https:x"] {
        let body = json!({"attachment": {"type": "image", "url": url}});
        let (status, problem) = api.post_once(&path, "bad", body).await;
        let field = problem["field"].as_str().unwrap_or_default();
        assert!(status == 422 && field.contains("attachment"), "{url:?}: {problem}");
    }
    let body = json!({"attachment": {"type": "image", "url": "HTTPS://example.com/a.png"}});
    assert_eq!(api.post_once(&path, "good", body).await.0, 202);
}

/// Publishes an act of a person under the clock of a machine that is wrong.
async fn act_at(lab: &tests::Lab, id: &str, kind: &str, at: i64) {
    let time = chrono::DateTime::from_timestamp_millis(at).unwrap();
    let event = json!({
        "specversion": "1.0", "id": format!("evt_{kind}_{at}"), "type": format!("hookline.{kind}.v1"),
        "source": format!("/instagram/{IG}"), "time": time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        "data": {"channel": "instagram", "account_id": IG, "conversation_id": id, "contact_id": person(1), "by": "tester",
                 "origin": {"via": "api", "revision": 0}},
    });
    let subject = format!("inbox.v1.event.07.instagram.{IG}.{}", kind.replace('.', "-"));
    let js = lab.jetstream().await;
    js.publish(subject, event.to_string().into()).await.unwrap().await.unwrap();
    lab.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acts_from_the_future_hide_no_later_message_and_no_later_act() {
    let lab = lab().await;
    let api = lab.api();
    let id = written(&lab, IG, 1, "one").await;
    let path = format!("/v1/conversations/{id}");
    act_at(&lab, &id, "conversation.read", now() + 3_600_000).await;
    act_at(&lab, &id, "conversation.archived", now() + 3_600_000).await;
    let shown = api.get(&path).await.1;
    assert_eq!((&shown["unread_count"], &shown["archived"]), (&json!(0), &json!(true)));
    webhook(&lab, IG, &[text(IG, &person(1), "mid.two", now(), "two")]).await;
    lab.settled().await;
    assert_eq!(api.get(&path).await.1["unread_count"], 1, "nobody has read it");
    let (status, after) = api.post(&format!("{path}/unarchive"), json!({})).await;
    assert_eq!((status, &after["archived"]), (200, &json!(false)));
    let (status, after) = api.post(&format!("{path}/read"), json!({})).await;
    assert_eq!((status, &after["unread_count"]), (200, &json!(0)));
    // Every reader of the stream comes to the same.
    lab.hookline_ok(&["verify"]).await;
}

/// Meta's clock may be ahead of ours: who reads a conversation has read its last message, and not the next one.
#[tokio::test(flavor = "multi_thread")]
async fn a_last_message_from_the_future_is_read_and_hides_no_later_one() {
    let lab = lab().await;
    let api = lab.api();
    let id = written(&lab, IG, 1, "one").await;
    let path = format!("/v1/conversations/{id}");
    let ahead = now() + 120_000;
    webhook(&lab, IG, &[text(IG, &person(1), "mid.two", ahead, "two")]).await;
    lab.settled().await;
    let (status, read) = api.post(&format!("{path}/read"), json!({})).await;
    assert_eq!((status, &read["unread_count"]), (200, &json!(0)), "{read}");
    webhook(&lab, IG, &[text(IG, &person(1), "mid.three", ahead + 1, "three")]).await;
    lab.settled().await;
    assert_eq!(api.get(&path).await.1["unread_count"], 1);
}
