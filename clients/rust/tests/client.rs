//! The client from outside: on a real broker with the shipped permissions, and with a day of a later release.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, stream};
use async_nats::{Client, ConnectOptions, HeaderMap};
use hookline_client::reader::{Retry, carry_out};
use hookline_client::{
    BoxError, Event, Handler, Meta, Options, Stopped, Store, Unknown, Window, follow,
};
use serde_json::{Value, json};
use servers::{NatsOptions, NatsServer};
use tokio_util::sync::CancellationToken;

const USERS: &str = include_str!("../../../deploy/nats-users.conf");
const ROLES: [&str; 8] =
    ["ingest", "worker", "replay", "projector", "api", "ops", "operator", "subscriber"];
const ACCOUNT: &str = "17841400000000001";
const OTHER: &str = "17841400000000002";
const RETRY: Retry = Retry { min: Duration::from_millis(2), max: Duration::from_millis(10) };

/// Notes what comes to which handler.
#[derive(Clone, Default)]
struct Recording {
    log: Arc<Mutex<Vec<String>>>,
    troubles: Arc<Mutex<Vec<String>>>,
    events: Arc<Mutex<Vec<Event>>>,
    /// How often the event `fails-twice` has failed.
    fails: usize,
}

impl Recording {
    fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    fn note(&self, line: String) {
        self.log.lock().unwrap().push(line);
    }

