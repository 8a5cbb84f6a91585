//! `hookline jobs`: what operators started.

mod command_line;
mod print;
mod state;
pub(crate) mod take;
pub(crate) mod wish;

use clap::{Args, Subcommand};
use ops::{Job, JobState, JobWish, Ops};
use runtime::config::Settings;
use serde_json::{Value, json};

use self::command_line::command_line;
pub(crate) use self::state::state_in_words;
use crate::args::CommonArgs;
use crate::exit::{Exit, Failure};
use crate::output::{Output, say};
use crate::{connect, operator};

#[derive(Debug, Subcommand)]
pub(crate) enum JobsVerb {
    /// Lists jobs, newest first
    #[command(after_help = "Examples:\n  hookline jobs list\n  hookline jobs list --output json")]
    List {
        /// At most so many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
        /// For people or for programs
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Shows one job, and the command that continues it
    #[command(after_help = "Example:\n  hookline jobs show replay-0198…")]
    Show {
        /// Its id, from `jobs list`
        id: String,
        /// For people or for programs
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Stops a job for now, within a second; what is done stays done
    #[command(after_help = "Example:\n  hookline jobs pause replay-0198… --reason 'too much load'")]
    Pause(JobArgs),
    /// Prints the command that continues a paused or interrupted job
    ///
    /// A job is carried out by the process of its verb. The same command, typed again, continues it where it stopped; this prints it.
    /// One that was asked for by HTTP is carried out by the role `ops`: it goes on.
    #[command(after_help = "Example:\n  hookline jobs resume replay-0198…")]
    Resume(JobArgs),
    /// Gives a job up; what is done stays done
    #[command(after_help = "Example:\n  hookline jobs cancel replay-0198… --reason 'wrong span'")]
    Cancel(JobArgs),
    /// Sets how fast a job may go, from now on
    #[command(after_help = "Example:\n  hookline jobs rate replay-0198… 200 --reason 'night'")]
    Rate {
        /// Its id
        id: String,
        /// Items per second at most; `none` for no limit
        rate: String,
        #[command(flatten)]
        common: CommonArgs,
    },
}

/// Arguments of verbs on one job.
#[derive(Debug, Args)]
pub(crate) struct JobArgs {
    /// Its id, from `jobs list`
    id: String,
    #[command(flatten)]
    common: CommonArgs,
}

/// Carries out `hookline jobs`.
///
/// # Errors
/// Exit code 2 for an unknown id, 3 for a job that has ended, 4 where Postgres does not answer.
pub(crate) async fn run(verb: JobsVerb, settings: &Settings) -> anyhow::Result<Exit> {
    let pool = connect::postgres(settings).await?;
    let ops = match verb {
        JobsVerb::List { .. } | JobsVerb::Show { .. } | JobsVerb::Resume(_) => Ops::as_it_is(pool),
        JobsVerb::Pause(_) | JobsVerb::Cancel(_) | JobsVerb::Rate { .. } => Ops::open(pool).await?,
    };
    match verb {
        JobsVerb::List { limit, output } => print::list(&ops.jobs(limit).await?, output),
        JobsVerb::Show { id, output } => print::one(&find(&ops, &id).await?, output),
        JobsVerb::Pause(args) => act(&ops, &args, JobWish::Pause).await,
        JobsVerb::Cancel(args) => act(&ops, &args, JobWish::Cancel).await,
        JobsVerb::Resume(args) => {
            let job = unfinished(&ops, &args.id).await?;
            if job.is_of_role() {
                return act(&ops, &args, JobWish::Resume).await;
            }
            let command = command_line(&job);
            match args.common.output {
                Output::Json => say(json!({"id": job.id, "held": job.held, "command": command})),
                Output::Table if job.held => say(format!("Somebody works on {} now.", job.id)),
                Output::Table => say(format!("Type this to go on:\n  {command}")),
            }
            Ok(Exit::Done)
        }
        JobsVerb::Rate { id, rate, common } => set_rate(&ops, &id, &rate, &common).await,
    }
}

async fn set_rate(ops: &Ops, id: &str, rate: &str, common: &CommonArgs) -> anyhow::Result<Exit> {
    let job = unfinished(ops, id).await?;
    let rate = match rate {
        "none" => None,
        text => match text.parse::<f64>() {
            Ok(rate) if rate.is_finite() && rate > 0.0 => Some(rate),
            _ => return Err(Failure::usage("RATE: a number above 0, or `none`")),
        },
    };
    if !common.dry_run {
        if !ops.set_rate(&job.id, rate).await? {
            return Err(wish::ended(&job));
        }
        let (who, reason) = (operator::name(), common.reason.as_deref());
        wish::record(ops, "jobs rate", &job, &who, reason, json!({"rate": rate})).await?;
    }
    let will = if common.dry_run { "Would let" } else { "Lets" };
    let speed =
        rate.map_or_else(|| "as fast as it can".to_owned(), |rate| format!("at {rate}/s at most"));
    let text = format!("{will} {} go {speed}.", job.id);
    done(common, &job, json!({"rate": rate}), &text)
}

async fn find(ops: &Ops, id: &str) -> anyhow::Result<Job> {
    let unknown = || Failure::usage(format!("no job `{id}`: `hookline jobs list` shows them"));
    ops.job(id).await?.ok_or_else(unknown)
}

async fn unfinished(ops: &Ops, id: &str) -> anyhow::Result<Job> {
    let job = find(ops, id).await?;
    if matches!(job.state, JobState::Running | JobState::Paused) {
        Ok(job)
    } else {
        Err(wish::ended(&job))
    }
}

async fn act(ops: &Ops, args: &JobArgs, wished: JobWish) -> anyhow::Result<Exit> {
    let job = unfinished(ops, &args.id).await?;
    let word = wish::verb(wished).trim_start_matches("jobs ");
    if !args.common.dry_run {
        let reason = args.common.reason.as_deref();
        wish::wish(ops, &job, wished, &operator::name(), reason).await?;
    }
    let text = match (args.common.dry_run, job.held) {
        (true, _) => format!("Would {word} {}.", job.id),
        (false, true) => format!("Asked whoever works on {} to {word}; it takes a second.", job.id),
        (false, false) if wished == JobWish::Resume => {
            format!("The role `ops` goes on with {}.", job.id)
        }
        (false, false) => format!("Nobody worked on {}; done: {word}.", job.id),
    };
    done(&args.common, &job, json!({"wish": word}), &text)
}

fn done(common: &CommonArgs, job: &Job, what: Value, text: &str) -> anyhow::Result<Exit> {
    match common.output {
        Output::Json => {
            let mut value = json!({"id": job.id, "dry_run": common.dry_run});
            if let (Some(map), Some(more)) = (value.as_object_mut(), what.as_object()) {
                map.extend(more.clone());
            }
            say(value);
        }
        Output::Table => say(text),
    }
    Ok(Exit::Done)
}
