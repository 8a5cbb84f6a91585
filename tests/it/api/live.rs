//! `GET /v1/live`: events as they are projected, without gap or repeat.

mod mended;
mod unsent;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::body::{IG, PAGE, now, text};
use tests::{Api, Lab, LabOptions, Role, eventually};

use super::cable::through_cable;
use super::{add_accounts, is_problem, lab, lab_apart, person, webhook, with_token, written};

/// One server-sent event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) id: Option<u64>,
    kind: String,
    pub(super) data: String,
}

impl Sent {
    pub(super) fn is_received(&self) -> bool {
        self.kind == "message.received"
    }
}

/// A client that listens.
pub(super) struct Listener {
    answer: reqwest::Response,
    rest: String,
}

impl Listener {
    pub(super) async fn open(
        api: &Api,
        query: &str,
        last: Option<u64>,
    ) -> Result<Self, (u16, Value)> {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = http.get(format!("{}/v1/live{query}", api.url)).bearer_auth(&api.token);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let answer = request.send().await.map_err(|error| (0, json!(error.to_string())))?;
        if answer.status() != 200 {
            return Err((answer.status().as_u16(), answer.json().await.unwrap_or_default()));
        }
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Ok(Self { answer, rest: String::new() })
    }

    /// The next event; `None` at the end of the stream.
    pub(super) async fn next(&mut self) -> Option<Sent> {
        loop {
            while let Some((block, rest)) = self.rest.split_once("\n\n") {
                let mut sent = Sent { id: None, kind: String::new(), data: String::new() };
                for line in block.lines() {
                    match line.split_once(':').map(|(name, value)| (name, value.trim_start())) {
                        Some(("id", id)) => sent.id = Some(id.parse().unwrap()),
                        Some(("event", kind)) => kind.clone_into(&mut sent.kind),
                        Some(("data", data)) => sent.data.push_str(data),
                        _ => {}
                    }
                }
                self.rest = rest.to_owned();
                if !sent.kind.is_empty() {
                    return Some(sent);
                }
            }
            let chunk = self.answer.chunk().await.ok().flatten()?;
            self.rest.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next event, which must come.
    pub(super) async fn soon(&mut self) -> Sent {
        let next = tokio::time::timeout(Duration::from_secs(20), self.next()).await;
        next.expect("an event comes").expect("the stream goes on")
    }

    /// Everything up to this position.
    pub(super) async fn up_to(&mut self, position: u64) -> Vec<Sent> {
        let mut all = Vec::new();
        while all.last().is_none_or(|sent: &Sent| sent.id.unwrap() < position) {
            all.push(self.soon().await);
        }
        all
    }
}

/// What is in the stream after `position`.
pub(super) async fn stored(lab: &Lab, position: u64) -> Vec<Sent> {
    let messages = lab.messages("INBOX_EVENTS").await;
    let all = messages.iter().map(|message| {
        let data = std::str::from_utf8(&message.payload).unwrap().to_owned();
        let event: Value = serde_json::from_str(&data).unwrap();
        let kind = event["type"].as_str().unwrap();
        let kind = kind.strip_prefix("hookline.").unwrap().strip_suffix(".v1").unwrap().to_owned();
        Sent { id: Some(message.info().unwrap().stream_sequence), kind, data }
    });
    all.filter(|sent| sent.id.unwrap() > position).collect()
}

async fn says(lab: &Lab, account: &str, n: usize, mid: &str) {
    webhook(lab, account, &[text(account, &person(n), mid, now(), mid)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_as_they_are_projected_and_filters_hold() {
    let lab = lab().await;
    let api = lab.api();
    let id = written(&lab, IG, 1, "before").await;
    lab.settled().await;
    let head = lab.last_sequence("INBOX_EVENTS").await;
    let query = |filter: &str| format!("?{filter}");
    let open = async |filter: String| Listener::open(&api, &filter, None).await.unwrap();
    let mut all = open(String::new()).await;
    let mut read_only = Listener::open(&with_token(&api, super::READER), "", None).await.unwrap();
    let mut of_page = open(query(&format!("account_id={PAGE}"))).await;
    let mut of_channel = open(query("channel=messenger")).await;
    let mut of_conversation = open(query(&format!("conversation_id={id}"))).await;
    let mut of_kinds = open(query("kinds=conversation.read,conversation.archived")).await;
    says(&lab, IG, 2, "mid.2").await;
    // What comes is in the lists already.
    let first = loop {
        let sent = all.soon().await;
        if sent.kind == "message.received" {
            break sent;
        }
    };
    let event: Value = serde_json::from_str(&first.data).unwrap();
    let conversation = event["data"]["conversation_id"].as_str().unwrap();
    assert_eq!(api.messages(conversation).await[0]["text"], "mid.2");
    says(&lab, PAGE, 3, "mid.3").await;
    says(&lab, IG, 1, "mid.1").await;
    assert_eq!(api.post(&format!("/v1/conversations/{id}/read"), json!({})).await.0, 200);
    lab.settled().await;
    let end = lab.last_sequence("INBOX_EVENTS").await;
    let expected = stored(&lab, head).await;
    assert_eq!(
        read_only.up_to(end).await,
        expected,
        "every event once, in order, as it was published"
    );
    let matching = |check: &dyn Fn(&Value) -> bool| -> Vec<Sent> {
        let fits = |sent: &&Sent| check(&serde_json::from_str::<Value>(&sent.data).unwrap());
        expected.iter().filter(fits).cloned().collect()
    };
    for (listener, wanted) in [
        (&mut of_page, matching(&|e| e["data"]["account_id"] == PAGE)),
        (&mut of_channel, matching(&|e| e["data"]["channel"] == "messenger")),
        (&mut of_conversation, matching(&|e| e["data"]["conversation_id"] == id.as_str())),
        (&mut of_kinds, matching(&|e| e["type"] == "hookline.conversation.read.v1")),
    ] {
        assert!(!wanted.is_empty());
        assert_eq!(listener.up_to(wanted.last().unwrap().id.unwrap()).await, wanted);
    }
    for (query, field) in [
        ("?kinds=message.sung", "kinds"),
        ("?channel=telegram", "channel"),
        ("?last_event_id=x", "last_event_id"),
        ("?since=1", "since"),
    ] {
        let answer = Listener::open(&api, query, None).await.err().unwrap();
        is_problem(&answer, 422, "invalid");
        assert_eq!(answer.1["field"], field, "{query}");
    }
    let beyond = Listener::open(&api, "", Some(end + 1000)).await.err().unwrap();
    is_problem(&beyond, 409, "stream_reset");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_gets_every_event_once() {
    let mut lab = lab_apart(LabOptions::default()).await;
    add_accounts(&lab).await;
    let api = lab.api();
    written(&lab, IG, 1, "before").await;
    lab.settled().await;
    // From the start, by the query.
    let end = lab.last_sequence("INBOX_EVENTS").await;
    let mut whole = Listener::open(&api, "?last_event_id=0", None).await.unwrap();
    assert_eq!(whole.up_to(end).await, stored(&lab, 0).await);
    // Clients that come and go while events pour in.
    let posting = async {
        for n in 0..80 {
            let items: Vec<Value> = (0..5)
                .map(|k| text(IG, &person(n % 7), &format!("mid.{n}.{k}"), now(), "pouring"))
                .collect();
            webhook(&lab, IG, &items).await;
        }
    };
    let listening = async |stay: Duration| {
        let (mut seen, mut last) = (Vec::new(), end);
        let mut quiet = 0;
        while quiet < 8 {
            let mut listener = Listener::open(&api, "", Some(last)).await.unwrap();
            let until = tokio::time::Instant::now() + stay;
            let before = last;
            while let Ok(Some(sent)) = tokio::time::timeout_at(until, listener.next()).await {
                last = sent.id.unwrap();
                seen.push(sent);
            }
            quiet = if last == before { quiet + 1 } else { 0 };
        }
        seen
    };
    let ((), a, b, c) = tokio::join!(
        posting,
        listening(Duration::from_millis(30)),
        listening(Duration::from_millis(110)),
        listening(Duration::from_millis(400)),
    );
    lab.settled().await;
    let expected = stored(&lab, end).await;
    assert!(expected.len() >= 400, "{}", expected.len());
    for seen in [a, b, c] {
        let ids = |all: &[Sent]| all.iter().map(|sent| sent.id.unwrap()).collect::<Vec<_>>();
        assert_eq!(ids(&seen), ids(&expected));
        assert!(seen == expected);
    }
    // The api is gone meanwhile, and whoever asks first when it is back misses nothing.
    let last = expected.last().unwrap().id.unwrap();
    for n in 0..3 {
        let last = last + n;
        lab.kill9(Role::Api).await;
        says(&lab, IG, 1, &format!("mid.gone.{n}")).await;
        lab.run(Role::Api).await;
        let mut listener = eventually("somebody listens", Duration::from_secs(20), async || {
            Listener::open(&api, "", Some(last)).await.map_err(|error| format!("{error:?}"))
        })
        .await;
        let sent = listener.soon().await;
        assert_eq!((sent.id, sent.kind.as_str()), (Some(last + 1), "message.received"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_an_api_that_does_not_see_postgres_yet_misses_nothing() {
    let mut lab = Lab::start().await;
    super::set_tokens(&mut lab);
    for role in [Role::Ingest, Role::Worker, Role::Projector] {
        lab.run(role).await;
        lab.ready(role).await;
    }
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &[]).await;
    says(&lab, IG, 1, "mid.1").await;
    eventually("it is projected", Duration::from_secs(20), async || {
        let known: Result<i64, _> =
            sqlx::query_scalar("select seq from inbox.position").fetch_one(lab.pool()).await;
        if matches!(known, Ok(1..)) { Ok(()) } else { Err(format!("{known:?}")) }
    })
    .await;
    lab.settled().await;
    let expected = stored(&lab, 0).await;
    let (cable, url) = through_cable(&lab.settings["DATABASE_URL"]).await;
    cable.cut();
    lab.set("DATABASE_URL", &url);
    lab.run(Role::Api).await;
    let api = lab.api();
    // NATS is seen, Postgres is not: either it is refused, or it gets everything later.
    let began = Instant::now();
    let mut early = None;
    while began.elapsed() < Duration::from_secs(3) && early.is_none() {
        match Listener::open(&api, "", Some(0)).await {
            Ok(listener) => early = Some(listener),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    cable.mend();
    lab.ready(Role::Api).await;
    let mut listener = match early {
        Some(listener) => listener,
        None => Listener::open(&api, "", Some(0)).await.unwrap(),
    };
    assert_eq!(listener.up_to(expected.last().unwrap().id.unwrap()).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_and_waiters_end_when_the_api_is_asked_to_stop() {
    let mut lab = lab_apart(LabOptions::default()).await;
    add_accounts(&lab).await;
    let api = lab.api();
    let id = written(&lab, IG, 1, "hello").await;
    lab.settled().await;
    lab.stop(Role::Worker).await;
    let mut listener = Listener::open(&api, "", None).await.unwrap();
    let waiting = {
        let (api, path) = (api.clone(), format!("/v1/conversations/{id}/messages?wait=30s"));
        tokio::spawn(async move { api.post_once(&path, "k", json!({"text": "hello"})).await })
    };
    eventually("the command is there", Duration::from_secs(10), async || {
        if lab.last_sequence("INBOX_COMMANDS").await == 1 { Ok(()) } else { Err(String::new()) }
    })
    .await;
    let asked = Instant::now();
    assert_eq!(lab.stop(Role::Api).await, Some(0));
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert_eq!(listener.next().await, None, "the stream ends in order");
    let (status, reply) = waiting.await.unwrap();
    assert_eq!((status, &reply["status"]), (202, &json!("queued")), "who waits gets what is known");
}
