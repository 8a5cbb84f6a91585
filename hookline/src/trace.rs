//! `hookline trace`: the whole story of one id, as a tree or as JSON. The crates that own the rows find them; this puts it together.

mod document;
mod line;
mod log;
mod node;
mod tree;

use async_nats::jetstream;
use clap::Args;
use runtime::config::{NatsConfig, Settings};
use serde_json::json;
use sqlx::PgPool;

pub(crate) use self::document::Trace;
use crate::exit::{Exit, Failure};
use crate::output::{Output, say};
use crate::{connect, operator};

/// Arguments of `trace`.
#[derive(Debug, Args)]
pub(crate) struct TraceArgs {
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

/// Carries out `hookline trace`.
///
/// # Errors
/// Exit code 1 for an id nobody knows, 4 where broker or Postgres does not answer.
pub(crate) async fn run(args: &TraceArgs, settings: &Settings) -> anyhow::Result<Exit> {
    if args.id.trim().is_empty() {
        return Err(Failure::usage("ID: must not be empty"));
    }
    let reason = args.reason.as_deref().unwrap_or_default();
    if args.reveal && reason.trim().is_empty() {
        return Err(Failure::usage("--reason: say why"));
    }
    let config = NatsConfig::from_settings(settings)?;
    let (pool, broker) = tokio::join!(connect::postgres(settings), connect::broker(&config));
    let (pool, (_, js)) = (pool?, broker?);
    connect::made_by_worker(&pool).await?;
    let by = operator::name();
    let reveal = args.reveal.then_some(Reveal { who: &by, reason });
    let Some(trace) = find(&pool, &js, &args.id, reveal).await? else {
        return Err(Failure { exit: Exit::SomeFailed, message: unknown(&args.id) }.into());
    };
    match args.output {
        Output::Json => say(serde_json::to_string(&trace)?),
        Output::Table => tree::of(&trace).lines().iter().for_each(say),
    }
    Ok(Exit::Done)
}

/// Who wants to see what people wrote, and why.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reveal<'a> {
    pub(crate) who: &'a str,
    pub(crate) reason: &'a str,
}

/// The whole story of an id; `None`: nothing is known of it. With `reveal` it holds what people wrote, and the audit says who saw it.
///
/// # Errors
/// Exit code 4 where the broker does not answer; `sqlx::Error`. Call again.
pub(crate) async fn find(
    pool: &PgPool,
    js: &jetstream::Context,
    id: &str,
    reveal: Option<Reveal<'_>>,
) -> anyhow::Result<Option<Trace>> {
    let story = worker::trace::find(pool, id).await?;
    let mut events = story.event_ids();
    if story.is_empty() {
        events.push(id.to_owned());
    }
    let rows = projector::trace::find(pool, &events, &story.message_ids()).await?;
    if story.is_empty() && rows.parked.is_empty() && rows.folded.is_empty() {
        return Ok(None);
    }
    if let Some(Reveal { who, reason }) = reveal {
        // Before anything is shown.
        let (arguments, found) = (json!({"id": id}), json!({"raw_seqs": story.raw_seqs}));
        operator::record_of(pool, who, "trace --reveal", arguments, Some(reason), found).await?;
    }
    let raws = log::raw_webhooks(pool, js, &story, reveal.is_some()).await?;
    let events = match reveal {
        Some(_) => log::events(pool, js, &story).await?,
        None => Vec::new(),
    };
    Ok(Some(Trace { version: env!("CARGO_PKG_VERSION"), story, raws, rows, events }))
}

/// What is said of an id that nobody knows.
pub(crate) fn unknown(id: &str) -> String {
    format!(
        "nothing is known of `{id}`: looked among event ids, message ids, replies and commands, the waiting room, and parked work of \
         normaliser and projector. Is it whole? Ids of conversations, contacts and comments are none of these"
    )
}
