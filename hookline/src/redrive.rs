//! `hookline redrive`: parked work. Workers carry it out; this verb says which lanes may go, a few at first, and watches.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand, ValueEnum};
use runtime::config::Settings;
use runtime::ops::{Act, Ops};
use serde_json::{Value, json};
use sqlx::PgPool;
use worker::inbound::parked::{self, Parked};

use crate::cli::How;
use crate::exit::{Exit, Failure, Output, fields, say, table};
use crate::progress::Progress;
use crate::{reach, who};

const LIST_MAX: i64 = 10_000;
/// How long a step may take before the verb gives up watching.
const STEP_WITHIN: Duration = Duration::from_secs(60);

/// What to do with parked work.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Lists parked work of normaliser and projector, grouped by cause
    #[command(
        after_help = "Examples:\n  hookline redrive list\n  hookline redrive list --output json"
    )]
    List {
        /// For people or for programs
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Shows one parked row
    #[command(
        after_help = "Examples:\n  hookline redrive show 17\n  hookline redrive show 4711 --stage projector"
    )]
    Show {
        /// Its number, from `redrive list --output json`: `id`, for the projector `seq`
        id: i64,
        /// Who parked it
        #[arg(long, value_enum, default_value_t)]
        stage: Stage,
        /// For people or for programs
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Tries again: one lane, then ten, then the rest; stops when a step fails again
    ///
    /// The workers do it; this says which lanes may go, and watches. Killed in the middle it loses nothing: what was let go goes on, and
    /// the same words let the rest go. What the projector parked is folded by `hookline rebuild`.
    #[command(
        after_help = "Examples:\n  hookline redrive run\n  hookline redrive run --cause database_23514 --reason 'rule mended'"
    )]
    Run(Run),
    /// Gives one row up for good; what waits behind it goes on
    #[command(
        after_help = "Examples:\n  hookline redrive discard 17 --reason 'test data'\n  hookline redrive discard 4711 --stage projector --reason 'test data'"
    )]
    Discard {
        /// Its number, from `redrive list --output json`: `id`, for the projector `seq`
        id: i64,
        /// Who parked it
        #[arg(long, value_enum, default_value_t)]
        stage: Stage,
        /// Why; kept
        #[arg(long)]
        reason: String,
        /// Says what would be given up, changes nothing
        #[arg(long)]
        dry_run: bool,
        /// For people or for programs
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
}

/// Who parked something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Stage {
    /// The normaliser: raw webhooks, with their conversation behind them
    #[default]
    Normalize,
    /// The projector: single events
    Projector,
}

/// What to try again.
#[derive(Debug, Args)]
pub struct Run {
    /// Only lanes held by this cause
    #[arg(long)]
    cause: Option<String>,
    /// Only this lane
    #[arg(long)]
    lane: Option<String>,
    #[command(flatten)]
    how: How,
}

/// Carries it out.
///
/// # Errors
/// Exit code 4 where Postgres does not answer, 2 for an unknown row.
pub async fn run(verb: Verb, settings: &Settings) -> anyhow::Result<Exit> {
    let pool = reach::postgres(settings).await?;
    worker::migrate(&pool, &tokio_util::sync::CancellationToken::new()).await?;
    match verb {
        Verb::List { output } => list(&pool, output).await,
        Verb::Show { id, stage, output } => show(&find(&pool, id, stage).await?, output),
        Verb::Run(run) => {
            let rows = parked::list(&pool, LIST_MAX).await?;
            let lanes = chosen(&rows, run.cause.as_deref(), run.lane.as_deref());
            if run.how.dry_run {
                match run.how.output {
                    Output::Json => say(json!({"lanes": lanes.len(), "dry_run": true})),
                    Output::Table => say(format!(
                        "Would try {} lanes: first 1, then 10, then the rest.",
                        lanes.len()
                    )),
                }
                return Ok(Exit::Done);
            }
            redrive(&pool, lanes, &run).await
        }
        Verb::Discard { id, stage, reason, dry_run, output } => {
            if reason.trim().is_empty() {
                return Err(Failure::usage("--reason: say why"));
            }
            let row = find(&pool, id, stage).await?;
            if !dry_run {
                let by = who::operator();
                let done = match stage {
                    Stage::Normalize => parked::discard(&pool, id, &reason, &by).await?,
                    Stage::Projector => projector::parked::discard(&pool, id).await?,
                };
                if !done {
                    return Err(unknown(id));
                }
                let arguments = json!({"row": id, "stage": row["stage"]});
                record(&pool, "redrive discard", arguments, Some(&reason), row.clone()).await?;
            }
            match output {
                Output::Json => say(json!({"row": row, "discarded": !dry_run, "dry_run": dry_run})),
                Output::Table => {
                    let what = match stage {
                        Stage::Normalize => {
                            format!("raw webhook {} in lane {}", row["raw_seq"], row["lane"])
                        }
                        Stage::Projector => format!("event {} at position {id}", row["event_id"]),
                    };
                    say(if dry_run {
                        format!("Would give up row {id}: {what}.")
                    } else {
                        format!("Gave up row {id}: {what}. The log keeps what came in.")
                    });
                }
            }
            Ok(Exit::Done)
        }
    }
}

