//! Kinds of replies on the three connections, and what the rules refuse before Meta is asked.

mod automatic;

use std::time::Duration;

use serde_json::{Value, json};
use simulator::{AccountHandle, AccountSpec, CallKind, Person};
use tests::body::{IG, PAGE};
use tests::{Lab, eventually};

const IG_BY_PAGE: &str = "17841400000000102";
const LINKED_PAGE: &str = "103000000000302";

/// Instagram by Instagram Login, Instagram by its Page, Messenger.
async fn connections(lab: &Lab, more: &[&str]) -> [AccountHandle; 3] {
    let add = |spec| lab.simulator.add_account(spec).unwrap();
    let login = add(AccountSpec::instagram(IG));
    let by_page = add(AccountSpec::instagram_by_page(IG_BY_PAGE, LINKED_PAGE));
    let page = add(AccountSpec::messenger(PAGE));
    lab.add_account("instagram", "instagram", IG, &login.token(), more).await;
    let linked = [&["--page-id", LINKED_PAGE], more].concat();
    lab.add_account("instagram", "facebook", IG_BY_PAGE, &by_page.token(), &linked).await;
    lab.add_account("messenger", "facebook", PAGE, &page.token(), more).await;
    [login, by_page, page]
}

async fn conversation(lab: &Lab, person: &Person) -> String {
    let api = lab.api();
    eventually("the conversation is there", Duration::from_secs(20), async || {
        let all = api.conversations().await;
        let found = all.iter().find(|c| c["contact"]["id"] == person.id());
        found.map(|c| c["id"].as_str().unwrap().to_owned()).ok_or_else(|| format!("{all:?}"))
    })
    .await
}

async fn outcome(lab: &Lab, reply: &str) -> Value {
    let api = lab.api();
    eventually("the reply has an outcome", Duration::from_secs(20), async || {
        let (status, reply) = api.get(&format!("/v1/replies/{reply}")).await;
        match reply["status"].as_str() {
            Some("sent" | "failed" | "partial" | "unknown") if status == 200 => Ok(reply),
            _ => Err(format!("{status} {reply}")),
        }
    })
    .await
}

/// Sends by the api and expects it to arrive.
async fn arrives(lab: &Lab, conversation: &str, key: &str, body: Value) {
    let path = format!("/v1/conversations/{conversation}/messages?wait=15s");
    let (status, sent) = lab.api().post_once(&path, key, body).await;
    assert_eq!((status, &sent["status"]), (200, &json!("sent")), "{sent}");
}

