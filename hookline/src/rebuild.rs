//! `hookline rebuild`: a fresh read model beside the serving one, compared and swapped in. `projector::rebuild` does it.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use projector::rebuild::{
    Comparison, Outcome, Place, Preview, RebuildError, RebuildPlan, Seen, Show, preview, work,
};
use runtime::broker::Broker;
use runtime::config::{NatsConfig, Settings};
use runtime::ops::{self, NewJob, Ops, Wish};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::cli::How;
use crate::exit::{Exit, Failure, Output, say, table};
use crate::progress::Progress;
use crate::{jobs, reach, who};

/// How long the broker may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(15);
/// Rows shown to people; `--output json` has more.
const SHOWN_MAX: usize = 20;

/// What to rebuild.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Projection {
    /// The read model that the views of schema `inbox` show
    #[default]
    Inbox,
}

/// The words of `rebuild`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Words {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// What to rebuild
    #[arg(long, value_enum, default_value_t)]
    projection: Projection,
    /// Let the new model serve in the end; without it, stops after comparing
    #[arg(long)]
    swap: bool,
    #[command(flatten)]
    more: More,
}

#[derive(Debug, Args)]
struct More {
    /// Swap also where the new model lacks rows of the serving one
    #[arg(long)]
    accept_loss: bool,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Brings the model kept by the last swap to the head, compares, and lets it serve again
    #[command(after_help = "Example:\n  hookline rebuild revert --reason 'names are missing'")]
    Revert {
        #[command(flatten)]
        more: More,
    },
}

/// Broker and Postgres, both answering.
///
/// # Errors
/// Exit code 4 where one of them does not.
pub(crate) async fn place(settings: &Settings, stop: CancellationToken) -> anyhow::Result<Place> {
    let config = NatsConfig::from_settings(settings)?;
    drop(reach::broker(&config).await?);
    let pool = reach::postgres(settings).await?;
    let broker = Broker::connect("operator", config, projector::NEEDS, stop).await?;
    if tokio::time::timeout(READY_WITHIN, broker.ready()).await.is_err() {
        let reason = broker.accepts().err().unwrap_or_else(|| "it is not ready".to_owned());
        return Err(Failure::unreachable(format!("NATS_URL: {reason}")));
    }
    Ok(Place { broker, pool })
}

/// The exit code of what went wrong.
pub(crate) fn failure(error: RebuildError, job: Option<&str>) -> anyhow::Error {
    match error {
        RebuildError::Refused(message) => Failure::refused(message),
        RebuildError::Unreachable(message) => Failure::unreachable(message),
        RebuildError::Lost => Failure::refused(error.to_string()),
        RebuildError::Stopped(Wish::Cancel) => {
            Failure { exit: Exit::SomeFailed, message: "cancelled; nothing was changed".to_owned() }
                .into()
        }
        RebuildError::Stopped(Wish::Pause) => {
            let message = match job {
                Some(job) => format!("job {job} is paused; the same words go on from where it is"),
                None => "stopped; nothing was changed".to_owned(),
            };
            Failure { exit: Exit::SomeFailed, message }.into()
        }
        RebuildError::Database(error) => error.into(),
        RebuildError::Other(error) => error,
    }
}

/// Shows how far it is.
pub(crate) fn shown(progress: &mut Progress) -> Show<'_> {
    Box::new(|seen: Seen<'_>| {
        progress.total(seen.target);
        progress.at(seen.position, seen.doing);
    })
}

