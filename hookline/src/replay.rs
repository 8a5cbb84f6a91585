//! `hookline replay`: words, plan, confirmation, job and progress. What a replay does is `worker::inbound::replay`.

use std::io::{BufRead, IsTerminal, Write};
use std::time::{Duration, Instant};

use runtime::broker::Broker;
use runtime::config::{NatsConfig, Settings};
use runtime::ops::{self, Act, Job, JobState, NewJob, Ops, Wish};
use schemas::{AccountId, Timestamp};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use worker::facts::FactStore;
use worker::inbound::replay::apply::{Ended, How, Progress as Done};
use worker::inbound::replay::plan::Planned;
use worker::inbound::replay::{BadTarget, NEEDS, Plan, Replay, Scope, Slice, Target};

use crate::accounts::ChannelWord;
use crate::exit::{Exit, Failure, Output, say};
use crate::progress::Progress;
use crate::{cli, jobs, reach, who};

mod print;

use print::{print, tell};

const VERB: &str = "replay";

/// What to replay.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Only what was received since: RFC 3339, or a duration ago such as 2h
    #[arg(long, value_name = "T")]
    since: Option<String>,
    /// Only what was received before: RFC 3339, or a duration ago such as 10m
    #[arg(long, value_name = "T")]
    until: Option<String>,
    /// Only these positions of META_RAW
    #[arg(long, value_name = "A..B")]
    seq: Option<String>,
    /// Only events of this channel
    #[arg(long, value_enum)]
    channel: Option<ChannelWord>,
    /// Only events of this account, as ID or CHANNEL/ID; an alias does as well
    #[arg(long)]
    account: Option<String>,
    /// `events`, or a subject of your own that gets the events of the slice and is not recorded
    #[arg(long, default_value = "events", value_name = "events|SUBJECT")]
    to: String,
    /// Everything goes out again, not only the difference
    #[arg(long)]
    all: bool,
    /// At most so many raw webhooks per second, as N or N/s
    #[arg(long, value_name = "N/s")]
    rate: Option<String>,
    /// Does not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    how: cli::How,
}

/// Examples and what to know, for `--help`.
pub const HELP: &str = "Examples:
  hookline replay --since 2h --dry-run
  hookline replay --since 2026-11-21T10:00:00Z --account instagram/17841400000000001 --reason 'account added'
  hookline replay --seq 1000..2000 --to replay.shop --rate 50/s

A replay cannot send: it has no Graph client and no ledger, and automations ignore its events. Give it the NATS user `replay` in NATS_URL
(deploy/nats-users.conf), and the broker refuses commands too. The same words go on with an unfinished job.";

/// Arguments that are understood.
struct Wanted {
    slice: Slice,
    scope: Scope,
    how: How,
    rate: Option<f64>,
}

