//! What operators see: one trace from a webhook to the reply and the rows, metrics of every stage, logs that a program can read; and in
//! none of it what a person wrote, a person's name, or a token.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use simulator::{AccountHandle, AccountSpec, CallKind, Fault, FaultRule, ProfileAnswer};
use tests::body::{IG, PAGE, body, change, entry, instagram, now, senderless, text};
use tests::collector::Collector;
use tests::{Api, Lab, Role, eventually};

fn header(message: &async_nats::jetstream::Message, name: &str) -> String {
    let headers = message.headers.as_ref();
    headers.and_then(|headers| headers.get(name)).map_or_else(String::new, ToString::to_string)
}

/// The trace id in `00-<trace id>-<span id>-01`.
fn trace_id(traceparent: &str) -> String {
    let parts: Vec<&str> = traceparent.split('-').collect();
    assert!(parts.len() == 4 && parts[1].len() == 32, "no traceparent: `{traceparent}`");
    parts[1].to_owned()
}

/// The trace ids of a stream's messages that `wanted` picks, by header; for events the envelope says the same.
async fn traces_of(lab: &Lab, stream: &str, wanted: impl Fn(&Value) -> bool) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for message in lab.messages(stream).await {
        let payload: Value = serde_json::from_slice(&message.payload).unwrap();
        if wanted(&payload) {
            let published = header(&message, "traceparent");
            if stream == "INBOX_EVENTS" {
                assert_eq!(payload["traceparent"], published, "{payload}");
            }
            ids.insert(trace_id(&published));
        }
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_the_webhook_to_the_reply_and_the_rows() {
    let collector = Collector::start().await;
    let mut lab = Lab::start().await;
    lab.set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url());
    // Fewer logs are no reason for fewer traces.
    lab.set("RUST_LOG", "warn");
    lab.run_apart().await;
    let account = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    let token = account.token();
    lab.add_account(
        "instagram",
        "instagram",
        IG,
        &token,
        &["--auto-reply", "We will answer soon."],
    )
    .await;
    let person = account.person("Ann Berg");
    person.says("is it still there?").accepted().await.unwrap();
    eventually("the automatic reply arrives", Duration::from_secs(20), async || {
        if person.texts_received().is_empty() { Err("not yet".to_owned()) } else { Ok(()) }
    })
    .await;
    lab.settled().await;

    let raws = traces_of(&lab, "META_RAW", |raw| raw.to_string().contains("still there")).await;
    assert_eq!(raws.len(), 1, "{raws:?}");
    let published = traces_of(&lab, "INBOX_EVENTS", |event| {
        event["type"] == "hookline.message.received.v1"
            || event["type"] == "hookline.contact.discovered.v1"
    })
    .await;
    assert_eq!(published, raws, "the events of the webhook");
    let asked = traces_of(&lab, "INBOX_COMMANDS", |command| {
        command["id"].as_str().unwrap().starts_with("auto:")
    })
    .await;
    assert_eq!(asked, raws, "the automatic command");
    let sent =
        traces_of(&lab, "INBOX_EVENTS", |event| event["type"] == "hookline.reply.sent.v1").await;
    assert_eq!(sent, raws, "the outcome");

    let trace = raws.first().unwrap();
    for (service, span) in [
        ("hookline-ingest", "receive webhook"),
        ("hookline-worker", "normalize"),
        ("hookline-worker", "send"),
        ("hookline-worker", "graph"),
        ("hookline-projector", "project"),
    ] {
        collector.saw(service, span, trace).await;
    }

    // A caller of the API may bring a trace along.
    let (caller, api) = ("0af7651916cd43dd8448eb211c80319c", lab.api());
    let id = api.conversations().await[0]["id"].as_str().unwrap().to_owned();
    let answer = api
        .http
        .post(format!("{}/v1/conversations/{id}/messages?wait=10s", api.url))
        .bearer_auth(&api.token)
        .header("idempotency-key", "traced")
        .header("traceparent", format!("00-{caller}-b7ad6b7169203331-01"))
        .json(&json!({"text": "three left"}))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let sent = traces_of(&lab, "INBOX_EVENTS", |event| {
        event["type"] == "hookline.reply.sent.v1" && event["data"]["text"] == "three left"
    })
    .await;
    assert_eq!(sent, BTreeSet::from([caller.to_owned()]));
    for (service, span) in [("hookline-api", "api_request"), ("hookline-worker", "send")] {
        collector.saw(service, span, caller).await;
    }
    for word in ["still there", "three left", "Ann Berg", "answer soon", &token, &lab.api().token] {
        assert!(!collector.anything_contains(word), "`{word}` is in a trace");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_never_answers_holds_up_no_exit() {
    let collector = Collector::silent().await;
    let mut lab = Lab::start().await;
    lab.set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url());
    lab.run_apart().await;
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &[]).await;
    let item = text(IG, "5200000000000011", "mid.1", now(), "hello");
    assert_eq!(lab.meta().post("/webhooks/instagram", &instagram(item)).await, 200);
    lab.settled().await;
    for role in Role::ALL {
        let asked = std::time::Instant::now();
        assert_eq!(lab.stop(role).await, Some(0), "{role:?}\n{}", lab.log(role));
        assert!(asked.elapsed() < Duration::from_secs(10), "{role:?}: {:?}", asked.elapsed());
    }
}

