//! Where the time of an automatic reply goes: when the broker stored what each stage published.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::jetstream::Message;
use bench::Samples;
use chrono::{DateTime, Utc};
use serde_json::Value;
use simulator::CallKind;
use tests::Lab;

/// From when to when a stage took.
type Ends = fn(&Reached) -> (DateTime<Utc>, DateTime<Utc>);

/// When each stage of one reply was reached.
struct Reached {
    raw: DateTime<Utc>,
    event: DateTime<Utc>,
    command: DateTime<Utc>,
    attempt: DateTime<Utc>,
    called: DateTime<Utc>,
}

/// Prints what each stage took, over all replies that were asked for since `since`.
pub(crate) async fn print(lab: &Lab, since: DateTime<Utc>) {
    let reached = reached(lab).await;
    let since_then: Vec<_> = reached.iter().filter(|reply| reply.raw >= since).collect();
    let stages: [(&str, Ends); 4] = [
        ("webhook stored -> event stored", |reply| (reply.raw, reply.event)),
        ("event stored -> command stored", |reply| (reply.event, reply.command)),
        ("command stored -> attempt stored", |reply| (reply.command, reply.attempt)),
        ("attempt stored -> call at Meta", |reply| (reply.attempt, reply.called)),
    ];
    for (name, ends) in stages {
        let samples: Samples = since_then
            .iter()
            .map(|reply| {
                let (from, to) = ends(reply);
                (to - from).to_std().unwrap_or(Duration::ZERO)
            })
            .collect();
        println!("    {name}: {samples}");
    }
}

/// When a message was stored, by the broker's clock.
fn stored(message: &Message) -> DateTime<Utc> {
    let published = message.info().expect("a message of a stream").published;
    DateTime::from_timestamp_nanos(
        i64::try_from(published.unix_timestamp_nanos()).expect("this century"),
    )
}

fn body(message: &Message) -> Value {
    serde_json::from_slice(&message.payload).unwrap_or_default()
}

async fn reached(lab: &Lab) -> Vec<Reached> {
    let raw: HashMap<u64, DateTime<Utc>> = (lab.messages("META_RAW").await.iter())
        .map(|message| {
            (message.info().expect("a message of a stream").stream_sequence, stored(message))
        })
        .collect();
    let commands: HashMap<String, (DateTime<Utc>, String)> =
        (lab.messages("INBOX_COMMANDS").await.iter())
            .filter_map(|message| {
                let identity = message.headers.as_ref()?.get("Nats-Msg-Id")?.to_string();
                Some((body(message)["id"].as_str()?.to_owned(), (stored(message), identity)))
            })
            .collect();
    let mut attempts: HashMap<String, DateTime<Utc>> = HashMap::new();
    for message in lab.messages("INBOX_ATTEMPTS").await {
        for attempt in body(&message)["attempts"].as_array().into_iter().flatten() {
            let identity = attempt["identity"].as_str().unwrap_or_default();
            attempts.entry(identity.to_owned()).or_insert_with(|| stored(&message));
        }
    }
    let called: HashMap<String, DateTime<Utc>> = (lab.simulator)
        .calls(Some(CallKind::Send), None)
        .into_iter()
        .filter_map(|call| Some((call.target?, call.at)))
        .collect();
    let reply = |message: &Message| {
        let event = body(message);
        let sequence = event["data"]["origin"]["raw_stream_sequence"].as_u64()?;
        let (command, identity) = commands.get(&format!("auto:{}", event["id"].as_str()?))?;
        Some(Reached {
            raw: *raw.get(&sequence)?,
            event: stored(message),
            command: *command,
            attempt: *attempts.get(identity)?,
            called: *called.get(event["data"]["contact_id"].as_str()?)?,
        })
    };
    lab.messages("INBOX_EVENTS").await.iter().filter_map(reply).collect()
}
