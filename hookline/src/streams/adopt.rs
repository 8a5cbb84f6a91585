//! `hookline streams adopt`: declares the era of a stream that was made anew. Readers begin at its start; what is known stays known.

use async_nats::jetstream;
use clap::Args;
use ops::{Act, Ops};
use runtime::config::{NatsConfig, Settings};
use runtime::streams::{self, Era, StreamName, era_of};
use serde::Serialize;
use serde_json::json;
use sqlx::PgPool;
use worker::facts::eras::NumberedEra;

use crate::args::CommonArgs;
use crate::exit::{Exit, Failure};
use crate::output::{Output, say, table};
use crate::{connect, operator};

/// Arguments of `streams adopt`.
#[derive(Debug, Args)]
pub(crate) struct AdoptArgs {
    /// META_RAW, INBOX_EVENTS, INBOX_COMMANDS or INBOX_ATTEMPTS
    stream: String,
    #[command(flatten)]
    common: CommonArgs,
}

/// What adopting does, or did.
#[derive(Debug, Serialize)]
struct Adoption {
    stream: &'static str,
    /// The era that the stored positions are of.
    known: Option<Era>,
    /// The era of the stream that is there.
    found: Option<Era>,
    /// Whether there is something to adopt.
    differs: bool,
    /// The readers that begin at the start, with the positions that they leave.
    readers: Vec<Left>,
    /// Whether it was done.
    adopted: bool,
}

/// A reader and the position that it leaves.
#[derive(Debug, Serialize)]
struct Left {
    reader: String,
    position: i64,
}

pub(crate) async fn adopt(
    js: &jetstream::Context,
    args: &AdoptArgs,
    config: &NatsConfig,
    settings: &Settings,
) -> anyhow::Result<Exit> {
    let name = name_of(&args.stream)?;
    let reason = args.common.reason.as_deref().unwrap_or_default();
    if !args.common.dry_run && reason.trim().is_empty() {
        return Err(Failure::usage("--reason: say why the stream was made anew"));
    }
    let pool = connect::postgres(settings).await?;
    worker::migrate(&pool, &tokio_util::sync::CancellationToken::new()).await?;
    let (known, mut adoption) = plan(js, &pool, name).await?;
    if let (Some(known), true, false) = (known, adoption.differs, args.common.dry_run) {
        let era = begin(js, config, name, known).await?;
        carry_out(&pool, name, known, era, reason).await?;
        (adoption.found, adoption.adopted) = (Some(era), true);
    }
    print(&adoption, args.common.output)?;
    Ok(Exit::Done)
}

fn name_of(stream: &str) -> anyhow::Result<StreamName> {
    match StreamName::of(stream) {
        Some(name) if name.has_positions() => Ok(name),
        Some(name) => Err(Failure::usage(format!(
            "{}: nobody stores positions of it, so there is nothing to adopt; whoever needs it makes it",
            name.as_str()
        ))),
        None => Err(Failure::usage(format!(
            "`{stream}` is no stream of hookline: META_RAW, INBOX_EVENTS, INBOX_COMMANDS or INBOX_ATTEMPTS"
        ))),
    }
}

async fn plan(
    js: &jetstream::Context,
    pool: &PgPool,
    name: StreamName,
) -> anyhow::Result<(Option<NumberedEra>, Adoption)> {
    let known = worker::facts::eras::current(pool, name.as_str()).await?;
    let found = streams::find(js, name.as_str()).await;
    let found = found.map_err(|error| connect::broker_error(&error))?;
    let found = found.map(|stream| era_of(stream.cached_info()));
    let mut readers: Vec<Left> = worker::eras::reach(pool, name)
        .await?
        .into_iter()
        .map(|one| Left { reader: one.name, position: one.seq })
        .collect();
    if name == StreamName::Events
        && let Some((seq, _)) =
            runtime::db::absent_is_empty(projector::status::position(pool).await)?
    {
        let position = i64::try_from(seq).unwrap_or(i64::MAX);
        readers.push(Left { reader: projector::NAME.to_owned(), position });
    }
    let differs = known.is_some_and(|known| found != Some(known.era));
    let known_era = known.map(|known| known.era);
    let adoption = Adoption {
        stream: name.as_str(),
        known: known_era,
        found,
        differs,
        readers,
        adopted: false,
    };
    Ok((known, adoption))
}

/// Makes the stream where it is missing, and writes into its metadata which era it follows. Returns its era.
async fn begin(
    js: &jetstream::Context,
    config: &NatsConfig,
    name: StreamName,
    known: NumberedEra,
) -> anyhow::Result<Era> {
    streams::ensure(js, name, config).await.map_err(|error| connect::broker_error(&error))?;
    let found = streams::find(js, name.as_str()).await;
    let found = found.map_err(|error| connect::broker_error(&error))?;
    let stream =
        found.ok_or_else(|| connect::broker_error(&"the stream was made and is not there"))?;
    let info = stream.cached_info();
    let marked = streams::mark(js, info, Some(known.era)).await;
    marked.map_err(|error| connect::broker_error(&error))?;
    Ok(era_of(info))
}

/// Positions and the record of it, or nothing of both.
async fn carry_out(
    pool: &PgPool,
    name: StreamName,
    known: NumberedEra,
    era: Era,
    reason: &str,
) -> anyhow::Result<()> {
    let ops = Ops::open(pool.clone()).await?;
    let mut tx = ops.pool().begin().await?;
    let n = worker::eras::adopt(&mut tx, name, era).await?;
    let models = match name {
        StreamName::Events => projector::eras::adopt(&mut tx, era).await?,
        _ => 0,
    };
    let act = Act {
        who: &operator::name(),
        verb: "streams adopt",
        arguments: json!({"stream": name.as_str()}),
        reason: Some(reason),
        job: None,
        result: Some(json!({"follows": known.era, "era": era, "number": n, "read_models": models})),
    };
    ops::record(&mut tx, act).await?;
    tx.commit().await?;
    Ok(())
}

fn print(adoption: &Adoption, output: Output) -> anyhow::Result<()> {
    if output == Output::Json {
        say(serde_json::to_string(adoption)?);
        return Ok(());
    }
    let short = |era: Option<Era>| era.map_or_else(|| "-".to_owned(), |era| era.short().to_owned());
    say(format!(
        "{}: era {}, stored positions are of era {}",
        adoption.stream,
        short(adoption.found),
        short(adoption.known)
    ));
    if !adoption.differs {
        say("nothing to adopt: it is the stream whose positions are stored, or none are stored");
        return Ok(());
    }
    let rows: Vec<Vec<String>> = adoption
        .readers
        .iter()
        .map(|left| vec![left.reader.clone(), left.position.to_string(), "0".to_owned()])
        .collect();
    table(&["reader", "position", "begins after"], &rows);
    say(match adoption.adopted {
        true => "adopted: readers begin at the start of the stream; what is known stays known",
        false => {
            "nothing was changed; without --dry-run readers begin at the start of the stream, and what is known stays known"
        }
    });
    Ok(())
}
