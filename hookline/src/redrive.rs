//! `hookline redrive`: parked work. Workers carry it out; this verb says which lanes may go, a few at first, and watches.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use runtime::config::Settings;
use sqlx::PgPool;
use worker::inbound::parked::{self, Parked};

use crate::exit::{Exit, Failure, Output, say, table};
use crate::reach;

const LIST_MAX: i64 = 10_000;
/// How long a step may take before the verb gives up watching.
const STEP_WITHIN: Duration = Duration::from_secs(60);

/// What to do with parked work.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Lists parked work, grouped by cause
    List {
        /// For people or for programs
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Shows one parked row
    #[command(after_help = "Example:\n  hookline redrive show 17")]
    Show {
        /// Its number, from `redrive list --output json`
        id: i64,
    },
    /// Tries again: one lane, then ten, then the rest; stops when a step fails again
    #[command(
        after_help = "Examples:\n  hookline redrive run\n  hookline redrive run --cause database_23514"
    )]
    Run {
        /// Only lanes held by this cause
        #[arg(long)]
        cause: Option<String>,
        /// Only this lane
        #[arg(long)]
        lane: Option<String>,
        /// Says what would be tried, changes nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Gives one row up for good; what waits behind it goes on
    #[command(after_help = "Example:\n  hookline redrive discard 17 --reason 'test data'")]
    Discard {
        /// Its number
        id: i64,
        /// Why; kept
        #[arg(long)]
        reason: String,
        /// Says what would be given up, changes nothing
        #[arg(long)]
        dry_run: bool,
    },
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
        Verb::Show { id } => {
            say(serde_json::to_string_pretty(&find(&pool, id).await?)?);
            Ok(Exit::Done)
        }
        Verb::Run { cause, lane, dry_run } => {
            let lanes =
                chosen(&parked::list(&pool, LIST_MAX).await?, cause.as_deref(), lane.as_deref());
            if dry_run {
                say(format!("Would try {} lanes: first 1, then 10, then the rest.", lanes.len()));
                return Ok(Exit::Done);
            }
            redrive(&pool, lanes).await
        }
        Verb::Discard { id, reason, dry_run } => {
            let row = find(&pool, id).await?;
            if reason.trim().is_empty() {
                return Err(Failure::usage("--reason: say why"));
            }
            if dry_run {
                say(format!(
                    "Would give up row {id}: raw webhook {} in lane {}.",
                    row.raw_seq, row.lane
                ));
                return Ok(Exit::Done);
            }
            let by = std::env::var("USER").unwrap_or_else(|_| "operator".to_owned());
            parked::discard(&pool, id, &reason, &by).await?;
            say(format!("Gave up row {id}. Its raw webhook {} stays in META_RAW.", row.raw_seq));
            Ok(Exit::Done)
        }
    }
}

async fn find(pool: &PgPool, id: i64) -> anyhow::Result<Parked> {
    let rows = parked::list(pool, LIST_MAX).await?;
    rows.into_iter().find(|row| row.id == id).ok_or_else(|| {
        Failure::usage(format!(
            "no parked row {id}: `hookline redrive list --output json` shows them"
        ))
    })
}

async fn list(pool: &PgPool, output: Output) -> anyhow::Result<Exit> {
    let rows = parked::list(pool, LIST_MAX).await?;
    if output == Output::Json {
        say(serde_json::to_string(&rows)?);
        return Ok(Exit::Done);
    }
    // A lane counts under the cause of its first row; the others wait behind it.
    let mut causes: BTreeMap<String, (u64, u64, String)> = BTreeMap::new();
    let mut cause_of_lane: BTreeMap<&str, &str> = BTreeMap::new();
    for row in &rows {
        let cause = *cause_of_lane.entry(&row.lane).or_insert(&row.cause);
        let entry =
            causes.entry(cause.to_owned()).or_insert_with(|| (0, 0, row.parked_at.to_string()));
        if row.role == "failed" {
            entry.0 += 1;
        } else {
            entry.1 += 1;
        }
    }
    let rows: Vec<Vec<String>> = causes
        .into_iter()
        .map(|(cause, (failed, behind, since))| {
            vec![cause, failed.to_string(), behind.to_string(), since]
        })
        .collect();
    table(&["cause", "failed", "waiting behind", "since"], &rows);
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

async fn redrive(pool: &PgPool, lanes: Vec<String>) -> anyhow::Result<Exit> {
    let bar = ProgressBar::new(lanes.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} lanes {msg}") {
        bar.set_style(style);
    }
    let mut rest = lanes.as_slice();
    let mut said = Instant::now();
    for step in [1, 10, usize::MAX] {
        let (now, later) = rest.split_at(step.min(rest.len()));
        rest = later;
        if now.is_empty() {
            continue;
        }
        let before = attempts(pool, now).await?;
        parked::retry_now(pool, now).await?;
        let began = Instant::now();
        loop {
            let after = attempts(pool, now).await?;
            let failed: Vec<&String> =
                now.iter().filter(|lane| matches!((before.get(*lane), after.get(*lane)), (Some(b), Some(a)) if a.0 == b.0 && a.1 > b.1 || a.0 != b.0 && a.1 > 0)).collect();
            let gone = now.iter().filter(|lane| !after.contains_key(*lane)).count();
            bar.set_position((lanes.len() - rest.len() - now.len() + gone) as u64);
            if said.elapsed() > Duration::from_secs(5) && bar.is_hidden() {
                said = Instant::now();
                say(
                    serde_json::json!({"lanes": lanes.len(), "released": lanes.len() - rest.len() - now.len() + gone}),
                );
            }
            if !failed.is_empty() {
                bar.abandon();
                say(format!(
                    "Stopped: {} of {} lanes of this step failed again, {} were not tried. `hookline redrive list` has the causes.",
                    failed.len(),
                    now.len(),
                    rest.len()
                ));
                return Ok(Exit::SomeFailed);
            }
            if gone == now.len() {
                break;
            }
            if began.elapsed() > STEP_WITHIN {
                bar.abandon();
                say(
                    "Stopped: nothing happens. Does a worker run, with its broker? `hookline status` tells.",
                );
                return Ok(Exit::SomeFailed);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    bar.finish();
    say(format!("Released {} lanes.", lanes.len()));
    Ok(Exit::Done)
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
