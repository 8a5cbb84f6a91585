//! `hookline replay`: plan, confirmation, job and progress. What a replay does is `worker::inbound::replay`.

mod args;
mod print;

use std::io::{BufRead, IsTerminal, Write};

use ops::{Act, Job, JobState, NewJob, Ops, Wish};
use runtime::broker::Broker;
use runtime::config::{NatsConfig, Settings};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use worker::facts::FactStore;
use worker::facts::eras::ForeignStream;
use worker::inbound::replay::apply::{Ended, Progress as Done};
use worker::inbound::replay::plan::PlannedReplay;
use worker::inbound::replay::{NEEDS, OtherEra, Replay, ReplayPlan};

pub(crate) use self::args::ReplayArgs;
use self::args::{Wanted, job_arguments, understand};
use crate::exit::{Exit, Failure};
use crate::jobs::take::take;
use crate::output::{Output, note, say};
use crate::progress::Progress;
use crate::{connect, operator};

const VERB: &str = "replay";

/// Examples and what to know, for `--help`.
pub(crate) const HELP: &str = "Examples:
  hookline replay --since 2h --dry-run
  hookline replay --since 2026-11-21T10:00:00Z --account instagram/17841400000000001 --reason 'account added'
  hookline replay --seq 1000..2000 --to replay.shop --rate 50/s

A replay cannot send: it has no Graph client and no ledger, and automations ignore its events. Give it the NATS user `replay` in NATS_URL
(deploy/nats-users.conf), and the broker refuses commands too. The same
command run again continues an unfinished job.";

/// Carries out `hookline replay`.
///
/// # Errors
/// Exit code 2 for wrong arguments, 3 for a subject of hookline's own or a job in other hands, 4 where NATS or Postgres do not answer.
pub(crate) async fn run(args: ReplayArgs, settings: &Settings) -> anyhow::Result<Exit> {
    let wanted = understand(&args, runtime::now())?;
    runtime::failpoint::arm_from_env()?;
    runtime::waits::shorten_from_env()?;
    if runtime::failpoint::armed() {
        note("HOOKLINE_FAILPOINTS is set, which is for tests only");
    }
    let nats = NatsConfig::from_settings(settings)?;
    // Asked before anything else, so that the error names what is away, at once.
    connect::broker(&nats).await?;
    let pool = connect::postgres(settings).await?;
    worker::migrate(&pool, &CancellationToken::new()).await?;
    let ops = Ops::open(pool.clone()).await?;
    let seal = worker::config::seal(settings)?;
    let grace = worker::config::Waits::from_settings(settings)?.twin_grace;
    let broker = connect_as_replay(nats).await?;
    if let Some(why) = worker::recover::gate::closed(&pool, broker.js()).await? {
        return Err(Failure::refused(why.to_owned()));
    }
    let facts = FactStore::new(broker.clone(), pool.clone(), seal);
    let replay = Replay::new(broker, facts, grace, wanted.scope.clone());

    let arguments = job_arguments(&args);
    let unfinished = unfinished(&ops, &arguments).await?;
    let done: Option<Done> =
        unfinished.as_ref().and_then(|job| serde_json::from_value(job.progress.clone()).ok());
    let bounds = match &done {
        Some(done) => done.bounds.clone(),
        None => replay.bounds(&wanted.slice).await.map_err(away)?,
    };
    let mut bar = Progress::new("plan", "raw webhooks", Some(bounds.span()));
    let planned =
        replay.plan(&bounds, wanted.rate, &mut |at| bar.at(at, "")).await.map_err(away)?;
    bar.end();
    if args.common.output == Output::Table {
        print::plan(&planned.plan);
    }
    if args.common.dry_run {
        if args.common.output == Output::Json {
            say(serde_json::to_string(&json!({ "dry_run": true, "plan": planned.plan }))?);
        }
        return Ok(Exit::Done);
    }
    if !confirmed(&args)? {
        say("Nothing was done.");
        return Ok(Exit::Done);
    }
    let first = serde_json::to_value(Done::new(bounds))?;
    apply(&replay, &ops, &args, &wanted, arguments, &planned, first).await
}

