//! Whatever stands in a message of a stream, nothing stops a reader: it is carried out, refused or set aside, and everything behind it flows.

mod generator;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use runtime::follow::{Received, stored};
use serde_json::{Value, json};
use simulator::{AccountHandle, AccountSpec, Person};
use tests::body::IG;
use tests::raw_nats::RawNats;
use tests::traffic::{share, soak};
use tests::{Lab, Role, eventually};

use generator::{Generator, Target};

/// Hostile messages of each stream.
const MESSAGES: usize = 10_000;
/// After so many hostile ones comes a good one.
const GOOD_EVERY: usize = 10;
/// People who are answered: the replies to one are sent one after the other.
const PEOPLE: usize = 40;

/// Roles in a process each, and people who may be answered.
async fn stage(people: usize) -> (Lab, AccountHandle, Vec<Person>) {
    let mut lab = Lab::start().await;
    lab.run_apart().await;
    let account = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    lab.add_account("instagram", "instagram", IG, &account.token(), &["--auto-reply", "Thanks."])
        .await;
    let people: Vec<Person> = (0..people).map(|n| account.person(&format!("Person {n}"))).collect();
    for person in &people {
        person.says("hello?").accepted().await.unwrap();
    }
    lab.settled().await;
    (lab, account, people)
}

/// A command that is as it should be.
fn reply(person: &Person, id: &str) -> Vec<u8> {
    json!({
        "id": id, "channel": "instagram", "account_id": IG, "contact_id": person.id(), "command": "reply",
        "requested_by": {"kind": "automation", "name": "shop"}, "requested_at": "2026-11-21T10:00:00.000Z",
        "data": {"text": id},
    })
    .to_string()
    .into_bytes()
}

/// Everything that a stream holds.
async fn all(lab: &Lab, stream: &str) -> Vec<Received> {
    let js = lab.jetstream().await;
    let (mut all, mut from) = (Vec::new(), 1);
    while let Some(message) = stored::next(&js, stream, ">", from).await.unwrap() {
        from = message.sequence + 1;
        all.push(message);
    }
    all
}

async fn positions(lab: &Lab, sql: &'static str) -> BTreeSet<u64> {
    let found: Vec<i64> = sqlx::query_scalar(sql).fetch_all(lab.pool()).await.unwrap();
    found.into_iter().map(|seq| u64::try_from(seq).unwrap()).collect()
}

/// Waits until no reader is behind, as `hookline status` says.
async fn flows(lab: &Lab, within: Duration) {
    eventually("no reader is behind", within, async || {
        let (code, out, err) = lab.hookline(&["status", "--output", "json"]).await;
        if code != 0 {
            return Err(format!("{code} {err}"));
        }
        let status: Value = serde_json::from_str(&out).unwrap();
        let stages = status["stages"].as_array().unwrap();
        let behind: Vec<&Value> = stages.iter().filter(|stage| stage["lag"] != 0).collect();
        if behind.is_empty() { Ok(()) } else { Err(format!("{behind:?}")) }
    })
    .await;
}

/// Every process that was started still answers, and is ready: nothing starts one again.
async fn nobody_died(lab: &Lab) {
    for role in Role::ALL {
        lab.ready(role).await;
    }
}