/// Carries it out.
///
/// # Errors
/// Exit code 3 where it is refused for safety, 4 where something does not answer.
pub async fn run(words: Words, settings: &Settings) -> anyhow::Result<Exit> {
    runtime::failpoint::arm_from_env()?;
    let Projection::Inbox = words.projection;
    let (revert, swap, more) = match words.verb {
        Some(Verb::Revert { more }) => (true, true, more),
        None => (false, words.swap, words.more),
    };
    let plan = RebuildPlan { swap, accept_loss: more.accept_loss, revert };
    let stop = runtime::shutdown::on_signal()?;
    let place = place(settings, stop.clone()).await?;
    let ops = Ops::open(place.pool.clone()).await?;
    if more.how.dry_run {
        return foresee(&place, plan, more.how.output).await;
    }
    let who = who::operator();
    // With its words a job goes on, and `hookline jobs show` tells them.
    let (verb, arguments) = match revert {
        true => ("rebuild revert", json!({})),
        false => ("rebuild", json!({"projection": "inbox"})),
    };
    let new = NewJob {
        verb,
        arguments: arguments.clone(),
        rate: None,
        reason: more.how.reason.as_deref(),
        who: &who,
    };
    let (job, there) = ops.start(new).await?;
    let claim = jobs::take(&ops, &job, there, &stop).await?;
    let act = ops::Act {
        who: &who,
        verb,
        arguments: json!({"words": arguments, "swap": swap, "accept_loss": plan.accept_loss}),
        reason: more.how.reason.as_deref(),
        job: Some(&job.id),
        result: None,
    };
    ops.record(act).await?;
    let mut progress = Progress::new("rebuild", "events", None);
    let worked = work(&place, plan, &claim, &who, stop, shown(&mut progress)).await;
    progress.end();
    let outcome = worked.map_err(|error| failure(error, Some(&job.id)))?;
    print(&outcome, &job.id, plan, more.how.output)?;
    Ok(Exit::Done)
}

async fn foresee(place: &Place, plan: RebuildPlan, output: Output) -> anyhow::Result<Exit> {
    let seen = preview(place).await.map_err(|error| failure(error, None))?;
    if output == Output::Json {
        say(serde_json::to_string(&seen)?);
        return Ok(Exit::Done);
    }
    let Preview { serving, kept, building, position, log } = &seen;
    say(match (plan.revert, kept, building) {
        (true, Some(kept), _) => {
            format!(
                "Would bring `{kept}` to position {position}, compare it with `{serving}`, and let it serve; `{serving}` would be kept."
            )
        }
        (true, None, _) => "Would refuse: no model is kept from a swap.".to_owned(),
        (false, _, building) => {
            let into = building.as_ref().map_or_else(
                || "a fresh schema".to_owned(),
                |schema| format!("`{schema}`, which is begun,"),
            );
            let then = if plan.swap { "let it serve" } else { "stop there" };
            format!(
                "Would fold positions {} to {position} of INBOX_EVENTS (it ends at {}) into {into} beside `{serving}`, compare both, and {then}.",
                log.0, log.1
            )
        }
    });
    Ok(Exit::Done)
}

fn print(outcome: &Outcome, job: &str, plan: RebuildPlan, output: Output) -> anyhow::Result<()> {
    if output == Output::Json {
        let mut document = serde_json::to_value(outcome)?;
        document["job"] = json!(job);
        say(document);
        return Ok(());
    }
    say(format!(
        "Compared `{}` (serves) with `{}` at position {}.",
        outcome.served, outcome.schema, outcome.position
    ));
    compared(&outcome.comparison, "new");
    say(match (outcome.swapped, plan.revert) {
        (true, _) => format!(
            "`{}` serves now; `{}` is kept: `hookline rebuild revert` goes back.",
            outcome.schema, outcome.served
        ),
        (false, _) => "`hookline rebuild --swap` goes on and lets it serve.".to_owned(),
    });
    Ok(())
}

/// Prints how two models differ.
pub(crate) fn compared(found: &Comparison, other: &str) {
    let rows: Vec<Vec<String>> = found
        .tables
        .iter()
        .map(|one| {
            let numbers = [one.rows, one.rows_expected, one.missing, one.surplus, one.changed];
            let mut cells = vec![one.table.clone()];
            cells.extend(numbers.iter().map(ToString::to_string));
            cells.push(
                if one.digest == one.digest_expected { "equal" } else { "differ" }.to_owned(),
            );
            cells
        })
        .collect();
    table(&["table", "rows", other, "missing", "surplus", "changed", "digests"], &rows);
    for row in found.rows.iter().take(SHOWN_MAX) {
        let events: Vec<String> = row
            .events
            .iter()
            .map(|event| match event.position {
                Some(position) => format!("{} at {position}", event.event_id),
                None => event.event_id.clone(),
            })
            .collect();
        say(format!(
            "{} {} {} {} from {}",
            row.how,
            row.table,
            row.id,
            row.columns.join(","),
            if events.is_empty() { "no event".to_owned() } else { events.join(", ") }
        ));
    }
    if found.rows.len() > SHOWN_MAX {
        say(format!("… and more: `--output json` has {}", found.rows.len()));
    }
}