    async fn eventually(&self, what: &str, holds: impl Fn(&[String]) -> bool) {
        let began = Instant::now();
        while !holds(&self.log()) {
            assert!(began.elapsed() < Duration::from_secs(30), "{what}: {:?}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Handler for Recording {
    async fn event(&mut self, event: &Event, meta: &Meta) -> Result<(), BoxError> {
        if event.id == "fails-twice" && self.fails < 2 {
            self.fails += 1;
            return Err("not now".into());
        }
        if event.id == "slow" {
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        let replay = meta.replay.as_ref().map(|job| format!(" of {job}")).unwrap_or_default();
        self.note(format!("{} {}{replay}", event.id, event.data.origin.revision));
        self.events.lock().unwrap().push(event.clone());
        Ok(())
    }

    async fn withdrawn(&mut self, id: &str, event: &Event, _: &Meta) -> Result<(), BoxError> {
        self.note(format!("{id} withdrawn"));
        self.events.lock().unwrap().push(event.clone());
        Ok(())
    }

    async fn unknown(&mut self, unknown: Unknown<'_>, _: &Meta) -> Result<(), BoxError> {
        self.note(unknown.reason.to_owned());
        Ok(())
    }

    fn trouble(&mut self, error: BoxError, what: &str) {
        self.troubles.lock().unwrap().push(format!("{what}: {error}"));
    }
}

fn event(id: &str, revision: u32, kind: &str, fields: Value) -> Value {
    let mut event = json!({
        "specversion": "1.0", "id": id, "type": format!("hookline.{kind}.v1"), "source": "/instagram/1", "time": "2026-11-21T10:00:00.123Z",
        "data": { "channel": "instagram", "account_id": ACCOUNT, "origin": { "via": "webhook", "revision": revision }, "new_field": [1] },
    });
    let data = event["data"].as_object_mut().unwrap();
    data.extend(fields.as_object().unwrap().clone());
    event
}

fn message(id: &str, revision: u32) -> Value {
    event(id, revision, "message.deleted", json!({ "message_id": "m" }))
}

fn withdrawal(of: &str) -> Value {
    event("w", 0, "fact.withdrawn", json!({ "event_id": of, "reason": "superseded" }))
}

async fn read(events: &[Value], store: &mut impl Store) -> Vec<String> {
    let mut handler = Recording::default();
    let never = CancellationToken::new();
    for event in events {
        let bytes = event.to_string().into_bytes();
        assert!(carry_out(&bytes, &Meta::default(), &mut handler, store, RETRY, &never).await);
    }
    handler.log()
}

#[tokio::test]
async fn an_event_comes_once_and_what_is_withdrawn_stays_so() {
    let events = [
        message("a", 0),
        message("a", 0),
        message("a", 1),
        message("b", 0),
        withdrawal("a"),
        withdrawal("a"),
        message("a", 2),
        message("c", 0),
    ];
    let log = read(&events, &mut Window::default()).await;
    assert_eq!(log, ["a 0", "a 1", "b 0", "a withdrawn", "c 0"]);
    // A window forgets the oldest.
    let events = ["a", "b", "c", "a", "c"].map(|id| message(id, 0));
    assert_eq!(read(&events, &mut Window::new(2)).await, ["a 0", "b 0", "c 0", "a 0"]);
}

#[tokio::test]
async fn what_cannot_be_read_is_no_obstacle_and_a_failing_handler_is_asked_again() {
    let (mut handler, mut store) = (Recording::default(), Window::default());
    let stop = CancellationToken::new();
    let stranger = event("n", 0, "message.sung", json!({})).to_string();
    let mistyped = event("m", 0, "message.deleted", json!({ "contact_id": ["words"] })).to_string();
    let shapeless = [r#"{"id":"x"}"#, "null", "7", "[]", "{"];
    let all = [&*stranger, &*stranger, &*mistyped].into_iter().chain(shapeless);
    for bytes in all.map(str::as_bytes).chain([b"\xff\xfe".as_slice(), b""]) {
        assert!(
            carry_out(bytes, &Meta::default(), &mut handler, &mut store, RETRY, &stop).await,
            "{bytes:?}"
        );
    }
    let shape = "no `id`, `type` or `data.origin.revision`";
    let strange = ["unknown kind hookline.message.sung.v1", "not of its kind's shape"];
    let expected = [&strange[..], &[shape; 4], &["not JSON"; 3]].concat();
    assert_eq!(handler.log(), expected);
    let failing = message("fails-twice", 0).to_string();
    assert!(
        carry_out(failing.as_bytes(), &Meta::default(), &mut handler, &mut store, RETRY, &stop)
            .await
    );
    assert_eq!(handler.troubles.lock().unwrap().len(), 2);
    stop.cancel();
    assert!(
        !carry_out(failing.as_bytes(), &Meta::default(), &mut handler, &mut store, RETRY, &stop)
            .await
    );
}

/// What of `known` is not in `read`.
fn lost(known: &Value, read: &Value, path: &str) -> Vec<String> {
    match (known, read) {
        (Value::Object(known), Value::Object(read)) => known
            .iter()
            .flat_map(|(name, value)| {
                let read = read.get(name).unwrap_or(&Value::Null);
                lost(value, read, &format!("{path}.{name}"))
            })
            .collect(),
        (Value::Array(known), Value::Array(read)) if known.len() == read.len() => {
            let pairs = known.iter().zip(read).enumerate();
            pairs
                .flat_map(|(n, (known, read))| lost(known, read, &format!("{path}[{n}]")))
                .collect()
        }
        _ if known == read => Vec::new(),
        _ => vec![format!("{path}: {known} was read as {read}")],
    }
}

/// The common part as it was read.
fn common(event: &Event) -> Value {
    let data = &event.data;
    json!({
        "id": event.id, "type": event.type_name, "source": event.source, "subject": event.subject, "time": event.time, "traceparent": event.traceparent,
        "channel": data.channel, "account_id": data.account_id, "conversation_id": data.conversation_id, "contact_id": data.contact_id,
        "via": data.origin.via, "revision": data.origin.revision, "index": data.origin.index, "raw_stream_sequence": data.origin.raw_stream_sequence,
        "flags": [data.time_approximate, data.standby, data.is_self],
    })
}

/// The same, taken from the bytes.
fn common_of(event: &Value) -> Value {
    let (data, origin) = (&event["data"], &event["data"]["origin"]);
    let flag = |name: &str| data[name].as_bool().unwrap_or(false);
    json!({
        "id": event["id"], "type": event["type"], "source": event["source"], "subject": event["subject"], "time": event["time"],
        "traceparent": event["traceparent"], "channel": data["channel"], "account_id": data["account_id"],
        "conversation_id": data["conversation_id"], "contact_id": data["contact_id"], "via": origin["via"], "revision": origin["revision"],
        "index": origin["index"], "raw_stream_sequence": origin["raw_stream_sequence"],
        "flags": [flag("time_approximate"), flag("standby"), flag("self")],
    })
}

const COMMON: [&str; 8] = [
    "channel",
    "account_id",
    "conversation_id",
    "contact_id",
    "time_approximate",
    "standby",
    "self",
    "origin",
];

#[tokio::test]
#[ignore = "`make clients` makes the day"]
async fn a_day_of_a_later_release_is_read_and_nothing_known_of_it_is_lost() {
    let path = std::env::var("HOOKLINE_TEST_DAY").expect("the file of clients/testing/day.py");
    let lines = std::fs::read_to_string(path).unwrap();
    let (mut handler, mut store) = (Recording::default(), Window::default());
    let stop = CancellationToken::new();
    let mut facts = 0;
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let bytes = line["event"].to_string().into_bytes();
        carry_out(&bytes, &Meta::default(), &mut handler, &mut store, RETRY, &stop).await;
        if line["known"].is_null() && line["words"] != true {
            continue;
        }
        let read = handler.events.lock().unwrap().pop().expect("it was handed on");
        assert_eq!(common(&read), common_of(&line["event"]));
        let mut fields = line["event"]["data"].as_object().unwrap().clone();
        fields.retain(|name, _| !COMMON.contains(&name.as_str()));
        assert_eq!(read.data.fields, fields, "its own fields, and the new one");
        if line["words"] == true {
            continue;
        }
        assert!(read.others.contains_key("said_by_a_later_release"));
        assert!(read.data.origin.others.contains_key("said_by_a_later_release"));
        let fact = read.fact.as_ref().unwrap_or_else(|| panic!("{} is no fact", read.id));
        let mut known = line["known"]["data"].as_object().unwrap().clone();
        known.retain(|name, _| !COMMON.contains(&name.as_str()));
        let faults = lost(&known.into(), &fact.to_fields().unwrap().into(), &read.id);
        assert!(faults.is_empty(), "{faults:?}");
        facts += 1;
    }
    let log = handler.log();
    let is_stranger = |line: &&String| line.starts_with("unknown") || line.starts_with("not");
    let strangers: Vec<_> = log.iter().filter(is_stranger).collect();
    assert_eq!(strangers, ["unknown kind hookline.message.translated.v1"]);
    assert!(90 < facts, "{facts}");
}

/// A broker with the deployed users, whose passwords are their names.
struct Lab {
    server: NatsServer,
    folder: std::path::PathBuf,
    worker: jetstream::Context,
}

impl Lab {
    async fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("hookline-client-{}", std::process::id()));
        let password = |role: &&str| format!("{}_PASSWORD: \"{role}\"\n", role.to_uppercase());
        let passwords: String = ROLES.iter().map(password).collect();
        let options = NatsOptions {
            password: false,
            extra_config: Some(format!("{passwords}{USERS}")),
            ..NatsOptions::new(&folder)
        };
        let server = NatsServer::start(options).await.unwrap();
        let worker = jetstream::new(connect(&server, "worker").await);
        let subjects = vec!["inbox.v1.event.>".into()];
        let config = stream::Config { name: "INBOX_EVENTS".into(), subjects, ..Default::default() };
        worker.get_or_create_stream(config).await.unwrap();
        Self { server, folder, worker }
    }

    async fn publish(&self, account: &str, body: String, replay: Option<&str>) {
        let mut headers = HeaderMap::new();
        if let Some(job) = replay {
            headers.insert("Hookline-Replay", job);
        }
        let subject = format!("inbox.v1.event.07.instagram.{account}.message-deleted");
        let ack = self.worker.publish_with_headers(subject, headers, body.into()).await;
        ack.unwrap().await.unwrap();
    }

    async fn say(&self, event: Value) {
        self.publish(ACCOUNT, event.to_string(), None).await;
    }
}

async fn connect(server: &NatsServer, user: &str) -> Client {
    ConnectOptions::with_user_and_password(user.into(), user.into())
        .custom_inbox_prefix(format!("_INBOX_{user}"))
        .connect(server.url())
        .await
        .unwrap()
}

/// A reader in a task.
struct Following {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), Stopped>>,
}

impl Following {
    fn start(client: &Client, account: &str, handler: &Recording, mut store: Window) -> Self {
        let stop = CancellationToken::new();
        let mut options = Options::new("shop-a", "instagram", account);
        options.retry = RETRY;
        options.ack_wait = Duration::from_secs(2);
        let (client, mut handler, token) = (client.clone(), handler.clone(), stop.clone());
        let task = tokio::spawn(async move {
            follow(&client, &options, &mut handler, &mut store, &token).await
        });
        Self { stop, task }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_followed_with_the_shipped_permissions() {
    let mut lab = Lab::start().await;
    let subscriber = connect(&lab.server, "subscriber").await;
    let handler = Recording::default();
    lab.say(message("before", 0)).await;
    let following = Following::start(&subscriber, ACCOUNT, &handler, Window::default());
    handler.eventually("what was there before it", |log| log.len() == 1).await;
    lab.say(message("a", 0)).await;
    lab.publish(OTHER, message("of-another-account", 0).to_string(), None).await;
    lab.say(message("a", 0)).await;
    lab.say(message("a", 1)).await;
    lab.publish(ACCOUNT, message("b", 0).to_string(), Some("job-1")).await;
    lab.say(event("c", 0, "message.sung", json!({}))).await;
    lab.publish(ACCOUNT, "{".into(), None).await;
    lab.say(message("fails-twice", 0)).await;
    lab.say(withdrawal("a")).await;
    lab.say(message("a", 2)).await;
    lab.say(message("d", 0)).await;
    let stranger = "unknown kind hookline.message.sung.v1";
    let first = ["before 0", "a 0", "a 1", "b 0 of job-1", stranger, "not JSON", "fails-twice 0"];
    let expected = [&first[..], &["a withdrawn", "d 0"]].concat();
    handler.eventually("all of it", |log| expected.len() <= log.len()).await;
    assert_eq!(handler.log(), expected);
    following.stop().await;
    assert_eq!(handler.troubles.lock().unwrap().len(), 2, "each failure is reported");

    // Stopped and resumed: what came meanwhile comes, nothing else.
    lab.say(message("meanwhile", 0)).await;
    let following = Following::start(&subscriber, ACCOUNT, &handler, Window::default());
    handler.eventually("what came meanwhile", |log| expected.len() < log.len()).await;
    following.stop().await;
    assert_eq!(handler.log()[expected.len()..], ["meanwhile 0"]);

    // Two share the name: one has the event in hand, longer than the ack wait, and the other gets neither it nor what lies behind it.
    let before = handler.log().len();
    let start = || Following::start(&subscriber, ACCOUNT, &handler, Window::default());
    let (one, another) = (start(), start());
    lab.say(message("slow", 0)).await;
    lab.say(message("behind-it", 0)).await;
    let is_over = |log: &[String]| log.last().is_some_and(|last| last == "behind-it 0");
    handler.eventually("both of them", is_over).await;
    one.stop().await;
    another.stop().await;
    assert_eq!(handler.log()[before..], ["slow 0", "behind-it 0"]);

    // A consumer that is gone is made again, and begins at the start.
    let following = Following::start(&subscriber, ACCOUNT, &handler, Window::default());
    let operator = jetstream::new(connect(&lab.server, "operator").await);
    operator.delete_consumer_from_stream("shop-a", "INBOX_EVENTS").await.unwrap();
    lab.say(message("last", 0)).await;
    handler.eventually("what came after", |log| log.last().is_some_and(|l| l == "last 0")).await;
    following.stop().await;

    // The name is taken by a reader of something else: that is said, and nothing is read.
    let other = Following::start(&subscriber, OTHER, &handler, Window::default());
    assert!(matches!(other.task.await.unwrap(), Err(Stopped::AnotherConsumer(_))));
    subscriber.drain().await.unwrap();
    let closed = Following::start(&subscriber, ACCOUNT, &handler, Window::default());
    let ended = tokio::time::timeout(Duration::from_secs(60), closed.task).await.unwrap();
    assert!(matches!(ended.unwrap(), Err(Stopped::Closed)));
    lab.server.stop().await.unwrap();
    std::fs::remove_dir_all(&lab.folder).unwrap();
}
