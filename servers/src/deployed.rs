//! `deploy/nats-users.conf` against a real server: each role can do its work, and no more.

use std::time::Duration;

use async_nats::jetstream::{self, consumer::pull, stream};
use async_nats::{Client, ConnectOptions};
use futures::StreamExt;

use crate::testing::Scratch;
use crate::{NatsOptions, NatsServer};

const USERS: &str = include_str!("../../deploy/nats-users.conf");
const ROLES: [&str; 8] =
    ["ingest", "worker", "replay", "projector", "api", "ops", "operator", "subscriber"];
const STREAMS: [(&str, &str); 5] = [
    ("META_RAW", "meta.v1.raw.>"),
    ("INBOX_EVENTS", "inbox.v1.event.>"),
    ("INBOX_COMMANDS", "inbox.v1.command.>"),
    ("INBOX_DEAD", "inbox.v1.dead.>"),
    ("INBOX_ATTEMPTS", "inbox.v1.attempt.>"),
];
const RAW: &str = "meta.v1.raw.instagram.00";
const EVENT: &str = "inbox.v1.event.07.instagram.17841400000000001.message-received";
const OTHER_EVENT: &str = "inbox.v1.event.07.instagram.17841400000000002.message-received";
const ACT: &str = "inbox.v1.event.07.instagram.17841400000000001.conversation-read";
const COMMAND: &str = "inbox.v1.command.07.instagram.17841400000000001.reply";
const DEAD: &str = "inbox.v1.dead.normalize.instagram.17841400000000001";
const ATTEMPT: &str = "inbox.v1.attempt.03";
const SET_ASIDE: &str = "inbox.v1.dead.projector.instagram.17841400000000001";

/// A server with the deployed users; their passwords are their names.
async fn server(scratch: &Scratch) -> NatsServer {
    // The configuration's own variables stand in for the environment.
    let passwords: String = ROLES
        .iter()
        .map(|role| format!("{}_PASSWORD: \"{role}\"\n", role.to_uppercase()))
        .collect();
    NatsServer::start(NatsOptions {
        password: false,
        extra_config: Some(format!("{passwords}{USERS}")),
        ..NatsOptions::new(scratch.path())
    })
    .await
    .expect("start")
}

async fn client(nats: &NatsServer, role: &str) -> Client {
    ConnectOptions::with_user_and_password(role.into(), role.into())
        .custom_inbox_prefix(format!("_INBOX_{role}"))
        .connect(nats.url())
        .await
        .expect("connect")
}

/// Requests the server refuses are never answered, so a short wait is an answer; those allowed answer at once.
async fn context(nats: &NatsServer, role: &str) -> jetstream::Context {
    jetstream::context::ContextBuilder::new()
        .timeout(Duration::from_secs(1))
        .build(client(nats, role).await)
}

async fn publishes(js: &jetstream::Context, subject: &'static str) -> bool {
    match js.publish(subject, "{}".into()).await {
        Ok(ack) => ack.await.is_ok(),
        Err(_) => false,
    }
}

/// Makes a consumer as a role does, and reads the first message.
async fn reads(js: &jetstream::Context, stream: &str, name: Option<&str>, filter: &str) -> bool {
    let config = pull::Config {
        name: name.map(str::to_owned),
        filter_subject: filter.to_owned(),
        ack_policy: jetstream::consumer::AckPolicy::None,
        inactive_threshold: Duration::from_secs(60),
        ..Default::default()
    };
    let Ok(consumer) = js.create_consumer_on_stream(config, stream).await else { return false };
    let batch = consumer.fetch().max_messages(1).expires(Duration::from_secs(1)).messages().await;
    let Ok(mut batch) = batch else { return false };
    matches!(batch.next().await, Some(Ok(_)))
}