async fn apply(
    replay: &Replay,
    ops: &Ops,
    args: &ReplayArgs,
    wanted: &Wanted,
    arguments: Value,
    planned: &PlannedReplay,
    first: Value,
) -> anyhow::Result<Exit> {
    let operator = operator::name();
    let new = NewJob {
        verb: VERB,
        arguments: arguments.clone(),
        rate: wanted.rate,
        reason: args.common.reason.as_deref(),
        who: &operator,
    };
    let (job, there) = ops.start(new).await?;
    if there && wanted.rate.is_some() {
        ops.set_rate(&job.id, wanted.rate).await?;
    }
    let claim = take(ops, &job, there, &CancellationToken::new()).await?;
    let stored = claim.job.progress.clone();
    let progress = if stored.get("bounds").is_some() { stored } else { first };
    let progress: Done = serde_json::from_value(progress)?;
    let act = |result: Option<Value>| Act {
        who: &operator,
        verb: VERB,
        arguments: arguments.clone(),
        reason: args.common.reason.as_deref(),
        job: Some(&claim.job.id),
        result,
    };
    ops.record(act(Some(
        json!({ "begins": true, "goes_on": there, "plan": summary(&planned.plan) }),
    )))
    .await?;
    let span = progress.bounds.span();
    let mut bar = Progress::new("replay", "raw webhooks", Some(span));
    let worked =
        replay.apply(&claim, progress, planned, &wanted.how, &mut |at, why| bar.at(at, why)).await;
    bar.end();
    let (ended, tally) = worked.map_err(|error| {
        let id = &claim.job.id;
        away(error.context(format!("job {id} stopped; run the same command again to continue it")))
    })?;
    let result = serde_json::to_value(&tally)?;
    let mut tx = ops.pool().begin().await?;
    let (state, exit) = match ended {
        Ended::Done => {
            let exit = if tally.is_incomplete() { Exit::SomeFailed } else { Exit::Done };
            (JobState::Done, exit)
        }
        Ended::Stopped(Wish::Pause) => (JobState::Paused, Exit::SomeFailed),
        Ended::Stopped(Wish::Cancel) => (JobState::Cancelled, Exit::SomeFailed),
        Ended::Lost => {
            return Err(Failure::refused(format!(
                "job {} is in other hands now: another process goes on with it, or an operator ended it",
                claim.job.id
            )));
        }
    };
    claim.end(&mut tx, state, Some(&result), None).await?;
    ops::record(&mut tx, act(Some(json!({ "state": state, "result": result })))).await?;
    tx.commit().await?;
    match args.common.output {
        Output::Json => say(serde_json::to_string(
            &json!({ "job": claim.job.id, "state": state, "plan": planned.plan, "result": tally }),
        )?),
        Output::Table => print::result(&claim.job, state, &tally, &wanted.how.target),
    }
    Ok(exit)
}

async fn unfinished(ops: &Ops, arguments: &Value) -> sqlx::Result<Option<Job>> {
    let jobs = ops.jobs(1000).await?;
    Ok(jobs.into_iter().find(|job| {
        job.verb == VERB
            && job.arguments == *arguments
            && matches!(job.state, JobState::Running | JobState::Paused)
    }))
}

/// As the NATS user `replay` may: its broker object needs fewer streams than an operator's.
async fn connect_as_replay(nats: NatsConfig) -> anyhow::Result<Broker> {
    let broker = Broker::connect(VERB, nats, NEEDS, CancellationToken::new()).await?;
    connect::connected(&broker).await?;
    Ok(broker)
}

/// Exit code 4 for an error in the middle of the verb, unless it has one of its own.
fn away(error: anyhow::Error) -> anyhow::Error {
    let database = error.chain().any(|cause| cause.downcast_ref::<sqlx::Error>().is_some());
    if database || error.chain().any(|cause| cause.downcast_ref::<Failure>().is_some()) {
        return error;
    }
    let foreign = error.chain().any(|cause| {
        cause.downcast_ref::<ForeignStream>().is_some()
            || cause.downcast_ref::<OtherEra>().is_some()
    });
    if foreign {
        return Failure::refused(format!("{error:#}"));
    }
    Failure::unreachable(format!("{error:#}"))
}

fn confirmed(args: &ReplayArgs) -> anyhow::Result<bool> {
    if args.yes || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(true);
    }
    let _ = write!(std::io::stderr(), "Apply this? [y/N] ");
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn summary(plan: &ReplayPlan) -> Value {
    json!({ "slice": plan.slice, "total": plan.tally.total(), "raw_webhooks": plan.tally.raw_webhooks })
}