/// Carries it out.
///
/// # Errors
/// Exit code 2 for wrong words, 3 for a subject of hookline's own or a job in other hands, 4 where NATS or Postgres do not answer.
pub async fn run(arguments: Arguments, settings: &Settings) -> anyhow::Result<Exit> {
    let wanted = understand(&arguments, runtime::now())?;
    runtime::failpoint::arm_from_env()?;
    runtime::waits::shorten_from_env()?;
    if runtime::failpoint::armed() {
        let _ = writeln!(std::io::stderr(), "HOOKLINE_FAILPOINTS is set, which is for tests only");
    }
    let nats = NatsConfig::from_settings(settings)?;
    // Reached before anything else, so that what is away is told by name and at once.
    reach::broker(&nats).await?;
    let pool = reach::postgres(settings).await?;
    worker::migrate(&pool, &CancellationToken::new()).await?;
    let ops = Ops::open(pool.clone()).await?;
    let seal = worker::config::seal(settings)?;
    let grace = worker::config::Waits::from_settings(settings)?.twin_grace;
    let broker = connect(nats).await?;
    let facts = FactStore::new(broker.clone(), pool.clone(), seal);
    let replay = Replay::new(broker, facts, grace, wanted.scope.clone());

    let words = words(&arguments);
    let unfinished = unfinished(&ops, &words).await?;
    let done: Option<Done> =
        unfinished.as_ref().and_then(|job| serde_json::from_value(job.progress.clone()).ok());
    let bounds = match &done {
        Some(done) => done.bounds.clone(),
        None => replay.bounds(&wanted.slice).await?,
    };
    let mut bar = Progress::new("plan", "raw webhooks", Some(bounds.span()));
    let planned = replay.plan(&bounds, wanted.rate, |at| bar.at(at, "")).await.map_err(away)?;
    bar.end();
    if arguments.how.output == Output::Table {
        print(&planned.plan);
    }
    if arguments.how.dry_run {
        if arguments.how.output == Output::Json {
            say(serde_json::to_string(&json!({ "dry_run": true, "plan": planned.plan }))?);
        }
        return Ok(Exit::Done);
    }
    if !confirmed(&arguments)? {
        say("Nothing was done.");
        return Ok(Exit::Done);
    }
    let first = serde_json::to_value(Done::new(bounds))?;
    apply(&replay, &ops, &arguments, &wanted, words, &planned, first).await
}

