//! `hookline redrive run`: tries parked work again.

use clap::Args;
use projector::redrive::Redrive;
use runtime::config::Settings;
use serde_json::json;
use sqlx::PgPool;

use super::choose::Wanted;
use super::chosen;
use super::parked::Stage;
use super::steps::{self, End, Tried};
use crate::args::CommonArgs;
use crate::exit::{Exit, Failure};
use crate::operator::record;
use crate::output::{Output, say};
use crate::progress::Progress;
use crate::read_model::{failure, open};

/// Arguments of `redrive run`.
#[derive(Debug, Args)]
pub(crate) struct RedriveRunArgs {
    /// Only what failed by this cause; the projector's deletions go along
    #[arg(long)]
    cause: Option<String>,
    /// Only this lane of the normaliser
    #[arg(long)]
    lane: Option<String>,
    /// Only what this stage parked
    #[arg(long, value_enum)]
    stage: Option<Stage>,
    #[command(flatten)]
    common: CommonArgs,
}

/// Carries out `hookline redrive run`. Exit code 1 where something failed again or was not tried.
///
/// # Errors
/// Exit code 2 for arguments that contradict each other, 4 where something does not answer.
pub(crate) async fn run(
    pool: &PgPool,
    args: &RedriveRunArgs,
    settings: &Settings,
) -> anyhow::Result<Exit> {
    if args.lane.is_some() && args.stage == Some(Stage::Projector) {
        return Err(Failure::usage("--lane: only the normaliser has lanes"));
    }
    let (cause, lane) = (args.cause.clone(), args.lane.clone());
    let wanted = Wanted { cause, lane, stage: args.stage, ids: None };
    let chosen = chosen::find(pool, &wanted, false).await?;
    let (lanes, events) = (chosen.lanes(), chosen.events);
    if args.common.dry_run {
        match args.common.output {
            Output::Json => {
                say(json!({"lanes": lanes.len(), "events": events.len(), "dry_run": true}));
            }
            Output::Table => say(format!(
                "Would try {} lanes and {} events of the projector: of each first 1, then 10, then the rest, at most 100 at once.",
                lanes.len(),
                events.len()
            )),
        }
        return Ok(Exit::Done);
    }
    runtime::waits::shorten_from_env()?;
    // The broker is asked before anything is released: without it the workers do nothing either.
    let stop = runtime::shutdown::on_signal()?;
    let mut projector = match events.as_slice() {
        [] => None,
        _ => {
            let place = open(settings, stop.clone()).await?;
            Some(Redrive::open(&place).await.map_err(|error| failure(error, None))?)
        }
    };
    let reason = args.common.reason.as_deref();
    let arguments = json!({
        "cause": args.cause, "lane": args.lane, "lanes": lanes.len(), "events": events.len(),
    });
    // Recorded before: whoever kills this process has released work all the same.
    record(pool, "redrive run", arguments.clone(), reason, json!("begun")).await?;
    let mut bar = Progress::new("redrive", "lanes", Some(lanes.len() as u64));
    let mut normalize = steps::lanes(pool, &lanes, &stop, &mut |done| bar.at(done, "")).await;
    bar.end();
    let mut project = match &mut projector {
        Some(projector) if normalize.error.is_none() => {
            let mut bar = Progress::new("redrive", "events", Some(events.len() as u64));
            let tried =
                steps::events(projector, &events, &stop, &mut |done| bar.at(done, "")).await;
            bar.end();
            tried
        }
        Some(_) => Tried { end: End::Interrupted, ..Tried::all(events.len()) },
        None => Tried::all(0),
    };
    let mut result = normalize.as_json("lanes");
    result["projector"] = project.as_json("events");
    let recorded = record(pool, "redrive run", arguments, reason, result.clone()).await;
    match args.common.output {
        Output::Json => say(result),
        Output::Table => print(&normalize, &project, &wanted),
    }
    if let Some(error) = normalize.error.take().or(project.error.take()) {
        return Err(error);
    }
    recorded?;
    let all = normalize.released() && project.released();
    Ok(if all { Exit::Done } else { Exit::SomeFailed })
}

fn print(normalize: &Tried, project: &Tried, wanted: &Wanted) {
    if wanted.includes(Stage::Normalize) {
        say(normalize.text("lanes"));
    }
    if project.total > 0 || wanted.stage == Some(Stage::Projector) {
        say(project.text("events of the projector"));
    }
}
