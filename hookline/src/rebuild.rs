//! `hookline rebuild`: a fresh read model beside the serving one, compared and swapped in. `projector::rebuild` does it.

use clap::{Args, Subcommand, ValueEnum};
use ops::{NewJob, Ops};
use projector::rebuild::{Outcome, Place, Preview, RebuildPlan, preview, work};
use runtime::config::Settings;
use serde_json::json;

use crate::args::CommonArgs;
use crate::exit::Exit;
use crate::jobs::take::take;
use crate::operator;
use crate::output::{Output, say};
use crate::progress::Progress;
use crate::read_model::{failure, open, print_comparison, show_in};

/// What to rebuild.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Projection {
    /// The read model that the views of schema `inbox` show
    #[default]
    Inbox,
}

/// Arguments of `rebuild`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct RebuildArgs {
    #[command(subcommand)]
    verb: Option<RebuildVerb>,
    /// What to rebuild
    #[arg(long, value_enum, default_value_t)]
    projection: Projection,
    /// Let the new model serve in the end; without it, stops after comparing
    #[arg(long)]
    swap: bool,
    #[command(flatten)]
    options: RebuildOptions,
}

#[derive(Debug, Args)]
struct RebuildOptions {
    /// Swap also where the new model lacks rows of the serving one
    #[arg(long)]
    accept_loss: bool,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Subcommand)]
enum RebuildVerb {
    /// Brings the model kept by the last swap to the head, compares, and lets it serve again
    #[command(after_help = "Example:\n  hookline rebuild revert --reason 'names are missing'")]
    Revert {
        #[command(flatten)]
        options: RebuildOptions,
    },
}

/// Carries out `hookline rebuild`.
///
/// # Errors
/// Exit code 3 where it is refused for safety, 4 where something does not answer.
pub(crate) async fn run(args: RebuildArgs, settings: &Settings) -> anyhow::Result<Exit> {
    runtime::failpoint::arm_from_env()?;
    runtime::waits::shorten_from_env()?;
    let Projection::Inbox = args.projection;
    let (revert, swap, options) = match args.verb {
        Some(RebuildVerb::Revert { options }) => (true, true, options),
        None => (false, args.swap, args.options),
    };
    let plan = RebuildPlan { swap, accept_loss: options.accept_loss, revert };
    let stop = runtime::shutdown::on_signal()?;
    let place = open(settings, stop.clone()).await?;
    let ops = Ops::open(place.pool.clone()).await?;
    if options.common.dry_run {
        return print_preview(&place, plan, options.common.output).await;
    }
    let operator = operator::name();
    // These identify the job: typed again they continue it, and `hookline jobs show` prints them.
    let (verb, arguments) = match revert {
        true => ("rebuild revert", json!({})),
        false => ("rebuild", json!({"projection": "inbox"})),
    };
    let new = NewJob {
        verb,
        arguments: arguments.clone(),
        rate: None,
        reason: options.common.reason.as_deref(),
        who: &operator,
    };
    let (job, there) = ops.start(new).await?;
    let claim = take(&ops, &job, there, &stop).await?;
    let act = ops::Act {
        who: &operator,
        verb,
        arguments: json!({"words": arguments, "swap": swap, "accept_loss": plan.accept_loss}),
        reason: options.common.reason.as_deref(),
        job: Some(&job.id),
        result: None,
    };
    ops.record(act).await?;
    let mut progress = Progress::new("rebuild", "events", None);
    let worked = work(&place, plan, &claim, &operator, stop, show_in(&mut progress)).await;
    progress.end();
    let outcome = worked.map_err(|error| failure(error, Some(&job.id)))?;
    print(&outcome, &job.id, plan, options.common.output)?;
    Ok(Exit::Done)
}

async fn print_preview(place: &Place, plan: RebuildPlan, output: Output) -> anyhow::Result<Exit> {
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
    print_comparison(&outcome.comparison, "new");
    say(match (outcome.swapped, plan.revert) {
        (true, _) => format!(
            "`{}` serves now; `{}` is kept: `hookline rebuild revert` goes back.",
            outcome.schema, outcome.served
        ),
        (false, _) => "`hookline rebuild --swap` goes on and lets it serve.".to_owned(),
    });
    Ok(())
}