async fn apply(
    replay: &Replay,
    ops: &Ops,
    arguments: &Arguments,
    wanted: &Wanted,
    words: Value,
    planned: &Planned,
    first: Value,
) -> anyhow::Result<Exit> {
    let operator = who::operator();
    let new = NewJob {
        verb: VERB,
        arguments: words.clone(),
        rate: wanted.rate,
        reason: arguments.how.reason.as_deref(),
        who: &operator,
    };
    let (job, there) = ops.start(new).await?;
    if there && wanted.rate.is_some() {
        ops.set_rate(&job.id, wanted.rate).await?;
    }
    let claim = jobs::take(ops, &job, there, &CancellationToken::new()).await?;
    let stored = claim.job.progress.clone();
    let progress = if stored.get("bounds").is_some() { stored } else { first };
    let progress: Done = serde_json::from_value(progress)?;
    let act = |result: Option<Value>| Act {
        who: &operator,
        verb: VERB,
        arguments: words.clone(),
        reason: arguments.how.reason.as_deref(),
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
        replay.apply(&claim, progress, planned, &wanted.how, |at, why| bar.at(at, why)).await;
    bar.end();
    let (ended, tally) = worked.map_err(|error| {
        let id = &claim.job.id;
        away(error.context(format!("job {id} stopped; the same words go on with it")))
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
    match arguments.how.output {
        Output::Json => say(serde_json::to_string(
            &json!({ "job": claim.job.id, "state": state, "plan": planned.plan, "result": tally }),
        )?),
        Output::Table => tell(&claim.job, state, &tally),
    }
    Ok(exit)
}

fn understand(arguments: &Arguments, now: Timestamp) -> anyhow::Result<Wanted> {
    let time = |name: &str, text: &Option<String>| -> anyhow::Result<Option<Timestamp>> {
        let Some(text) = text else { return Ok(None) };
        if let Ok(time) = text.parse() {
            return Ok(Some(time));
        }
        runtime::config::parse_duration(text).map(|ago| Some(now.minus(ago))).map_err(|_| {
            Failure::usage(format!(
                "{name}: use a time such as 2026-11-21T10:00:00Z, or a duration ago such as 2h"
            ))
        })
    };
    let (since, until) = (time("--since", &arguments.since)?, time("--until", &arguments.until)?);
    if let (Some(since), Some(until)) = (since, until)
        && until <= since
    {
        return Err(Failure::usage("--until is not after --since"));
    }
    let seq = arguments.seq.as_deref().map(positions).transpose()?;
    let whose = arguments.account.as_deref().map(who::whose).transpose()?;
    let channel = arguments.channel.map(ChannelWord::channel);
    let of_account = whose.as_ref().and_then(|whose| whose.channel);
    if let (Some(one), Some(other)) = (channel, of_account)
        && one != other
    {
        return Err(Failure::usage("--channel and --account name different channels"));
    }
    let target = Target::parse(&arguments.to).map_err(|error| match error {
        BadTarget::NotASubject => Failure::usage(format!("--to: `{}` is {error}", arguments.to)),
        BadTarget::Ours => Failure::refused(format!("--to: `{}` {error}", arguments.to)),
    })?;
    let rate = arguments.rate.as_deref().map(rate).transpose()?;
    Ok(Wanted {
        slice: Slice { since, until, seq },
        scope: Scope {
            channel: channel.or(of_account),
            account: whose.map(|whose| AccountId::new(whose.account.as_str())),
        },
        how: How { target, all: arguments.all },
        rate,
    })
}

fn positions(text: &str) -> anyhow::Result<(u64, u64)> {
    let parsed = text.split_once("..").and_then(|(one, last)| {
        let last = last.strip_prefix('=').unwrap_or(last);
        Some((one.parse::<u64>().ok()?, last.parse::<u64>().ok()?))
    });
    match parsed {
        Some((one, last)) if 0 < one && one <= last => Ok((one, last)),
        _ => Err(Failure::usage("--seq: use A..B, the first and the last position, from 1 on")),
    }
}

fn rate(text: &str) -> anyhow::Result<f64> {
    let number = text.strip_suffix("/s").unwrap_or(text).parse::<f64>();
    number.ok().filter(|rate| rate.is_finite() && *rate > 0.0).ok_or_else(|| {
        Failure::usage("--rate: use a number above 0 of raw webhooks per second, such as 50/s")
    })
}

/// What makes two jobs the same: what they do, not how fast or why.
fn words(arguments: &Arguments) -> Value {
    json!({
        "since": arguments.since, "until": arguments.until, "seq": arguments.seq,
        "channel": arguments.channel.map(|word| word.channel()), "account": arguments.account, "to": arguments.to,
        "all": arguments.all,
    })
}

async fn unfinished(ops: &Ops, words: &Value) -> sqlx::Result<Option<Job>> {
    let jobs = ops.jobs(1000).await?;
    Ok(jobs.into_iter().find(|job| {
        job.verb == VERB
            && job.arguments == *words
            && matches!(job.state, JobState::Running | JobState::Paused)
    }))
}

async fn connect(nats: NatsConfig) -> anyhow::Result<Broker> {
    let broker = Broker::connect(VERB, nats, NEEDS, CancellationToken::new()).await?;
    let deadline = Instant::now() + reach::PATIENCE;
    while !broker.is_connected() {
        if Instant::now() > deadline {
            return Err(Failure::unreachable("NATS_URL: the broker does not answer"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(broker)
}

/// What a broker or Postgres says that is away in the middle of a verb.
fn away(error: anyhow::Error) -> anyhow::Error {
    let database = error.chain().any(|cause| cause.downcast_ref::<sqlx::Error>().is_some());
    if database || error.chain().any(|cause| cause.downcast_ref::<Failure>().is_some()) {
        return error;
    }
    Failure::unreachable(format!("{error:#}"))
}

fn confirmed(arguments: &Arguments) -> anyhow::Result<bool> {
    if arguments.yes || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(true);
    }
    let _ = write!(std::io::stderr(), "Apply this? [y/N] ");
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn summary(plan: &Plan) -> Value {
    json!({ "slice": plan.slice, "total": plan.tally.total(), "raw_webhooks": plan.tally.raw_webhooks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_and_rates_are_read() {
        assert_eq!(positions("3..9").unwrap(), (3, 9));
        for wrong in ["9..3", "0..3", "3", "a..b", "..", "3.."] {
            assert!(positions(wrong).is_err(), "{wrong}");
        }
        assert!((rate("50/s").unwrap() - 50.0).abs() < f64::EPSILON);
        for wrong in ["0", "-1", "x", "NaN", "inf/s"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
