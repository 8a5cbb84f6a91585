//! `hookline redrive`: parked work of normaliser and projector.

mod run;

use std::collections::BTreeMap;

use clap::{Subcommand, ValueEnum};
use runtime::config::Settings;
use serde_json::{Value, json};
use sqlx::PgPool;
use worker::inbound::parked::{self, Parked};

use crate::exit::{Exit, Failure, Output, fields, say, table};
use crate::{reach, who};

const LIST_MAX: i64 = 10_000;

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
    /// Tries again: one lane or event, then ten, then the rest; stops when a step fails again
    ///
    /// Lanes of the normaliser are carried out by the workers; this says which may go, and watches. Events of the projector are folded by
    /// this process. Killed in the middle it loses nothing: the same words go on with the rest.
    #[command(
        after_help = "Examples:\n  hookline redrive run\n  hookline redrive run --stage projector\n  hookline redrive run --cause database_23514 --reason 'rule mended'"
    )]
    Run(run::Words),
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
        Verb::Run(words) => run::run(&pool, &words, settings).await,
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
                who::record(&pool, "redrive discard", arguments, Some(&reason), row.clone())
                    .await?;
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