fn unknown(id: i64) -> anyhow::Error {
    Failure::usage(format!("no parked row {id}: `hookline redrive list --output json` shows them"))
}

async fn record(
    pool: &PgPool,
    verb: &str,
    arguments: Value,
    reason: Option<&str>,
    result: Value,
) -> anyhow::Result<()> {
    let by = who::operator();
    let act = Act { who: &by, verb, arguments, reason, job: None, result: Some(result) };
    Ok(Ops::open(pool.clone()).await?.record(act).await?)
}

/// A row of the normaliser as JSON, with its stage.
fn of_normalizer(row: &Parked) -> anyhow::Result<Value> {
    let mut value = serde_json::to_value(row)?;
    value["stage"] = json!("normalize");
    Ok(value)
}

/// A row of the projector in the words of the normaliser's.
fn of_projector(row: &projector::parked::Parked) -> anyhow::Result<Value> {
    let mut value = serde_json::to_value(row)?;
    value["role"] = json!("failed");
    Ok(value)
}

async fn find(pool: &PgPool, id: i64, stage: Stage) -> anyhow::Result<Value> {
    match stage {
        Stage::Normalize => {
            let rows = parked::list(pool, LIST_MAX).await?;
            of_normalizer(rows.iter().find(|row| row.id == id).ok_or_else(|| unknown(id))?)
        }
        Stage::Projector => {
            let rows = projector::parked::list(pool, LIST_MAX).await?;
            of_projector(rows.iter().find(|row| row.seq == id).ok_or_else(|| unknown(id))?)
        }
    }
}

fn show(row: &Value, output: Output) -> anyhow::Result<Exit> {
    if output == Output::Json {
        say(row);
        return Ok(Exit::Done);
    }
    fields(row);
    if let Some(event) = row["event_id"].as_str() {
        say(format!("The whole story: hookline trace {event}"));
    }
    Ok(Exit::Done)
}

async fn list(pool: &PgPool, output: Output) -> anyhow::Result<Exit> {
    let rows = parked::list(pool, LIST_MAX).await?;
    let aside = projector::parked::list(pool, LIST_MAX).await?;
    if output == Output::Json {
        let all: anyhow::Result<Vec<Value>> =
            rows.iter().map(of_normalizer).chain(aside.iter().map(of_projector)).collect();
        say(serde_json::to_string(&all?)?);
        return Ok(Exit::Done);
    }
    // A lane counts under the cause of its first row; the others wait behind it.
    let mut causes: BTreeMap<(&str, String), (u64, u64, String)> = BTreeMap::new();
    let mut cause_of_lane: BTreeMap<&str, &str> = BTreeMap::new();
    for row in &rows {
        let cause = *cause_of_lane.entry(&row.lane).or_insert(&row.cause);
        let entry = causes
            .entry(("normalize", cause.to_owned()))
            .or_insert_with(|| (0, 0, row.parked_at.to_string()));
        if row.role == "failed" {
            entry.0 += 1;
        } else {
            entry.1 += 1;
        }
    }
    for row in &aside {
        let entry = causes
            .entry(("projector", row.cause.clone()))
            .or_insert_with(|| (0, 0, row.parked_at.to_string()));
        entry.0 += 1;
    }
    let rows: Vec<Vec<String>> = causes
        .into_iter()
        .map(|((stage, cause), (failed, behind, since))| {
            vec![stage.to_owned(), cause, failed.to_string(), behind.to_string(), since]
        })
        .collect();
    table(&["stage", "cause", "failed", "waiting behind", "since"], &rows);
    Ok(Exit::Done)
}

