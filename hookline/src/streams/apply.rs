//! `hookline streams apply`: makes what is missing and changes what differs.

use async_nats::jetstream;
use clap::Args;
use ops::{Act, Ops};
use runtime::config::{NatsConfig, Settings};
use runtime::db::absent_is_empty;
use runtime::streams::plan::{self, Risk};
use runtime::streams::{self, StreamName};
use serde_json::json;
use sqlx::PgPool;

use super::plan::{StreamPlan, StreamsPlan};
use super::print;
use crate::args::CommonArgs;
use crate::exit::{Exit, Failure};
use crate::{connect, operator};

/// Arguments of `streams apply`.
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// Also changes that may lose stored messages
    #[arg(long)]
    allow_destructive: bool,
    #[command(flatten)]
    common: CommonArgs,
}

pub(crate) async fn apply(
    js: &jetstream::Context,
    plan: &StreamsPlan,
    args: &ApplyArgs,
    config: &NatsConfig,
    settings: &Settings,
) -> anyhow::Result<Exit> {
    let (destructive, impossible) =
        (changes(plan, Risk::Destructive), changes(plan, Risk::Impossible));
    if !destructive.is_empty() && !args.allow_destructive {
        return Err(Failure::refused(format!(
            "nothing was changed: --allow-destructive is needed for {}",
            destructive.join("; ")
        )));
    }
    let reason = args.common.reason.as_deref();
    if !destructive.is_empty() && reason.unwrap_or_default().trim().is_empty() {
        return Err(Failure::usage("--reason: say why messages may be lost"));
    }
    if args.common.dry_run {
        print::plan(plan, args.common.output, false)?;
        return Ok(Exit::Done);
    }
    // Opened first: what cannot be recorded is not done.
    let pool = connect::postgres(settings).await?;
    refuse_lost(plan, &pool).await?;
    let ops = Ops::open(pool).await?;
    mark(js, plan).await?;
    for stream in &plan.streams {
        let Some(done) = change(js, stream, config).await else { continue };
        let act = Act {
            who: &operator::name(),
            verb: "streams apply",
            arguments: json!({"stream": stream.stream, "allow_destructive": args.allow_destructive}),
            reason,
            job: None,
            result: Some(
                json!({"created": !stream.exists, "changes": stream.changes, "error": done.as_ref().err()}),
            ),
        };
        ops.record(act).await?;
        if let Err(error) = done {
            anyhow::bail!(
                "{}: the server refused the change: {error}; `hookline streams plan` shows what is left",
                stream.stream
            );
        }
    }
    print::plan(plan, args.common.output, true)?;
    if impossible.is_empty() {
        return Ok(Exit::Done);
    }
    Err(Failure {
        exit: Exit::SomeFailed,
        message: format!("not changed: {}", impossible.join("; ")),
    }
    .into())
}

/// A stream whose positions are stored is not made anew in passing: its readers would stop until it is adopted.
async fn refuse_lost(plan: &StreamsPlan, pool: &PgPool) -> anyhow::Result<()> {
    for stream in plan.streams.iter().filter(|stream| !stream.exists) {
        let known = absent_is_empty(worker::facts::eras::current(pool, stream.stream).await)?;
        let stored = StreamName::of(stream.stream).is_some_and(StreamName::has_positions);
        if stored && known.is_some() {
            return Err(Failure::refused(format!(
                "nothing was changed: {}",
                runtime::broker::gone(stream.stream)
            )));
        }
    }
    Ok(())
}

/// Writes the eras of streams from before eras into their metadata.
async fn mark(js: &jetstream::Context, plan: &StreamsPlan) -> anyhow::Result<()> {
    for stream in plan.streams.iter().filter(|stream| stream.exists) {
        let found = streams::find(js, stream.stream).await;
        let found = found.map_err(|error| connect::broker_error(&error))?;
        if let Some(found) = found.filter(|found| !streams::is_marked(found.cached_info())) {
            let marked = streams::mark(js, found.cached_info(), None).await;
            marked.map_err(|error| connect::broker_error(&error))?;
        }
    }
    Ok(())
}

/// The changes of this risk, each in a few words.
fn changes(plan: &StreamsPlan, risk: Risk) -> Vec<String> {
    plan.streams
        .iter()
        .flat_map(|one| one.changes.iter().map(move |change| (one.stream, change)))
        .filter(|(_, change)| change.risk == risk)
        .map(|(stream, change)| {
            format!(
                "{stream} {}: {} → {} ({})",
                change.setting, change.is, change.should, change.why
            )
        })
        .collect()
}

/// Makes or changes one stream; `None` where nothing can be done or needs to be.
async fn change(
    js: &jetstream::Context,
    stream: &StreamPlan,
    config: &NatsConfig,
) -> Option<Result<(), String>> {
    let name = StreamName::of(stream.stream)?;
    let desired = streams::desired(name, config);
    match &stream.actual {
        None => {
            let made = streams::make(js, name, config).await;
            Some(made.map_err(|error| error.to_string()))
        }
        // The era may have been written since the plan was read.
        Some(_) if stream.changes.iter().any(|change| change.risk != Risk::Impossible) => {
            let actual = match streams::find(js, stream.stream).await {
                Ok(Some(found)) => found.cached_info().config.clone(),
                Ok(None) => return Some(Err("it is gone".to_owned())),
                Err(error) => return Some(Err(error.to_string())),
            };
            let updated = js.update_stream(plan::changed(&desired, &actual)).await;
            Some(updated.map(|_| ()).map_err(|error| error.to_string()))
        }
        Some(_) => None,
    }
}