/// Words that only persons, their tokens and our secrets have; hyphens survive percent-encoding of subjects.
const MARK: &str = "zq-private";

/// What the people of a shop do on a day that goes badly: every word, name and token is marked.
async fn busy_day(lab: &Lab, instagram_account: &AccountHandle, page: &AccountHandle) {
    for account in [instagram_account, page] {
        let person = account.person(&mark("Name"));
        person.says(&mark("hello")).accepted().await.unwrap();
        let shy = account.person(&mark("Shy"));
        shy.set_profile(ProfileAnswer::ServerError);
        shy.says(&mark("psst")).accepted().await.unwrap();
    }
    // Bodies that Meta might send one day, and some that are no JSON at all.
    let meta = lab.meta();
    let person = "5200000000000077";
    let odd = [
        body("instagram", &[entry(IG, now(), &[json!({"sender": {"id": mark("id")}, "surprise": {"text": mark("odd")}})])]),
        body("instagram", &[entry(IG, now(), &[senderless("mid.unknown", now())])]),
        body("instagram", &[change(IG, now(), &mark("field"), json!({"text": mark("value")}))]),
        body("instagram", &[change(IG, now(), "comments", json!({"id": "1789", "text": mark("comment"), "from": {"id": person, "username": mark("user")}, "media": {"id": "18"}}))]),
        body(&mark("object"), &[entry("17841400000000999", now(), &[text(IG, person, "m", now(), &mark("text"))])]),
        instagram(json!({"sender": {"id": person}, "recipient": {"id": IG}, "timestamp": mark("time"), "message": {"mid": 7, "text": [mark("nested")]}})),
        instagram(json!({"sender": {"id": person}, "recipient": {"id": IG}, "timestamp": now(), "postback": {"mid": "mid.pb", "title": mark("title"), "payload": mark("payload")}})),
        format!("not JSON: {}", mark("raw")).into_bytes(),
        format!("{{\"object\": \"instagram\", \"entry\": [{{\"id\": \"{IG}\", \"messaging\": \"{}\"}}]}}", mark("text")).into_bytes(),
    ];
    for body in &odd {
        assert_eq!(meta.post("/webhooks/instagram", body).await, 200);
    }
    // Forged, and a handshake with somebody's token.
    let forged = tests::Meta::new(meta.url.clone(), "another-secret");
    assert_eq!(forged.post("/webhooks/instagram", &odd[0]).await, 401);
    let handshake = format!(
        "{}/webhook?hub.mode=subscribe&hub.verify_token={MARK}&hub.challenge={MARK}",
        meta.url
    );
    assert_eq!(meta.http.get(handshake).send().await.unwrap().status(), 403);
    assert_eq!(
        meta.http.get(format!("{}/{MARK}?q={MARK}", meta.url)).send().await.unwrap().status(),
        404
    );

    callers(lab).await;
    publishers(lab).await;
    // A token that Meta refuses stops its account.
    instagram_account.expire_token();
    let late = instagram_account.person(&mark("Late"));
    late.says(&mark("too late")).accepted().await.unwrap();
    assert!(lab.simulator.settled(Duration::from_secs(20)).await);
    lab.settled().await;
}

