//! `hookline redrive`: parked work of normaliser and projector.

pub(crate) mod choose;
pub(crate) mod chosen;
mod give_up;
mod list;
pub(crate) mod parked;
mod run;
pub(crate) mod steps;

use clap::Subcommand;
use ops::Ops;
use runtime::config::Settings;
use serde_json::{Value, json};
use sqlx::PgPool;

pub(crate) use self::give_up::give_up;
use self::parked::{Stage, find, unknown};
use crate::exit::{Exit, Failure};
use crate::output::{Output, fields, say};
use crate::{connect, operator};

#[derive(Debug, Subcommand)]
pub(crate) enum RedriveVerb {
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
        #[arg(allow_negative_numbers = true)]
        id: i64,
        /// Who parked it
        #[arg(long, value_enum, default_value_t)]
        stage: Stage,
        /// For people or for programs
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Tries again: one lane or event, then ten, then the rest, a hundred at most at once; stops when a step fails again
    ///
    /// Lanes of the normaliser are carried out by the workers; this says which may go, and watches. Events of the projector are folded by
    /// this process. Killed in the middle it loses nothing: run the same command again to continue with the rest.
    #[command(
        after_help = "Examples:\n  hookline redrive run\n  hookline redrive run --stage projector\n  hookline redrive run --cause database_23514 --reason 'rule mended'"
    )]
    Run(run::RedriveRunArgs),
    /// Gives one row up for good; what waits behind it goes on
    #[command(
        after_help = "Examples:\n  hookline redrive discard 17 --reason 'test data'\n  hookline redrive discard 4711 --stage projector --reason 'test data'"
    )]
    Discard {
        /// Its number, from `redrive list --output json`: `id`, for the projector `seq`
        #[arg(allow_negative_numbers = true)]
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

/// Carries out `hookline redrive`.
///
/// # Errors
/// Exit code 4 where Postgres does not answer, 2 for an unknown row.
pub(crate) async fn run(verb: RedriveVerb, settings: &Settings) -> anyhow::Result<Exit> {
    let pool = connect::postgres(settings).await?;
    match verb {
        RedriveVerb::List { .. } | RedriveVerb::Show { .. } => {
            connect::made_by_worker(&pool).await?;
        }
        RedriveVerb::Run(_) | RedriveVerb::Discard { .. } => {
            worker::migrate(&pool, &tokio_util::sync::CancellationToken::new()).await?;
        }
    }
    match verb {
        RedriveVerb::List { output } => list::list(&pool, output).await,
        RedriveVerb::Show { id, stage, output } => show(&find(&pool, id, stage).await?, output),
        RedriveVerb::Run(args) => run::run(&pool, &args, settings).await,
        RedriveVerb::Discard { id, stage, reason, dry_run, output } => {
            if reason.trim().is_empty() {
                return Err(Failure::usage("--reason: say why"));
            }
            discard(&pool, id, stage, &reason, dry_run, output).await
        }
    }
}

async fn discard(
    pool: &PgPool,
    id: i64,
    stage: Stage,
    reason: &str,
    dry_run: bool,
    output: Output,
) -> anyhow::Result<Exit> {
    let row = find(pool, id, stage).await?;
    if !dry_run {
        let ops = Ops::open(pool.clone()).await?;
        if !give_up(&ops, &operator::name(), &row, id, stage, reason).await? {
            return Err(unknown(id));
        }
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