/// A command as any client of the broker may publish it; its outcome.
async fn command(lab: &Lab, id: &str, to: &Person, kind: &str, data: Value) -> Value {
    let channel = if to.account_id() == PAGE { "messenger" } else { "instagram" };
    let said = if kind == "pretender" { "person" } else { kind };
    let command: schemas::Command = serde_json::from_value(json!({
        "id": id, "channel": channel, "account_id": to.account_id(), "contact_id": to.id(), "command": "reply",
        "requested_by": {"kind": said, "name": "test"}, "requested_at": runtime::now(), "data": data,
    }))
    .unwrap();
    let body = serde_json::to_vec(&command).unwrap();
    let js = lab.jetstream().await;
    let mut headers = async_nats::HeaderMap::new();
    // As the api does for a person.
    if kind == "person" {
        headers.insert(runtime::vouch::HEADER, lab.vouch().of(&body));
    }
    let subject = command.nats_subject();
    js.publish_with_headers(subject, headers, body.into()).await.unwrap().await.unwrap();
    outcome(lab, id).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_arrives_on_every_connection() {
    let lab = Lab::with_all_roles().await;
    for account in connections(&lab, &[]).await {
        let ann = account.person("Ann Berg");
        let question = ann.says("which ones?");
        question.accepted().await.unwrap();
        let id = conversation(&lab, &ann).await;
        let template = json!({"template_type": "generic", "elements": [{"title": "Lamp", "buttons": [
            {"type": "postback", "title": "Take it", "payload": "TAKE"}]}]});
        let quick = json!([{"title": "Yes", "payload": "YES"}, {"title": "No"}]);
        let mid = question.mid();
        let kinds = [
            (
                json!({"attachment": {"type": "image", "url": "https://example.com/a.png", "is_reusable": true}}),
                json!({"attachment": {"type": "image", "payload": {"url": "https://example.com/a.png", "is_reusable": true}}}),
            ),
            (
                json!({"attachment": {"type": "video", "attachment_id": "1234567890"}}),
                json!({"attachment": {"type": "video", "payload": {"attachment_id": "1234567890"}}}),
            ),
            (
                json!({"template": template}),
                json!({"attachment": {"type": "template", "payload": template}}),
            ),
            (
                json!({"text": "This one?", "quick_replies": quick}),
                json!({"text": "This one?", "quick_replies": [
                    {"content_type": "text", "title": "Yes", "payload": "YES"},
                    {"content_type": "text", "title": "No", "payload": "No"}]}),
            ),
            (json!({"text": "This one.", "reply_to": mid}), json!({"text": "This one."})),
            (json!({"text": "By hand.", "tag": "HUMAN_AGENT"}), json!({"text": "By hand."})),
        ];
        for (n, (body, _)) in kinds.iter().enumerate() {
            arrives(&lab, &id, &format!("k{n}"), body.clone()).await;
        }
        let received = ann.received();
        assert_eq!(received.len(), kinds.len());
        for (message, (_, expected)) in received.iter().zip(&kinds) {
            let mut sent = message.sent.clone();
            // Messenger gives it back with the echo; Instagram does not take it.
            let key = sent.as_object_mut().unwrap().remove("metadata");
            assert_eq!(key.is_some(), account.id() == PAGE);
            assert_eq!(sent, *expected);
        }
        assert_eq!(received[4].reply_to.as_deref(), Some(mid));
        assert_eq!(received[5].tag.as_deref(), Some("HUMAN_AGENT"));
        assert!(received[..5].iter().all(|message| message.tag.is_none()));

        for (n, action) in ["typing_on", "typing_off", "mark_seen"].into_iter().enumerate() {
            let path = format!("/v1/conversations/{id}/typing");
            let (status, state) =
                lab.api().post_once(&path, &format!("t{n}"), json!({"action": action})).await;
            assert_eq!(status, 202, "{state}");
            // The repeat of a key returns what came of the first.
            let again = eventually("the outcome is known", Duration::from_secs(10), async || {
                let (status, state) =
                    lab.api().post_once(&path, &format!("t{n}"), json!({"action": action})).await;
                if status == 200 { Ok(state) } else { Err(state.to_string()) }
            })
            .await;
            assert_eq!(
                (&again["status"], &again["error"]),
                (&json!("done"), &Value::Null),
                "{again}"
            );
        }
        let actions = account.calls(Some(CallKind::SenderAction));
        assert_eq!(actions.len(), 3, "{actions:?}");
        assert!(
            actions
                .iter()
                .all(|call| call.target.as_deref() == Some(ann.id()) && call.code.is_none())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn text_is_split_at_the_limit_of_each_connection_and_never_inside_a_letter() {
    let lab = Lab::with_all_roles().await;
    let family = "👨‍👩‍👧‍👦";
    for account in connections(&lab, &[]).await {
        let by_bytes = account.id() != PAGE;
        let ann = account.person("Ann Berg");
        ann.says("tell me all").accepted().await.unwrap();
        let id = conversation(&lab, &ann).await;
        let texts: [(String, usize); 5] = if by_bytes {
            [
                ("x".repeat(1000), 1),
                ("x".repeat(1001), 2),
                ("ж".repeat(500), 1),
                ("ж".repeat(501), 2),
                // 25 bytes each: 40 fill a part exactly.
                (family.repeat(41), 2),
            ]
        } else {
            [
                ("x".repeat(2000), 1),
                ("x".repeat(2001), 2),
                ("ж".repeat(2000), 1),
                ("😀".repeat(2001), 2),
                // 7 characters each: 285 fit.
                (family.repeat(286), 2),
            ]
        };
        for (n, (text, parts)) in texts.iter().enumerate() {
            let before = ann.texts_received().len();
            arrives(&lab, &id, &format!("k{n}"), json!({"text": text})).await;
            let received = ann.texts_received().split_off(before);
            assert_eq!(received.len(), *parts, "{} of {}", n, account.id());
            assert_eq!(received.concat(), *text);
            if text.starts_with(family) {
                assert!(
                    received.iter().all(|part| part.replace(family, "").is_empty()),
                    "torn apart"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_rules_forbid_is_refused_before_meta_is_asked() {
    let lab = Lab::with_all_roles().await;
    for account in connections(&lab, &[]).await {
        let ann = account.person("Ann Berg");
        ann.says("hello").accepted().await.unwrap();
        let old = account.person("Old Friend");
        old.ago(chrono::TimeDelta::hours(30)).says("long ago").accepted().await.unwrap();
        let closed = conversation(&lab, &old).await;
        conversation(&lab, &ann).await;
        let text = |tag: Option<&str>| match tag {
            Some(tag) => json!({"text": "hi", "tag": tag}),
            None => json!({"text": "hi"}),
        };
        let cases = [
            (&ann, "person", text(Some("ACCOUNT_UPDATE")), "tag_retired", "tag.retired"),
            (&ann, "person", text(Some("POST_PURCHASE_UPDATE")), "tag_retired", "tag.retired"),
            (&ann, "person", text(Some("CONFIRMED_EVENT_UPDATE")), "tag_retired", "tag.retired"),
            (&ann, "automation", text(Some("HUMAN_AGENT")), "tag_not_allowed", "tag.human_agent"),
            (&old, "automation", text(Some("HUMAN_AGENT")), "tag_not_allowed", "tag.human_agent"),
            // Whoever says so without the api's word counts as automation.
            (&old, "pretender", text(Some("HUMAN_AGENT")), "tag_not_allowed", "tag.human_agent"),
            (&old, "person", text(None), "window_closed", "window.24h"),
        ];
        for (n, (to, kind, data, code, rule)) in cases.into_iter().enumerate() {
            let reply = command(&lab, &format!("c{n}-{}", account.id()), to, kind, data).await;
            assert_eq!(
                (&reply["status"], &reply["error"]["code"], &reply["rule"], &reply["attempts"]),
                (&json!("failed"), &json!(code), &json!(rule), &json!(0)),
                "{reply}"
            );
        }
        assert_eq!(account.count(CallKind::Send), 0, "Meta was asked");
        let path = format!("/v1/conversations/{closed}/messages");
        let (status, early) = lab.api().post_once(&path, "w", text(None)).await;
        assert_eq!((status, &early["code"]), (403, &json!("window_closed")), "{early}");
        arrives(&lab, &closed, "h", text(Some("HUMAN_AGENT"))).await;
        assert_eq!(old.received()[0].tag.as_deref(), Some("HUMAN_AGENT"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_by_meta_stops_messages_until_it_is_lifted() {
    let lab = Lab::with_all_roles().await;
    let [_, _, page] = connections(&lab, &[]).await;
    let ann = page.person("Ann Berg");
    ann.says("hello").accepted().await.unwrap();
    conversation(&lab, &ann).await;
    let notice = async |action: &str| {
        let at = tests::body::now();
        let item = json!({"recipient": {"id": PAGE}, "timestamp": at,
                          "policy_enforcement": {"action": action, "reason": "spam"}});
        let body = tests::body::body("page", &[tests::body::entry(PAGE, at, &[item])]);
        lab.meta().deliver("/webhooks/facebook", &body).await;
        eventually("the notice is known", Duration::from_secs(10), async || {
            let (_, health) = lab.api().get(&format!("/v1/accounts/{PAGE}/health")).await;
            if health["worker"]["policy_action"] == action {
                Ok(())
            } else {
                Err(health.to_string())
            }
        })
        .await;
    };
    notice("block").await;
    let refused = command(&lab, "b1", &ann, "person", json!({"text": "hi"})).await;
    assert_eq!(refused["error"]["code"], "account_blocked", "{refused}");
    // A warning is news, but no permission.
    notice("warning").await;
    let refused = command(&lab, "b2", &ann, "person", json!({"text": "hi"})).await;
    assert_eq!(refused["error"]["code"], "account_blocked", "{refused}");
    let (_, out, _) = lab.hookline(&["status"]).await;
    assert!(out.contains(&format!("blocked by Meta messenger/{PAGE}")), "{out}");
    assert_eq!(page.count(CallKind::Send), 0);
    notice("unblock").await;
    let sent = command(&lab, "b3", &ann, "person", json!({"text": "hi"})).await;
    assert_eq!(sent["status"], "sent", "{sent}");
    assert_eq!(ann.texts_received(), ["hi"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_meta_says_of_a_person_or_a_thread_keeps_automations_quiet() {
    let lab = Lab::with_all_roles().await;
    for account in connections(&lab, &[]).await {
        let text = || json!({"text": "hi"});
        let id = |n: u32| format!("q{n}-{}", account.id());
        let ann = account.person("Ann Berg");
        ann.says("hello").accepted().await.unwrap();
        conversation(&lab, &ann).await;
        ann.blocks(true);
        let reported = command(&lab, &id(1), &ann, "person", text()).await;
        assert_eq!(
            (&reported["status"], &reported["error"]["class"]),
            (&json!("failed"), &json!("recipient")),
            "{reported}"
        );
        let calls = account.count(CallKind::Send);
        let kept = command(&lab, &id(2), &ann, "automation", text()).await;
        assert_eq!(
            (&kept["error"]["code"], &kept["attempts"]),
            (&json!("recipient_unavailable"), &json!(0)),
            "{kept}"
        );
        assert_eq!(account.count(CallKind::Send), calls, "Meta was asked again");
        ann.blocks(false);
        let again = ann.says("here I am");
        again.accepted().await.unwrap();
        known(&lab, again.mid()).await;
        let sent = command(&lab, &id(3), &ann, "automation", text()).await;
        assert_eq!(sent["status"], "sent", "{sent}");

        let bo = account.person("Bo Holm");
        bo.says("hello").accepted().await.unwrap();
        conversation(&lab, &bo).await;
        bo.thread_elsewhere(true);
        let reported = command(&lab, &id(4), &bo, "person", text()).await;
        assert_eq!(reported["error"]["code"], "thread_owned_by_other", "{reported}");
        let calls = account.count(CallKind::Send);
        let kept = command(&lab, &id(5), &bo, "automation", text()).await;
        assert_eq!(
            (&kept["error"]["code"], &kept["attempts"]),
            (&json!("thread_owned_by_other"), &json!(0)),
            "{kept}"
        );
        assert_eq!(account.count(CallKind::Send), calls, "Meta was asked again");
    }
}

/// Waits until a message is in the list of facts, and with it what the policy learns from it.
async fn known(lab: &Lab, mid: &str) {
    eventually("the message is known", Duration::from_secs(20), async || {
        let found: i64 =
            sqlx::query_scalar("select count(*) from worker.facts where message_id = $1")
                .bind(mid)
                .fetch_one(lab.pool())
                .await
                .unwrap();
        if found > 0 { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
}