async fn hostile_messages_stop_nobody(of: f64) {
    let seed = std::env::var("HOOKLINE_SEED")
        .map_or_else(|_| rand::random(), |text| text.parse().unwrap());
    let count = share(MESSAGES, of);
    eprintln!("seed {seed}: {count} hostile messages for each stream");
    let (lab, _account, people) = stage(PEOPLE).await;
    let (mut generator, mut raw) = (Generator::new(seed), RawNats::connect(&lab.nats).await);
    let began = Instant::now();
    let mut good = 0;
    for n in 0..count {
        for target in Target::ALL {
            let hostile = generator.next(target, n);
            raw.publish(&hostile.subject, &hostile.headers, &hostile.body).await;
        }
        if n % GOOD_EVERY == 0 {
            for target in Target::ALL {
                let name = format!("good.{good}");
                let body = match target {
                    Target::Commands => reply(&people[good % PEOPLE], &name),
                    _ => target.body(&name.replace('.', &format!(".{target:?}."))),
                };
                let headers = match target {
                    Target::Raw => b"NATS/1.0\r\nHookline-Secret: main\r\n\r\n".as_slice(),
                    _ => b"",
                };
                raw.publish(target.subject(n).as_bytes(), headers, &body).await;
            }
            good += 1;
        }
        // As it comes in life: some at once, then a pause.
        if n % 50 == 0 {
            raw.flush().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    raw.flush().await;
    flows(&lab, Duration::from_secs(120).max(began.elapsed() * 4)).await;
    eventually("every good command is sent", Duration::from_secs(120), async || {
        let sent = received(&people).into_iter().filter(|text| text.starts_with("good.")).count();
        if sent >= good { Ok(()) } else { Err(format!("{sent} of {good}")) }
    })
    .await;
    flows(&lab, Duration::from_secs(120)).await;
    eprintln!("carried out after {:?}", began.elapsed());
    nobody_died(&lab).await;
    let mut sent = received(&people);
    sent.retain(|text| text.starts_with("good."));
    sent.sort();
    let mut asked: Vec<String> = (0..good).map(|n| format!("good.{n}")).collect();
    asked.sort();
    assert_eq!(sent, asked);
    projected(&lab, good).await;
    set_aside(&lab).await;
}

fn received(people: &[Person]) -> Vec<String> {
    people.iter().flat_map(Person::texts_received).collect()
}

/// Good webhooks and good events are messages of the inbox.
async fn projected(lab: &Lab, good: usize) {
    for target in [Target::Raw, Target::Events] {
        let mids: Vec<String> = (0..good).map(|n| format!("good.{target:?}.{n}")).collect();
        let there: i64 =
            sqlx::query_scalar("select count(*) from inbox.messages where message_id = any($1)")
                .bind(&mids)
                .fetch_one(lab.pool())
                .await
                .unwrap();
        assert_eq!(usize::try_from(there).unwrap(), good, "{target:?}");
    }
}

/// Every message has become something.
async fn set_aside(lab: &Lab) {
    // Commands: rows with an outcome, or dead letters; what is there twice has one row.
    let mut known = positions(lab, "select stream_seq from worker.commands").await;
    for letter in all(lab, "INBOX_DEAD").await {
        let id = letter.header("Nats-Msg-Id").unwrap_or_default();
        known.extend(id.strip_prefix("dead:commands:").and_then(|seq| seq.parse::<u64>().ok()));
    }
    let lost = all(lab, Target::Commands.stream()).await.into_iter();
    let lost: Vec<u64> = lost
        .filter(|command| !known.contains(&command.sequence))
        .map(|command| command.sequence)
        .collect();
    assert!(lost.is_empty(), "commands that became nothing: {lost:?}");
    eventually(
        "every command that has ended has its outcome",
        Duration::from_secs(60),
        async || {
            let silent: i64 = sqlx::query_scalar(
            "select count(*) from worker.commands where state <> 'open' and not outcome_published",
        )
        .fetch_one(lab.pool())
        .await
        .unwrap();
            tests::client::holds(silent == 0, || format!("{silent} outcomes are missing"))
        },
    )
    .await;
    // Events: rows, or set aside.
    let mut known = positions(lab, "select seq from inbox.parked").await;
    known.extend(positions(lab, "select event_seq from worker.facts").await);
    let mids: Vec<String> =
        sqlx::query_scalar("select message_id from inbox.messages where message_id is not null")
            .fetch_all(lab.pool())
            .await
            .unwrap();
    let mids: BTreeSet<String> = mids.into_iter().collect();
    for event in all(lab, Target::Events.stream()).await {
        let read: Value = serde_json::from_slice(&event.payload).unwrap_or_default();
        let mid = read["data"]["message_id"].as_str().unwrap_or_default().replace('\0', "\u{fffd}");
        let other = !read["type"].as_str().unwrap_or_default().contains("message.received");
        assert!(
            known.contains(&event.sequence) || mids.contains(&mid) || (other && !read.is_null()),
            "event {} became nothing",
            event.sequence
        );
    }
    // Raw webhooks: facts, `webhook.unrecognized` among them, or parked.
    let unrecognized: i64 =
        sqlx::query_scalar("select count(*) from worker.facts where kind = 'webhook.unrecognized'")
            .fetch_one(lab.pool())
            .await
            .unwrap();
    assert!(unrecognized > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_messages_among_good_ones_stop_nobody() {
    hostile_messages_stop_nobody(1.0 / 40.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: make soak"]
async fn soak_hostile_messages() {
    hostile_messages_stop_nobody(soak()).await;
}

/// One message that kills the client which receives it, and one good message behind it, for every stream in turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_kills_the_client_is_stepped_over() {
    let (lab, _account, people) = stage(1).await;
    let person = &people[0];
    let mut raw = RawNats::connect(&lab.nats).await;
    let blocks: [&[u8]; 4] = [
        b"NATS/1.0\r\nX: a\rb\r\n\r\n",
        b"NATS/1.0\r\nX: \xe9\r\n\r\n",
        b"NATS/1.0\r\nno colon\r\n\r\n",
        b"NATS/1.0\r\ntraceparent: \0\r\n\r\n",
    ];
    for (n, block) in blocks.into_iter().enumerate() {
        for target in Target::ALL {
            raw.publish(target.subject(n).as_bytes(), block, &target.body(&format!("bad.{n}")))
                .await;
        }
        raw.publish(
            Target::Commands.subject(n).as_bytes(),
            b"",
            &reply(person, &format!("good.{n}")),
        )
        .await;
        eventually("the command behind it is sent", Duration::from_secs(30), async || {
            let texts = person.texts_received();
            if texts.contains(&format!("good.{n}")) { Ok(()) } else { Err(format!("{texts:?}")) }
        })
        .await;
    }
    flows(&lab, Duration::from_secs(60)).await;
    nobody_died(&lab).await;
    // Three are refused with an outcome; the one whose trace alone is wrong is a command like any other.
    let failed: Vec<String> = sqlx::query_scalar(
        "select error ->> 'code' from worker.commands where command_id like 'bad.%' order by stream_seq",
    )
    .fetch_all(lab.pool())
    .await
    .unwrap();
    assert_eq!(failed[..3], ["malformed"; 3], "{failed:?}");
    set_aside(&lab).await;
}

/// The client that publishes and asks is another one than the one that reads: where it dies, the process ends, and says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_does_not_live_on_without_its_client() {
    for role in [Role::Ingest, Role::Worker, Role::Projector, Role::Api] {
        let mut lab = Lab::start().await;
        let mut raw = RawNats::connect(&lab.nats).await;
        raw.subscribe("$JS.API.>").await;
        lab.run(role).await;
        lab.ready(role).await;
        // Whoever asks names where the answer is to go.
        let inbox = loop {
            let line = String::from_utf8_lossy(&raw.line().await).into_owned();
            let tokens: Vec<&str> = line.split_whitespace().collect();
            let at = tokens.iter().position(|token| token.starts_with("_INBOX"));
            if let (Some(at), true) = (at, line.contains("STREAM.INFO")) {
                break tokens[at].to_owned();
            }
        };
        raw.publish(inbox.as_bytes(), b"NATS/1.0\r\nX: a\rb\r\n\r\n", b"").await;
        let code = lab.ended(role).await;
        assert!(code != 0, "{role:?} ended with {code}");
        assert!(lab.log(role).contains("Cannot go on"), "{role:?} says nothing");
    }
}
