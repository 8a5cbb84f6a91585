//! `hookline trace`: the whole story of one id, as a tree or as JSON. The crates that own the rows find them; this puts it together.

pub mod tree;

use async_nats::jetstream::{self, stream::RawMessageErrorKind};
use chrono::{DateTime, Utc};
use clap::Args;
use runtime::config::{NatsConfig, Settings};
use schemas::raw::{RawMeta, header};
use schemas::{Timestamp, subjects};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::PgPool;
use worker::trace::reading::Reading;
use worker::trace::{Story, structure};

use crate::exit::{Exit, Failure, Output, say};
use crate::{reach, who};

/// Raw webhooks of one story that are read from the log.
const RAWS_MAX: usize = 20;

/// What to trace.
#[derive(Debug, Args)]
pub struct Arguments {
    /// An event id, Meta's message id, a reply or command id, or the number of a parked row
    id: String,
    /// With what people wrote: raw bodies and events as they are; recorded in the audit
    #[arg(long, requires = "reason")]
    reveal: bool,
    /// Why the contents must be seen; kept
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// A raw webhook of the story.
#[derive(Clone, Debug, Serialize)]
pub struct Raw {
    /// Its position in META_RAW.
    pub seq: i64,
    /// `false`: META_RAW no longer has it.
    pub kept: bool,
    /// When ingest read it.
    pub received_at: Option<Timestamp>,
    /// The HTTP path it came in on.
    pub path: Option<String>,
    /// The name of the secret that verified its signature.
    pub verified_by: Option<String>,
    /// Its length.
    pub bytes: usize,
    /// Its keys, types, lengths and ids.
    pub structure: Value,
    /// The body itself, with `--reveal`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// What this version's normaliser says of it; absent where it breaks down over it.
    pub readings: Option<Vec<Reading>>,
}

/// Everything together.
#[derive(Clone, Debug, Serialize)]
pub struct Trace {
    /// The version of the normaliser that `readings` are of.
    pub version: &'static str,
    /// What the worker knows.
    #[serde(flatten)]
    pub story: Story,
    /// The raw webhooks it came from.
    pub raws: Vec<Raw>,
    /// What the read model has.
    pub rows: projector::trace::Rows,
    /// The events as they stand in the log, with `--reveal`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Value>,
}

/// Traces and prints.
///
/// # Errors
/// Exit code 1 for an id nobody knows, 4 where broker or Postgres does not answer.
pub async fn run(arguments: &Arguments, settings: &Settings) -> anyhow::Result<Exit> {
    if arguments.id.trim().is_empty() {
        return Err(Failure::usage("ID: must not be empty"));
    }
    let reason = arguments.reason.as_deref().unwrap_or_default();
    if arguments.reveal && reason.trim().is_empty() {
        return Err(Failure::usage("--reason: say why"));
    }
    let config = NatsConfig::from_settings(settings)?;
    let (pool, broker) = tokio::join!(reach::postgres(settings), reach::broker(&config));
    let (pool, (_, js)) = (pool?, broker?);
    worker::migrate(&pool, &tokio_util::sync::CancellationToken::new()).await?;
    let story = worker::trace::find(&pool, &arguments.id).await?;
    let mut events = story.event_ids();
    if story.is_empty() {
        events.push(arguments.id.clone());
    }
    let rows = projector::trace::find(&pool, &events, &story.message_ids()).await?;
    if story.is_empty() && rows.parked.is_empty() && rows.folded.is_empty() {
        return Err(unknown(&arguments.id));
    }
    if arguments.reveal {
        // Before anything is shown.
        let (arguments, found) = (json!({"id": arguments.id}), json!({"raw_seqs": story.raw_seqs}));
        who::record(&pool, "trace --reveal", arguments, Some(reason), found).await?;
    }
    let mut raws = Vec::new();
    for seq in story.raw_seqs.iter().take(RAWS_MAX) {
        raws.push(raw(&pool, &js, *seq, arguments.reveal).await?);
    }
    let events = if arguments.reveal { contents(&js, &story).await? } else { Vec::new() };
    let trace = Trace { version: env!("CARGO_PKG_VERSION"), story, raws, rows, events };
    match arguments.output {
        Output::Json => say(serde_json::to_string(&trace)?),
        Output::Table => tree::lines(&tree::of(&trace)).iter().for_each(say),
    }
    Ok(Exit::Done)
}

fn unknown(id: &str) -> anyhow::Error {
    let message = format!(
        "nothing is known of `{id}`: looked among event ids, message ids, replies and commands, the waiting room, and parked work of \
         normaliser and projector. Is it whole? Ids of conversations, contacts and comments are none of these"
    );
    Failure { exit: Exit::SomeFailed, message }.into()
}

/// One message of a stream, `None` where it is no longer there.
async fn message(
    js: &jetstream::Context,
    stream: &str,
    seq: i64,
) -> anyhow::Result<Option<jetstream::message::StreamMessage>> {
    let Ok(seq) = u64::try_from(seq) else { return Ok(None) };
    let stream =
        js.get_stream_no_info(stream).await.map_err(|error| reach::broker_error(&error))?;
    match stream.get_raw_message(seq).await {
        Ok(message) => Ok(Some(message)),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(reach::broker_error(&error)),
    }
}

async fn raw(
    pool: &PgPool,
    js: &jetstream::Context,
    seq: i64,
    reveal: bool,
) -> anyhow::Result<Raw> {
    let Some(message) = message(js, subjects::META_RAW, seq).await? else {
        return Ok(Raw {
            seq,
            kept: false,
            received_at: None,
            path: None,
            verified_by: None,
            bytes: 0,
            structure: Value::Null,
            body: None,
            readings: Some(Vec::new()),
        });
    };
    let text = |name: &str| message.headers.get(name).map(|value| value.as_str().to_owned());
    let received_at = text(header::RECEIVED_AT)
        .and_then(|time| time.parse::<Timestamp>().ok())
        .unwrap_or_else(|| Timestamp::from_nanos(message.time.unix_timestamp_nanos()));
    let meta = RawMeta {
        stream_sequence: u64::try_from(seq).unwrap_or(0),
        received_at,
        secret: text(header::SECRET),
        path: text(header::PATH),
        traceparent: text(header::TRACEPARENT),
    };
    Ok(Raw {
        seq,
        kept: true,
        received_at: Some(received_at),
        readings: worker::trace::readings(pool, &message.payload, &meta).await?,
        path: meta.path,
        verified_by: meta.secret,
        bytes: message.payload.len(),
        structure: structure::of_body(&message.payload),
        body: reveal.then(|| String::from_utf8_lossy(&message.payload).into_owned()),
    })
}

/// The events themselves, of the facts that came from somewhere.
async fn contents(js: &jetstream::Context, story: &Story) -> anyhow::Result<Vec<Value>> {
    let mut events = Vec::new();
    let facts = story.facts.iter().chain(&story.outcomes);
    let mut seqs: Vec<i64> = facts.filter_map(|fact| fact["event_seq"].as_i64()).collect();
    seqs.sort_unstable();
    seqs.dedup();
    for seq in seqs {
        let Some(message) = message(js, subjects::INBOX_EVENTS, seq).await? else { continue };
        events.push(serde_json::from_slice(&message.payload).unwrap_or(Value::Null));
    }
    Ok(events)
}

/// A time as Postgres writes it in JSON, as people read it.
pub(crate) fn time(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let time = DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc);
    Some(Timestamp::from(time).to_string())
}
