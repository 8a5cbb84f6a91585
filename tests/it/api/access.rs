//! A token of some accounts: for it, everything of the others is not there.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tests::body::{IG, PAGE, body, change, now};
use tests::lab::API_TOKEN;
use tests::{Lab, eventually};

use super::callers::call;
use super::live::Listener;
use super::{add_accounts, is_problem, person, with_token, written};

/// May do everything, for the Page only.
const OF_PAGE: &str = "token-of-the-page";

/// A template of the account that the token does not see.
const TEMPLATE: &str = "tpl_00000000000000000000000000000001";

/// What there is of the account that the token does not see.
struct Foreign {
    conversation: String,
    reply: String,
    command: String,
    comment: &'static str,
    media: &'static str,
    saved: String,
    template: &'static str,
}

/// What a route must answer.
enum Answers {
    /// As for an id that nobody knows.
    NotFound,
    /// A list of this name with nothing of another account.
    List(&'static str),
    /// What is looked at after the walk.
    LookedAtBelow,
}

/// The request about what is another's, and what it must be answered. `None`: a route that this test does not know.
fn foreign(route: &str, foreign: &Foreign) -> Option<(String, Value, Answers)> {
    use Answers::{List, LookedAtBelow, NotFound};
    let Foreign { conversation, reply, command, comment, media, saved, template } = foreign;
    let whom = json!({"contact_id": person(1), "channel": "instagram", "account_id": IG});
    let of_conversation = |rest: &str| format!("/v1/conversations/{conversation}{rest}");
    let of_account = |path: &str| format!("{path}?account_id={IG}");
    let of_comment = |rest: &str| format!("/v1/comments/{comment}{rest}");
    let text = json!({"text": "hello"});
    let nothing = json!({});
    Some(match route {
        "get /v1/conversations" => {
            (of_account("/v1/conversations"), nothing, List("conversations"))
        }
        "get /v1/conversations/{id}" => (of_conversation(""), nothing, NotFound),
        "get /v1/conversations/{id}/messages" => (of_conversation("/messages"), nothing, NotFound),
        "post /v1/conversations/{id}/messages" => (of_conversation("/messages"), text, NotFound),
        "get /v1/conversations/{id}/policy" => (of_conversation("/policy"), nothing, NotFound),
        "post /v1/conversations/{id}/read" => (of_conversation("/read"), nothing, NotFound),
        "post /v1/conversations/{id}/typing" => (of_conversation("/typing"), nothing, NotFound),
        "post /v1/conversations/{id}/archive" => (of_conversation("/archive"), nothing, NotFound),
        "post /v1/conversations/{id}/unarchive" => {
            (of_conversation("/unarchive"), nothing, NotFound)
        }
        "post /v1/conversations/{id}/assign" => {
            (of_conversation("/assign"), json!({"assigned_to": "Ann"}), NotFound)
        }
        "post /v1/conversations/{id}/snooze" => (of_conversation("/snooze"), nothing, NotFound),
        "put /v1/conversations/{id}/labels/{name}"
        | "delete /v1/conversations/{id}/labels/{name}" => {
            (of_conversation("/labels/vip"), nothing, NotFound)
        }
        "get /v1/conversations/{id}/notes" => (of_conversation("/notes"), nothing, NotFound),
        "post /v1/conversations/{id}/notes" => (of_conversation("/notes"), text, NotFound),
        "get /v1/replies" => (of_account("/v1/replies"), nothing, List("replies")),
        "get /v1/replies/{reply_id}" => (format!("/v1/replies/{reply}"), nothing, NotFound),
        "delete /v1/replies/{reply_id}" => (format!("/v1/replies/{reply}"), nothing, NotFound),
        "post /v1/replies/{reply_id}/resolve" => {
            let found = json!({"as": "not_sent", "reason": "looked"});
            (format!("/v1/replies/{reply}/resolve"), found, NotFound)
        }
        "get /v1/commands/{id}" => (format!("/v1/commands/{command}"), nothing, NotFound),
        "get /v1/contacts/{id}" => (format!("/v1/contacts/{}", person(1)), nothing, NotFound),
        "get /v1/blocklist" => (of_account("/v1/blocklist"), nothing, List("blocklist")),
        "post /v1/blocklist" | "delete /v1/blocklist" => ("/v1/blocklist".into(), whom, NotFound),
        "get /v1/comments" => (of_account("/v1/comments"), nothing, List("comments")),
        "post /v1/comments/hide" => {
            let body = json!({"ids": [comment], "hidden": true});
            ("/v1/comments/hide".into(), body, List("outcomes"))
        }
        "post /v1/comments/{id}/replies" => (of_comment("/replies"), text, NotFound),
        "post /v1/comments/{id}/private_reply" => (of_comment("/private_reply"), text, NotFound),
        "patch /v1/comments/{id}" => (of_comment(""), json!({"hidden": true}), NotFound),
        "delete /v1/comments/{id}" => (of_comment(""), nothing, NotFound),
        "post /v1/media/{id}/comments" => {
            let named = format!("/v1/media/{media}/comments?channel=instagram&account_id={IG}");
            (named, text, NotFound)
        }
        "get /v1/media" => (of_account("/v1/media"), nothing, NotFound),
        "get /v1/mentions" => ("/v1/mentions".into(), nothing, List("mentions")),
        "get /v1/feed" => ("/v1/feed".into(), nothing, List("posts")),
        "get /v1/insights" => ("/v1/insights".into(), nothing, List("insights")),
        "get /v1/accounts" => ("/v1/accounts".into(), nothing, List("accounts")),
        "get /v1/events" => ("/v1/events".into(), nothing, List("events")),
        "get /v1/accounts/{id}/health"
        | "post /v1/accounts/{id}/sync"
        | "post /v1/accounts/{id}/subscribe"
        | "post /v1/accounts/{id}/refresh"
        | "post /v1/accounts/{id}/disconnect" => {
            (route.split_once(' ')?.1.replace("{id}", IG), nothing, NotFound)
        }
        "get /v1/live" => ("/v1/live".into(), nothing, LookedAtBelow),
        _ => {
            return of_acts(route, template)
                .or_else(|| of_operators(route, reply))
                .or_else(|| of_saved(route, saved));
        }
    })
}

/// The same of what operators look at and do.
fn of_operators(route: &str, reply: &str) -> Option<(String, Value, Answers)> {
    use Answers::NotFound;
    let nothing = json!({});
    Some(match route {
        "get /v1/ops/jobs" | "get /v1/ops/audit" | "get /v1/ops/dead" | "get /v1/ops/waiting" => {
            (route.split_once(' ')?.1.to_owned(), nothing, NotFound)
        }
        "get /v1/ops/status" | "get /v1/ops/send" => {
            (route.split_once(' ')?.1.to_owned(), nothing, NotFound)
        }
        "get /v1/ops/trace/{id}" => (format!("/v1/ops/trace/{reply}"), nothing, NotFound),
        "post /v1/ops/redrive/run" | "post /v1/ops/redrive/discard" => {
            let path = format!("{}?plan=true", route.split_once(' ')?.1);
            (path, json!({"cause": "database_23514"}), NotFound)
        }
        "post /v1/ops/jobs/{id}/pause"
        | "post /v1/ops/jobs/{id}/resume"
        | "post /v1/ops/jobs/{id}/cancel" => {
            let path = route.split_once(' ')?.1.replace("{id}", "replay-1");
            (path, json!({"reason": "not mine"}), NotFound)
        }
        "post /v1/ops/send/freeze" | "post /v1/ops/send/thaw" => {
            let scope = json!({"account_id": IG, "reason": "not mine"});
            (route.split_once(' ')?.1.to_owned(), scope, NotFound)
        }
        _ => return None,
    })
}

/// The same of saved replies.
fn of_saved(route: &str, saved: &str) -> Option<(String, Value, Answers)> {
    use Answers::{List, NotFound};
    let nothing = json!({});
    Some(match route {
        "get /v1/saved_replies" => {
            (format!("/v1/saved_replies?account_id={IG}"), nothing, List("saved_replies"))
        }
        "post /v1/saved_replies" => ("/v1/saved_replies".into(), saved_of(IG), NotFound),
        "put /v1/saved_replies/{id}" => {
            (format!("/v1/saved_replies/{saved}"), saved_of(PAGE), NotFound)
        }
        "delete /v1/saved_replies/{id}" => {
            (format!("/v1/saved_replies/{saved}"), nothing, NotFound)
        }
        _ => return None,
    })
}

/// The same of figures, conversions and templates.
fn of_acts(route: &str, template: &str) -> Option<(String, Value, Answers)> {
    use Answers::{List, NotFound};
    let nothing = json!({});
    Some(match route {
        "post /v1/insights/refresh" => {
            let body = json!({"account_id": IG, "scope": "account", "metrics": ["reach"]});
            ("/v1/insights/refresh".into(), body, NotFound)
        }
        "get /v1/conversions" => {
            (format!("/v1/conversions?account_id={IG}"), nothing, List("conversions"))
        }
        "post /v1/conversions" => {
            let body = json!({"account_id": IG, "action_source": "website", "dataset_id": "66", "event_name": "Lead",
                "event_time": 1_794_999_000, "user_data": {"em": "ann@example.com"}});
            ("/v1/conversions".into(), body, NotFound)
        }
        "get /v1/templates" => {
            (format!("/v1/templates?account_id={IG}"), nothing, List("templates"))
        }
        "post /v1/templates" => {
            let body =
                json!({"account_id": IG, "name": "order", "language": "en_US", "components": []});
            ("/v1/templates".into(), body, NotFound)
        }
        "get /v1/templates/{id}"
        | "post /v1/templates/{id}/submit"
        | "post /v1/templates/{id}/refresh" => {
            (route.split_once(' ')?.1.replace("{id}", template), nothing, NotFound)
        }
        "post /v1/templates/{id}/send" => {
            (format!("/v1/templates/{template}/send"), json!({"contact_id": person(1)}), NotFound)
        }
        _ => return of_endpoints(route),
    })
}

/// A saved reply for one account.
fn saved_of(account: &str) -> Value {
    json!({"name": "Hours", "text": "9 to 5", "account_ids": [account]})
}

/// Endpoints are for tokens of all accounts.
fn of_endpoints(route: &str) -> Option<(String, Value, Answers)> {
    let body = match route {
        "get /v1/endpoints"
        | "get /v1/endpoints/{id}"
        | "delete /v1/endpoints/{id}"
        | "post /v1/endpoints/{id}/rotate"
        | "post /v1/endpoints/{id}/test" => json!({}),
        "post /v1/endpoints" => json!({"url": "https://receiver.example/", "kinds": []}),
        "patch /v1/endpoints/{id}" => json!({"paused": true}),
        "post /v1/endpoints/{id}/replay" => json!({"from": "2026-11-21T10:00:00Z"}),
        _ => return None,
    };
    Some((route.split_once(' ')?.1.replace("{id}", "ep_1"), body, Answers::NotFound))
}

/// Something of everything, of both accounts; what of it is the account's that the token does not see.
async fn something(lab: &Lab) -> Foreign {
    let api = lab.api();
    let conversation = written(lab, IG, 1, "hello").await;
    written(lab, PAGE, 2, "hello").await;
    let author = json!({"id": person(1), "username": "ann"});
    let comment = json!({"id": "17900000000000001", "from": author, "text": "nice", "media": {"id": "17800000000000001"}});
    let mention = json!({"comment_id": "17900000000000002", "media_id": "17800000000000002"});
    for (field, value) in [("comments", comment), ("mentions", mention)] {
        let posted = body("instagram", &[change(IG, now(), field, value)]);
        assert_eq!(lab.meta().post("/webhooks/instagram", &posted).await, 200);
    }
    for (list, name) in [("/v1/comments", "comments"), ("/v1/mentions", "mentions")] {
        eventually(&format!("{name} are there"), Duration::from_secs(20), async || {
            let (_, page) = api.get(list).await;
            if page["total"] == 1 { Ok(()) } else { Err(page.to_string()) }
        })
        .await;
    }
    let path = format!("/v1/conversations/{conversation}");
    let (status, reply) =
        api.post_once(&format!("{path}/messages"), "r", json!({"text": "hi"})).await;
    assert_eq!(status, 202, "{reply}");
    let (status, typing) = api.post(&format!("{path}/typing"), json!({})).await;
    assert_eq!(status, 202, "{typing}");
    let whom = json!({"conversation_id": conversation});
    let (status, blocked) = api.post("/v1/blocklist", whom).await;
    assert!([200, 202].contains(&status), "{blocked}");
    let (status, saved) = api.post("/v1/saved_replies", saved_of(IG)).await;
    assert_eq!(status, 201, "{saved}");
    // Of a page that the token does not see.
    sqlx::query(
        "insert into worker.templates (channel, account_id, name, language, template_id, status, status_at)
         values ('messenger', $1, 'order', 'en_US', $2, 'APPROVED', now())",
    )
    .bind(IG)
    .bind(TEMPLATE)
    .execute(lab.pool())
    .await
    .unwrap();
    let id = |value: &Value| value.as_str().unwrap().to_owned();
    Foreign {
        conversation,
        reply: id(&reply["reply_id"]),
        command: id(&typing["command_id"]),
        comment: "17900000000000001",
        media: "17800000000000001",
        saved: id(&saved["id"]),
        template: TEMPLATE,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_shows_or_changes_what_is_of_another_account() {
    let mut lab = Lab::start().await;
    let tokens =
        format!("tester={API_TOKEN}:admin:person, page={OF_PAGE}:admin:person:accounts={PAGE}");
    lab.set("API_TOKENS", &tokens);
    lab.run_all().await;
    add_accounts(&lab).await;
    let known = something(&lab).await;
    lab.settled().await;
    let api = with_token(&lab.api(), OF_PAGE);
    let address = format!("{}/openapi.json", api.url);
    let document: Value = api.http.get(address).send().await.unwrap().json().await.unwrap();
    let commands = lab.last_sequence("INBOX_COMMANDS").await;
    let events = lab.last_sequence("INBOX_EVENTS").await;
    let mut unknown = BTreeSet::new();
    let paths = document["paths"].as_object().unwrap();
    for (path, item) in paths.iter().filter(|(path, _)| path.starts_with("/v1/")) {
        for method in item.as_object().unwrap().keys() {
            let route = format!("{method} {path}");
            let Some((path, body, answers)) = foreign(&route, &known) else {
                unknown.insert(route);
                continue;
            };
            if let Answers::LookedAtBelow = answers {
                continue;
            }
            let answer = call(&api, method, &path, &body).await;
            match answers {
                Answers::NotFound => is_problem(&answer, 404, "not_found"),
                Answers::List(name) => {
                    assert!([200, 202].contains(&answer.0), "{route}: {answer:?}");
                    let rows = answer.1[name].as_array().unwrap();
                    assert!(
                        !Value::from(rows.clone()).to_string().contains(IG),
                        "{route}: {rows:?}"
                    );
                    let hidden = rows.iter().any(|row| row["command"].is_object());
                    assert!(!hidden, "{route}: {rows:?}");
                    assert!(answer.1["total"].as_i64().unwrap_or(0) <= 1, "{route}: {answer:?}");
                }
                Answers::LookedAtBelow => {}
            }
        }
    }
    assert!(
        unknown.is_empty(),
        "routes that nobody has looked at with a foreign token: {unknown:?}"
    );
    assert_eq!(lab.last_sequence("INBOX_COMMANDS").await, commands, "no command came of it");
    let more = super::live::stored(&lab, events).await;
    assert!(more.iter().all(|sent| !sent.data.contains("\"via\":\"api\"")), "{more:?}");

    // What is its own is there.
    let (_, page) = api.get("/v1/conversations").await;
    assert_eq!(
        (page["total"].as_i64(), &page["conversations"][0]["account_id"]),
        (Some(1), &json!(PAGE))
    );
    let (_, found) = api.get("/v1/conversations?q=hello").await;
    assert_eq!(found["total"], 1, "{found}");
    let (_, accounts) = api.get("/v1/accounts").await;
    assert_eq!(accounts["total"], 1, "{accounts}");
    let (_, log) = api.get("/v1/events?limit=1000").await;
    let log = log["events"].as_array().unwrap();
    assert!(
        !log.is_empty() && log.iter().all(|event| event["data"]["account_id"] == PAGE),
        "{log:?}"
    );
    // It hears only that, from wherever another token would go on.
    let mut listener = Listener::open(&api, "", Some(0)).await.unwrap();
    let heard: Value = serde_json::from_str(&listener.soon().await.data).unwrap();
    assert_eq!(heard["data"]["account_id"], PAGE, "{heard}");
    let mut foreign = Listener::open(&api, &format!("?account_id={IG}"), Some(0)).await.unwrap();
    let heard = tokio::time::timeout(Duration::from_secs(2), foreign.next()).await;
    assert!(heard.is_err(), "{:?}", heard.map(|sent| sent.map(|sent| sent.data)));
    // A cursor of one token opens no list of another's.
    written(&lab, PAGE, 3, "hello").await;
    let (_, first) = lab.api().get("/v1/conversations?limit=1").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let other = api.get(&format!("/v1/conversations?limit=1&cursor={cursor}")).await;
    is_problem(&other, 422, "invalid");
}