fn mark(what: &str) -> String {
    format!("{MARK} {what}")
}

/// Callers of the API, with good and bad manners.
async fn callers(lab: &Lab) {
    let api = lab.api();
    let conversations = eventually("the people are there", Duration::from_secs(20), async || {
        let all = api.conversations().await;
        if all.len() >= 4 { Ok(all) } else { Err(format!("{}", all.len())) }
    })
    .await;
    let id =
        conversations.iter().find(|c| c["channel"] == "messenger").unwrap()["id"].as_str().unwrap();
    let path = format!("/v1/conversations/{id}/messages");
    let answer_text = json!({"text": mark("answer")});
    let (status, sent) = api
        .post_once(&format!("{path}?wait=10s"), &format!("{MARK}-key"), answer_text.clone())
        .await;
    assert_eq!(status, 200, "{sent}");
    lab.simulator.fault(FaultRule::new(Fault::ServerErrorBefore).on(CallKind::Send).times(2));
    for (n, fault) in
        [Fault::ServerErrorAfter, Fault::TimeoutAfter, Fault::RateLimited].into_iter().enumerate()
    {
        lab.simulator.fault(FaultRule::new(fault).on(CallKind::Send).times(1));
        let key = format!("{MARK}-{n}");
        assert_eq!(
            api.post_once(&path, &key, json!({"text": mark(&format!("answer {n}"))})).await.0,
            202
        );
    }
    let query = format!("q={}&assigned_to={}", MARK, MARK);
    assert_eq!(api.get(&format!("/v1/conversations?{query}")).await.0, 200);
    assert!(api.get(&format!("/v1/conversations/{MARK}?limit={MARK}")).await.0 >= 400);
    assert_eq!(api.get(&format!("/v1/{MARK}?{query}")).await.0, 404);
    let stranger = Api { token: format!("{MARK}-token"), ..api.clone() };
    assert_eq!(stranger.get(&format!("/v1/conversations?{query}")).await.0, 401);
    api.post(&format!("/v1/conversations/{id}/assign"), json!({"assigned_to": mark("agent")}))
        .await;
    api.post(&format!("/v1/conversations/{id}/read"), json!({"note": mark("note")})).await;
    api.post_once(&path, "bad", json!({"txet": mark("typo"), "tag": mark("tag")})).await;
    api.post("/v1/blocklist", json!({"contact_id": mark("contact"), "reason": mark("reason")}))
        .await;
}

