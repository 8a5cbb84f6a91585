//! Postgres or NATS away: reported at once, and over by itself.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use simulator::AccountSpec;
use tests::body::IG;
use tests::cable::Cable;
use tests::{Api, Lab, LabOptions, Role, eventually};

use super::cable::through_cable;
use super::live::{Listener, stored};
use super::{add_accounts, conversation_of, is_problem, lab, lab_apart, written};

/// What an answer was, and how long it took.
async fn timed(ask: impl Future<Output = (u16, Value)>) -> ((u16, Value), Duration) {
    let began = Instant::now();
    let answer = ask.await;
    (answer, began.elapsed())
}

/// 503 with a hint when to come back.
async fn says_retry(api: &Api, path: &str) {
    let answer =
        api.http.get(format!("{}{path}", api.url)).bearer_auth(&api.token).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.headers()["retry-after"].to_str().unwrap().parse::<u32>().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_postgres_every_answer_is_a_quick_503() {
    let mut lab = lab_apart(LabOptions::OWN).await;
    add_accounts(&lab).await;
    let api = lab.api();
    let id = written(&lab, IG, 1, "hello").await;
    let paths = [
        "/v1/conversations".to_owned(),
        format!("/v1/conversations/{id}/messages"),
        "/v1/replies/rpl_1".to_owned(),
        "/v1/accounts".to_owned(),
    ];
    lab.postgres.own().kill9().await.unwrap();
    for path in paths.iter().chain(&paths) {
        let (answer, took) = timed(api.get(path)).await;
        is_problem(&answer, 503, "unavailable");
        assert!(took < Duration::from_secs(1), "{path}: {took:?}");
    }
    for (path, body) in [
        (format!("/v1/conversations/{id}/messages"), json!({"text": "hello"})),
        (format!("/v1/conversations/{id}/read"), json!({})),
        ("/v1/blocklist".to_owned(), json!({"conversation_id": id})),
    ] {
        let (answer, took) = timed(api.post_once(&path, "k", body)).await;
        is_problem(&answer, 503, "unavailable");
        assert!(took < Duration::from_secs(1), "{path}: {took:?}");
    }
    says_retry(&api, "/v1/conversations").await;
    // Who is not let in, and what is wrong whatever the database says, is answered all the same.
    is_problem(
        &super::with_token(&api, "wrong").get("/v1/conversations").await,
        401,
        "unauthorized",
    );
    assert_eq!(lab.last_sequence("INBOX_COMMANDS").await, 0);
    lab.postgres.own().restart().await.unwrap();
    eventually("it answers again", Duration::from_secs(10), async || {
        match api.get("/v1/conversations").await {
            (200, page) if page["total"] == 1 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    lab.ready(Role::Worker).await;
    lab.ready(Role::Projector).await;
    let (status, _) = api.post(&format!("/v1/conversations/{id}/read"), json!({})).await;
    assert!([200, 202].contains(&status), "{status}");
}

/// The api alone sees a server through a cable.
async fn with_cable(variable: &str) -> (Lab, Cable) {
    let mut lab = Lab::start().await;
    super::set_tokens(&mut lab);
    for role in [Role::Ingest, Role::Worker, Role::Projector] {
        lab.run(role).await;
    }
    let direct = lab.settings[variable].clone();
    let (cable, url) = through_cable(&direct).await;
    lab.set(variable, &url);
    lab.run(Role::Api).await;
    lab.set(variable, &direct);
    lab.all_ready().await;
    lab.simulator.set_webhook_url(url::Url::parse(&lab.url(Role::Ingest)).unwrap());
    (lab, cable)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_says_nothing_is_noticed_too() {
    let (lab, cable) = with_cable("DATABASE_URL").await;
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &[]).await;
    let id = written(&lab, IG, 1, "hello").await;
    let api = lab.api();
    assert_eq!(api.get("/v1/conversations").await.0, 200);
    cable.freeze();
    for n in 0..3 {
        let limit = if n == 0 { 4 } else { 1 };
        let (answer, took) = timed(api.get("/v1/conversations")).await;
        is_problem(&answer, 503, "unavailable");
        assert!(took < Duration::from_secs(limit), "request {n}: {took:?}");
    }
    let ready = api.http.get(format!("{}/readyz", api.url)).send().await.unwrap();
    assert_eq!(ready.status(), 503);
    assert_eq!(api.http.get(format!("{}/livez", api.url)).send().await.unwrap().status(), 200);
    cable.mend();
    eventually("it answers again", Duration::from_secs(10), async || {
        match api.get("/v1/conversations").await {
            (200, page) if page["total"] == 1 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    lab.ready(Role::Api).await;
    let (status, read) = api.post(&format!("/v1/conversations/{id}/read"), json!({})).await;
    assert_eq!(
        (status, &read["unread_count"]),
        (200, &json!(0)),
        "it follows the read model again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_nats_writes_are_refused_reads_go_on_and_a_repeat_takes_effect_once() {
    let mut lab = lab_apart(LabOptions::OWN).await;
    let account = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    lab.add_account("instagram", "instagram", IG, &account.token(), &[]).await;
    let api = lab.api();
    let ann = account.person("Ann Berg");
    ann.says("hello").accepted().await.unwrap();
    let id = conversation_of(&lab, IG, ann.id()).await;
    lab.settled().await;
    let path = format!("/v1/conversations/{id}");
    lab.nats.own().kill9().await.unwrap();
    for n in 0..3 {
        let (answer, took) = timed(api.post_once(
            &format!("{path}/messages?wait=10s"),
            "k",
            json!({"text": "once"}),
        ))
        .await;
        is_problem(&answer, 503, "unavailable");
        assert!(took < Duration::from_secs(if n == 0 { 6 } else { 1 }), "{took:?}");
    }
    for act in ["read", "archive", "typing"] {
        let (answer, took) = timed(api.post(&format!("{path}/{act}"), json!({}))).await;
        is_problem(&answer, 503, "unavailable");
        assert!(took < Duration::from_secs(1), "{act}: {took:?}");
    }
    is_problem(&api.get(&format!("{path}/messages?sync=true")).await, 503, "unavailable");
    for read in
        ["/v1/conversations", &path, &format!("{path}/messages"), "/v1/accounts", "/v1/comments"]
    {
        let ((status, body), took) = timed(api.get(read)).await;
        assert!(status == 200 && took < Duration::from_secs(1), "{read}: {status} {took:?} {body}");
    }
    let (_, conversation) = api.get(&path).await;
    assert_eq!(
        (&conversation["unread_count"], &conversation["archived"]),
        (&json!(1), &json!(false))
    );
    lab.nats.own().restart().await.unwrap();
    lab.all_ready().await;
    let (status, sent) =
        api.post_once(&format!("{path}/messages?wait=20s"), "k", json!({"text": "once"})).await;
    assert_eq!((status, &sent["status"]), (200, &json!("sent")), "{sent}");
    lab.settled().await;
    assert_eq!(ann.texts_received(), ["once"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn views_may_get_more_columns_while_the_api_runs() {
    let lab = lab().await;
    let id = written(&lab, IG, 1, "hello").await;
    let api = lab.api();
    let paths = [
        "/v1/conversations".to_owned(),
        format!("/v1/conversations/{id}"),
        format!("/v1/conversations/{id}/messages"),
        format!("/v1/contacts/{}", super::person(1)),
        "/v1/blocklist".to_owned(),
        "/v1/comments".to_owned(),
        "/v1/mentions".to_owned(),
        "/v1/feed".to_owned(),
        "/v1/insights".to_owned(),
    ];
    let mut before = Vec::new();
    // Often enough for every connection to have prepared every statement.
    for _ in 0..3 {
        before = futures::future::join_all(paths.iter().map(|path| api.get(path))).await;
    }
    for view in [
        "conversations",
        "messages",
        "contacts",
        "blocklist",
        "comments",
        "mentions",
        "posts",
        "insights",
    ] {
        let sql = format!(
            "do $$ begin execute 'create or replace view inbox.{view} as select v.*, 1 as added from (' \
             || rtrim(pg_get_viewdef('inbox.{view}'::regclass), ';') || ') v'; end $$"
        );
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(lab.pool()).await.unwrap();
    }
    for _ in 0..3 {
        let after = futures::future::join_all(paths.iter().map(|path| api.get(path))).await;
        assert_eq!(after, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nats_that_says_nothing_repeats_and_loses_nothing() {
    let (lab, cable) = with_cable("NATS_URL").await;
    let account = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    lab.add_account("instagram", "instagram", IG, &account.token(), &[]).await;
    let api = lab.api();
    let ann = account.person("Ann Berg");
    ann.says("hello").accepted().await.unwrap();
    let id = conversation_of(&lab, IG, ann.id()).await;
    lab.settled().await;
    let head = lab.last_sequence("INBOX_EVENTS").await;
    let mut listener = Listener::open(&api, "", None).await.unwrap();
    cable.freeze();
    let path = format!("/v1/conversations/{id}/messages");
    let (answer, took) = timed(api.post_once(&path, "k", json!({"text": "once"}))).await;
    is_problem(&answer, 503, "unavailable");
    assert!(took < Duration::from_secs(7), "{took:?}");
    ann.says("are you there?").accepted().await.unwrap();
    lab.settled().await;
    let ((status, page), took) = timed(api.get(&path)).await;
    assert!(status == 200 && took < Duration::from_secs(1), "{status} {took:?}");
    assert_eq!(page["messages"][0]["text"], "are you there?");
    eventually("it is not ready", Duration::from_secs(20), async || {
        let ready = api.http.get(format!("{}/readyz", api.url)).send().await.unwrap();
        if ready.status() == 503 { Ok(()) } else { Err("ready".to_owned()) }
    })
    .await;
    cable.mend();
    lab.ready(Role::Api).await;
    let again = format!("{path}?wait=20s");
    let (status, sent) = api.post_once(&again, "k", json!({"text": "once"})).await;
    assert_eq!((status, &sent["status"]), (200, &json!("sent")), "{sent}");
    lab.settled().await;
    assert_eq!(ann.texts_received(), ["once"]);
    let expected = stored(&lab, head).await;
    assert!(expected.len() >= 2);
    // The api may hear of what was there before a moment after it was projected.
    let mut heard = listener.up_to(expected.last().unwrap().id.unwrap()).await;
    heard.retain(|sent| sent.id > Some(head));
    assert_eq!(heard, expected);
}