#[tokio::test]
async fn every_role_can_do_its_work_and_no_more() {
    let scratch = Scratch::new("users");
    let mut nats = server(&scratch).await;

    let worker = context(&nats, "worker").await;
    for (name, subject) in STREAMS {
        let config = stream::Config {
            name: name.into(),
            subjects: vec![subject.into()],
            allow_direct: true,
            ..Default::default()
        };
        worker.get_or_create_stream(config).await.expect("the worker creates the streams");
    }
    assert!(worker.delete_stream("META_RAW").await.is_err());
    let raw = worker.get_stream("META_RAW").await.expect("stream").cached_info().config.clone();
    worker.update_stream(raw).await.expect("the worker writes the era of an old stream");
    assert!(publishes(&worker, RAW).await, "a body is stored again without what was erased");
    for subject in [EVENT, OTHER_EVENT, COMMAND, DEAD, ATTEMPT] {
        assert!(publishes(&worker, subject).await, "{subject}");
    }

    let ingest = context(&nats, "ingest").await;
    ingest.get_stream("META_RAW").await.expect("ingest sees its stream");
    assert!(publishes(&ingest, RAW).await);
    assert!(!publishes(&ingest, EVENT).await);
    assert!(!reads(&ingest, "META_RAW", None, "meta.v1.raw.>").await);

    assert!(reads(&worker, "META_RAW", None, "meta.v1.raw.*.00").await);
    assert!(reads(&worker, "INBOX_EVENTS", None, "inbox.v1.event.>").await);
    assert!(reads(&worker, "INBOX_COMMANDS", None, "inbox.v1.command.>").await);
    assert!(reads(&worker, "INBOX_ATTEMPTS", None, ATTEMPT).await);
    for (stream, filter) in [("INBOX_ATTEMPTS", ATTEMPT), ("INBOX_COMMANDS", "inbox.v1.command.>")]
    {
        let stream = worker.get_stream(stream).await.expect("stream");
        stream.get_last_raw_message_by_subject(filter).await.expect("the last of a subject");
    }
    for stream in ["META_RAW", "INBOX_EVENTS", "INBOX_COMMANDS", "INBOX_ATTEMPTS"] {
        let stream = worker.get_stream(stream).await.expect("stream");
        stream.get_raw_message(1).await.expect("by sequence");
    }

    let replay = context(&nats, "replay").await;
    let raw = replay.get_stream("META_RAW").await.expect("replay sees the raw webhooks");
    let first = raw.get_raw_message(1).await;
    assert_eq!(first.expect("by sequence").payload.as_ref(), b"{}");
    assert!(reads(&replay, "META_RAW", None, "meta.v1.raw.>").await);
    let events = replay.get_stream("INBOX_EVENTS").await.expect("stream");
    events.get_raw_message(1).await.expect("a stored event by sequence");
    assert!(publishes(&replay, EVENT).await);
    assert!(!publishes(&replay, COMMAND).await, "a replay can send nothing");
    assert!(!publishes(&replay, RAW).await && !publishes(&replay, DEAD).await);
    for js in [&ingest, &replay] {
        assert!(!publishes(js, ATTEMPT).await, "only the worker attempts to send");
    }

    let projector = context(&nats, "projector").await;
    let events = projector.get_stream("INBOX_EVENTS").await.expect("the projector sees the events");
    events.get_raw_message(1).await.expect("by sequence");
    assert!(reads(&projector, "INBOX_EVENTS", None, "inbox.v1.event.>").await);
    assert!(!reads(&projector, "META_RAW", None, "meta.v1.raw.>").await);
    assert!(!publishes(&projector, EVENT).await);
    assert!(publishes(&projector, SET_ASIDE).await && !publishes(&projector, DEAD).await);

    let api = context(&nats, "api").await;
    assert!(publishes(&api, COMMAND).await && publishes(&api, ACT).await);
    assert!(!publishes(&api, EVENT).await, "the api never says what a contact said");
    assert!(reads(&api, "INBOX_EVENTS", None, "inbox.v1.event.>").await);
    let events = api.get_stream("INBOX_EVENTS").await.expect("stream");
    events.get_raw_message(1).await.expect("by sequence");
    assert!(!reads(&api, "INBOX_COMMANDS", None, "inbox.v1.command.>").await);
    assert!(!publishes(&api, ATTEMPT).await && !publishes(&projector, ATTEMPT).await);

    let ops = context(&nats, "ops").await;
    assert!(reads(&ops, "INBOX_EVENTS", None, "inbox.v1.event.>").await);
    for subject in [RAW, EVENT, COMMAND, DEAD, ATTEMPT] {
        assert!(!publishes(&ops, subject).await, "{subject}: the role writes to no stream");
    }
    assert!(!publishes(&projector, RAW).await && !publishes(&api, RAW).await);

    let operator = context(&nats, "operator").await;
    let raw = operator.get_stream("META_RAW").await.expect("stream");
    raw.delete_message(1).await.expect("erasure is by sequence");
    nats.stop().await.expect("stop");
}

#[tokio::test]
async fn a_subscriber_sees_its_own_account_only() {
    let scratch = Scratch::new("subscriber");
    let mut nats = server(&scratch).await;
    let worker = context(&nats, "worker").await;
    let config = stream::Config {
        name: "INBOX_EVENTS".into(),
        subjects: vec!["inbox.v1.event.>".into()],
        ..Default::default()
    };
    worker.get_or_create_stream(config).await.expect("stream");
    assert!(publishes(&worker, EVENT).await && publishes(&worker, OTHER_EVENT).await);

    let js = context(&nats, "subscriber").await;
    let filter = |account: &str| format!("inbox.v1.event.*.instagram.{account}.>");
    let reads = async |filter: &str| reads(&js, "INBOX_EVENTS", Some("shop-a"), filter).await;
    assert!(!reads(&filter("17841400000000002")).await);
    assert!(!reads("").await);
    assert!(reads(&filter("17841400000000001")).await);
    assert!(!publishes(&js, EVENT).await);
    // The broker would list the subjects of all accounts.
    let asked = client(&nats, "subscriber").await;
    let all =
        asked.request("$JS.API.STREAM.INFO.INBOX_EVENTS", r#"{"subjects_filter":">"}"#.into());
    let listed = tokio::time::timeout(Duration::from_secs(1), all).await;
    assert!(!matches!(listed, Ok(Ok(_))), "{listed:?}");

    // Nor does it hear the answers of others, or core subscriptions on the subjects.
    let spy = client(&nats, "subscriber").await;
    for subject in ["_INBOX_worker.>", "inbox.v1.event.>"] {
        let mut heard = spy.subscribe(subject).await.expect("sent");
        spy.flush().await.expect("flush");
        assert!(publishes(&worker, EVENT).await);
        let next = tokio::time::timeout(Duration::from_millis(300), heard.next()).await;
        assert!(!matches!(next, Ok(Some(_))), "{subject}");
    }
    nats.stop().await.expect("stop");
}