/// Whoever has the permission may publish anything as a command or an event.
async fn publishers(lab: &Lab) {
    let js = lab.jetstream().await;
    let command = json!({"id": "by-hand", "channel": "messenger", "account_id": PAGE, "contact_id": "1", "command": mark("command"),
        "requested_by": {"kind": "automation", "name": mark("bot")}, "requested_at": "2026-11-21T10:00:00Z", "data": {"text": mark("text")}});
    for payload in [command.to_string(), format!("no JSON {}", mark("text"))] {
        js.publish(format!("inbox.v1.command.00.messenger.{PAGE}.reply"), payload.into())
            .await
            .unwrap()
            .await
            .unwrap();
    }
    let event = |kind: String, time: String, text: Value| {
        json!({"specversion": "1.0", "id": "evt_by_hand", "type": kind, "source": format!("/messenger/{PAGE}"), "time": time,
            "datacontenttype": "application/json", "dataschema": "hookline:schemas/message.received.v1.json",
            "data": {"channel": "messenger", "account_id": PAGE, "contact_id": "1234567890123456", "message_id": "mid.hand", "text": text,
                "attachments": [], "sender_resolution": {"method": "payload", "evidence": {}},
                "origin": {"via": "webhook", "raw_stream_sequence": 1, "index": 0, "revision": 0}}})
        .to_string()
    };
    let (kind, time) = ("hookline.message.received.v1", "2026-11-21T10:00:00.000Z");
    for payload in [
        event(mark("type"), time.to_owned(), json!("hello")),
        event(kind.to_owned(), mark("time"), json!("hello")),
        event(kind.to_owned(), time.to_owned(), json!({"not": mark("text")})),
        event(kind.to_owned(), time.to_owned(), json!("hello")).replace("payload", &mark("method")),
        format!("no JSON {}", mark("text")),
    ] {
        let subject = format!("inbox.v1.event.00.messenger.{PAGE}.message-received");
        js.publish(subject, payload.into()).await.unwrap().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_a_person_says_is_in_logs_metrics_subjects_or_traces() {
    let collector = Collector::start().await;
    let mut lab = Lab::start().await;
    lab.set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url());
    lab.set("RUST_LOG", "debug");
    lab.set("LOG_FORMAT", "json");
    lab.set("META_VERIFY_TOKENS", &format!("{MARK}-verify"));
    lab.run_apart().await;
    let instagram_account = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    let page = lab.simulator.add_account(AccountSpec::messenger(PAGE)).unwrap();
    for (account, channel, login) in
        [(&instagram_account, "instagram", "instagram"), (&page, "messenger", "facebook")]
    {
        account.set_token(&format!("{MARK}-graph-{channel}"));
        let more = ["--name", "zq-private shop", "--auto-reply", "zq-private automatic"];
        lab.add_account(channel, login, account.id(), &account.token(), &more).await;
    }
    busy_day(&lab, &instagram_account, &page).await;

    // The day was as busy as it looks: the words are in the streams.
    let mut subjects = String::new();
    for stream in ["META_RAW", "INBOX_EVENTS", "INBOX_COMMANDS", "INBOX_DEAD"] {
        for message in lab.messages(stream).await {
            subjects.push_str(&message.subject);
            subjects.push('\n');
        }
    }
    let messages = lab.messages("INBOX_EVENTS").await;
    let kinds: BTreeSet<String> = messages
        .iter()
        .filter_map(|message| serde_json::from_slice::<Value>(&message.payload).ok())
        .filter_map(|event| event["type"].as_str().map(str::to_owned))
        .collect();
    for kind in [
        "message.received",
        "contact.enriched",
        "reply.sent",
        "webhook.unrecognized",
        "comment.created",
    ] {
        assert!(kinds.contains(&format!("hookline.{kind}.v1")), "{kind} is missing in {kinds:?}");
    }

    for role in Role::ALL {
        let shown = lab.metrics(role).await;
        let stage = match role {
            Role::Ingest => ["hookline_ingest_requests_total", "hookline_ingest_store_seconds"],
            Role::Worker => ["hookline_normalize_events_total", "hookline_graph_calls_total"],
            Role::Projector => {
                ["hookline_projector_events_total", "hookline_projector_lag_messages"]
            }
            Role::Api => ["hookline_api_requests_total", "hookline_api_request_seconds"],
            Role::Ops => continue,
        };
        for name in stage {
            assert!(shown.contains(name), "{name} is missing in /metrics of {role:?}");
        }
        let log = lab.log(role);
        let expected = match role {
            Role::Ingest => ["Refused a handshake", "Stored a webhook"],
            Role::Worker => ["Outcome of command", "Stopped account"],
            Role::Projector => ["Projecting from the stored position", "aside and went on"],
            Role::Api => ["Connected to the broker", "Queued reply"],
            Role::Ops => continue,
        };
        for line in expected {
            assert!(log.contains(line), "`{line}` is missing in the log of {role:?}: {log}");
        }
        for line in log.lines() {
            let read: Result<Value, _> = serde_json::from_str(line);
            assert!(
                read.is_ok_and(|line| line["level"].is_string()),
                "{role:?} logged what is no JSON: {line}"
            );
            not_marked(&format!("the log of {role:?}"), line);
        }
        shown.lines().for_each(|line| not_marked(&format!("/metrics of {role:?}"), line));
    }
    subjects.lines().for_each(|subject| not_marked("subjects", subject));
    assert!(!collector.anything_contains(MARK), "a trace has it");
    let (_, status, _) = lab.hookline(&["status", "--output", "json"]).await;
    not_marked("status", &status);
}

fn not_marked(place: &str, line: &str) {
    for word in [MARK, tests::lab::SECRET, tests::lab::API_TOKEN] {
        assert!(!line.contains(word), "{place} shows what a person wrote or a secret: {line}");
    }
}