/// The lanes to try, oldest first.
fn chosen(rows: &[Parked], cause: Option<&str>, lane: Option<&str>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    rows.iter()
        // The first row of each lane, as the list is ordered.
        .filter(|row| seen.insert(row.lane.clone()))
        .filter(|row| {
            cause.is_none_or(|cause| row.cause == cause) && lane.is_none_or(|lane| row.lane == lane)
        })
        .map(|row| row.lane.clone())
        .collect()
}

/// How the lanes that were let go came out.
enum End {
    Released,
    FailedAgain { failed: usize, of: usize },
    NothingHappens,
}

async fn redrive(pool: &PgPool, lanes: Vec<String>, run: &Run) -> anyhow::Result<Exit> {
    let arguments = json!({"cause": run.cause, "lane": run.lane, "lanes": lanes.len()});
    // Recorded before: whoever kills this has let lanes go all the same.
    record(pool, "redrive run", arguments.clone(), run.how.reason.as_deref(), json!("begun"))
        .await?;
    let total = lanes.len();
    let mut progress = Progress::new("redrive", "lanes", Some(total as u64));
    let mut rest = lanes.as_slice();
    let mut end = End::Released;
    for step in [1, 10, usize::MAX] {
        let (now, later) = rest.split_at(step.min(rest.len()));
        rest = later;
        if now.is_empty() {
            break;
        }
        end = self::step(pool, now, total - later.len() - now.len(), &mut progress).await?;
        if !matches!(end, End::Released) {
            break;
        }
    }
    progress.end();
    let (word, text) = match end {
        End::Released => ("released", format!("Released {total} lanes.")),
        End::FailedAgain { failed, of } => (
            "failed_again",
            format!(
                "Stopped: {failed} of {of} lanes of this step failed again, {} were not tried. `hookline redrive list` has the causes.",
                rest.len()
            ),
        ),
        End::NothingHappens => (
            "nothing_happens",
            "Stopped: nothing happens. Does a worker run, with its broker? `hookline status` tells.".to_owned(),
        ),
    };
    let failed = if let End::FailedAgain { failed, .. } = end { failed } else { 0 };
    let result =
        json!({"result": word, "lanes": total, "failed_again": failed, "not_tried": rest.len()});
    record(pool, "redrive run", arguments, run.how.reason.as_deref(), result.clone()).await?;
    match run.how.output {
        Output::Json => say(result),
        Output::Table => say(text),
    }
    Ok(if matches!(end, End::Released) { Exit::Done } else { Exit::SomeFailed })
}

/// Lets these lanes go and watches until all are gone, or one failed again.
async fn step(
    pool: &PgPool,
    now: &[String],
    before_this: usize,
    progress: &mut Progress,
) -> anyhow::Result<End> {
    let before = attempts(pool, now).await?;
    parked::retry_now(pool, now).await?;
    let began = Instant::now();
    loop {
        let after = attempts(pool, now).await?;
        let again = |lane: &&String| match (before.get(*lane), after.get(*lane)) {
            (Some(before), Some(after)) if before.0 == after.0 => after.1 > before.1,
            // The first row went, and the next one failed.
            (_, Some(after)) => after.1 > 0,
            (_, None) => false,
        };
        let failed = now.iter().filter(again).count();
        let gone = now.iter().filter(|lane| !after.contains_key(*lane)).count();
        progress.at((before_this + gone) as u64, "");
        if failed > 0 {
            return Ok(End::FailedAgain { failed, of: now.len() });
        }
        if gone == now.len() {
            return Ok(End::Released);
        }
        if began.elapsed() > STEP_WITHIN {
            return Ok(End::NothingHappens);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Row number and tries of the first row of each lane that still waits.
async fn attempts(pool: &PgPool, lanes: &[String]) -> anyhow::Result<BTreeMap<String, (i64, i32)>> {
    let mut found = BTreeMap::new();
    for row in parked::list(pool, LIST_MAX).await? {
        if lanes.contains(&row.lane) {
            found.entry(row.lane).or_insert((row.id, row.attempts));
        }
    }
    Ok(found)
}
