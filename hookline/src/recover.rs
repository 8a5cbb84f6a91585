//! `hookline recover`: an empty Postgres is filled again from the streams. `worker::recover` does it, and the projector makes the read model.

mod print;

use std::time::{Duration, Instant};

use clap::Args;
use ops::{Act, Beat, Claim, JobState, NewJob, Ops, Wish};
use runtime::broker::Broker;
use runtime::config::Settings;
use runtime::follow::{StreamRecreated, Unfollowable};
use runtime::health::Health;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use worker::facts::eras::Gone;
use worker::facts::regain::Halted;
use worker::facts::seal::SealError;
use worker::recover::plan::{Database, RecoveryPlan, plan};
use worker::recover::stage::Done;
use worker::recover::{NEEDS, Recovery};

use crate::args::CommonArgs;
use crate::exit::{Exit, Failure};
use crate::jobs::take::take;
use crate::progress::Progress;
use crate::{connect, operator, read_model};

const VERB: &str = "recover";
/// How long connections of workers that were just stopped may last.
const WORKERS_WITHIN: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Arguments of `recover`.
#[derive(Debug, Args)]
pub(crate) struct RecoverArgs {
    #[command(flatten)]
    common: CommonArgs,
}

/// Carries out `hookline recover`.
///
/// # Errors
/// Exit code 2 without a reason, 3 where the database is in use, a worker runs, or a stream is missing, 4 where broker or Postgres do not answer,
/// also in the middle.
pub(crate) async fn run(args: RecoverArgs, settings: &Settings) -> anyhow::Result<Exit> {
    runtime::failpoint::arm_from_env()?;
    runtime::waits::shorten_from_env()?;
    let common = &args.common;
    let worker::Config { seal, vouch, waits, nats, .. } = worker::Config::from_settings(settings)?;
    connect::broker(&nats).await?;
    let pool = connect::postgres(settings).await?;
    let stop = runtime::shutdown::on_signal()?;
    let broker = Broker::connect(VERB, nats, NEEDS, stop.clone()).await?;
    connect::connected(&broker).await?;

    let seen = look(&pool, &broker).await?;
    if common.dry_run {
        print::plan(&seen, may_begin(&seen, false), common.output)?;
        return Ok(Exit::Done);
    }
    let goes_on = is_unfinished(&pool).await?;
    if !goes_on && common.reason.as_deref().unwrap_or_default().trim().is_empty() {
        return Err(Failure::usage("--reason: say how Postgres was lost"));
    }
    if let Err(reason) = may_begin(&seen, goes_on) {
        return Err(Failure::refused(reason));
    }
    worker::migrate(&pool, &stop).await?;
    let ops = Ops::open(pool.clone()).await?;
    let who = operator::name();
    let reason = common.reason.as_deref();
    let new = NewJob { verb: VERB, arguments: json!({}), rate: None, reason, who: &who };
    let (job, there) = ops.start(new).await?;
    let claim = take(&ops, &job, there, &stop).await?;
    let act = |result: Value| Act {
        who: &who,
        verb: VERB,
        arguments: json!({}),
        reason,
        job: Some(&claim.job.id),
        result: Some(result),
    };
    ops.record(act(json!({ "begins": true, "goes_on": there, "plan": seen }))).await?;

    let owner = format!("recover-{}-{:016x}", std::process::id(), rand::random::<u64>());
    let max_age = waits.auto_reply_max_age;
    let recovery = Recovery::new(broker, pool.clone(), (seal.clone(), vouch), max_age, owner);
    let began = Instant::now();
    let mut bar = Progress::new(VERB, "positions", None);
    let worked = async {
        let done = recovery
            .run(&mut |at| {
                bar.total(at.end);
                bar.at(at.position, at.stage.as_str());
            })
            .await?;
        read_models(settings, &mut bar, &stop).await?;
        anyhow::Ok(done)
    };
    let done = tokio::select! {
        done = worked => done.map_err(|error| stopped(error, &claim.job.id))?,
        ended = interrupted(&claim) => return end_early(&ops, &claim, ended).await,
    };
    bar.end();
    let accounts = print::accounts(&pool, seal).await?;
    let result = summary(&done, began.elapsed());
    let mut tx = ops.pool().begin().await?;
    claim.end(&mut tx, JobState::Done, Some(&result), None).await?;
    ops::record(&mut tx, act(result.clone())).await?;
    tx.commit().await?;
    print::result(&claim.job.id, &result, &accounts, common.output)?;
    Ok(Exit::Done)
}

/// What there is. Workers that were stopped just now are given a moment.
async fn look(pool: &sqlx::PgPool, broker: &Broker) -> anyhow::Result<RecoveryPlan> {
    let began = Instant::now();
    loop {
        let seen = plan(pool, broker.js()).await;
        let seen = seen.map_err(|error| match error.downcast::<sqlx::Error>() {
            Ok(error) => error.into(),
            Err(error) => connect::broker_error(&format!("{error:#}")),
        })?;
        if seen.workers == 0 || began.elapsed() > WORKERS_WITHIN {
            return Ok(seen);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Why it may not begin. `goes_on`: a job of it is not finished.
fn may_begin(seen: &RecoveryPlan, goes_on: bool) -> Result<(), String> {
    if let Some(gone) = seen.streams.iter().find(|stream| !stream.is_there) {
        return Err(format!(
            "stream {} is not there: restore it from a backup first (deploy/runbooks/stream-restored.md), or make an empty one with \
             `hookline streams apply`; what it held is not regained then",
            gone.name
        ));
    }
    match seen.database {
        Database::InUse => {
            return Err("this Postgres is not empty: a worker works on it, or did. `recover` fills an empty one only; for one that was \
                 put back to an earlier state there is nothing to do (deploy/runbooks/postgres-restored.md)"
                .to_owned());
        }
        Database::Recovered if !goes_on => {
            return Err("this Postgres was recovered already, and is in use".to_owned());
        }
        Database::Empty | Database::Begun(_) | Database::Recovered => {}
    }
    // What is left of a recovered one is the read model.
    if seen.workers > 0 && seen.database != Database::Recovered {
        return Err(format!(
            "{} connections of workers to this Postgres: stop all workers first, also those that wait for it to be recovered",
            seen.workers
        ));
    }
    Ok(())
}

async fn is_unfinished(pool: &sqlx::PgPool) -> anyhow::Result<bool> {
    let jobs = runtime::db::absent_is_empty(ops::unfinished(pool).await)?;
    Ok(jobs.iter().any(|job| job.verb == VERB))
}

/// The projector itself makes the read model, from the first event to the last; beside one that runs, whoever has its lease does.
async fn read_models(
    settings: &Settings,
    bar: &mut Progress,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let place = read_model::open(settings, stop.clone()).await?;
    let events = runtime::streams::find(place.broker.js(), schemas::subjects::INBOX_EVENTS).await;
    let events = events.map_err(|error| connect::broker_error(&error))?;
    let end = events.map_or(0, |events| events.cached_info().state.last_sequence);
    bar.total(end);
    let enough = stop.child_token();
    let _stops = enough.clone().drop_guard();
    let project =
        projector::project(place.broker.clone(), place.pool.clone(), Health::new(), enough.clone());
    let arrives = async {
        loop {
            let at = runtime::db::absent_is_empty(projector::status::position(&place.pool).await)?;
            let at = at.map_or(0, |(seq, _)| seq);
            bar.at(at, "read model");
            if at >= end {
                enough.cancel();
                return anyhow::Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    // Cancelled, the projector ends what it has begun and lets go of its lease.
    let (projected, arrived) = tokio::join!(project, arrives);
    projected?;
    arrived
}

/// Renews the claim until an operator wishes otherwise, or somebody else has the job.
async fn interrupted(claim: &Claim) -> Beat {
    loop {
        tokio::time::sleep(ops::BEAT).await;
        match claim.beat().await {
            Ok(Beat::Go { .. }) | Err(_) => {}
            Ok(ended) => return ended,
        }
    }
}

async fn end_early(ops: &Ops, claim: &Claim, ended: Beat) -> anyhow::Result<Exit> {
    let id = &claim.job.id;
    let Beat::Stop(wish) = ended else {
        return Err(Failure::refused(format!(
            "job {id} is in other hands now: another process goes on with it, or an operator ended it"
        )));
    };
    // What was filled stays; an unfinished recovery is gone on with, whatever its job says.
    let state = match wish {
        Wish::Pause => JobState::Paused,
        Wish::Cancel => JobState::Cancelled,
    };
    let mut tx = ops.pool().begin().await?;
    claim.end(&mut tx, state, None, None).await?;
    tx.commit().await?;
    let message = format!("job {id} is {}; run the same command again to go on", state.as_str());
    Err(Failure { exit: Exit::SomeFailed, message }.into())
}

/// The error with its exit code: what somebody has to act on first, or who did not answer.
fn stopped(error: anyhow::Error, job: &str) -> anyhow::Error {
    let is_halted = error.chain().any(|cause| {
        cause.is::<Halted>()
            || cause.is::<Gone>()
            || cause.is::<Unfollowable>()
            || cause.is::<StreamRecreated>()
    });
    let is_known = error.chain().any(|cause| {
        cause.is::<sqlx::Error>()
            || cause.is::<Failure>()
            || cause.is::<serde_json::Error>()
            || cause.is::<SealError>()
    });
    let error =
        error.context(format!("job {job} stopped; run the same command again to continue it"));
    match (is_halted, is_known) {
        (true, _) => Failure::refused(format!("{error:#}")),
        (_, true) => error,
        // What is left of it is the broker.
        _ => Failure::unreachable(format!("{error:#}")),
    }
}

fn summary(done: &Done, took: Duration) -> Value {
    json!({
        "events": done.events,
        "unreadable": done.unreadable,
        "raw_webhooks": done.raws,
        "unpublished": done.unpublished,
        "parked": done.parked,
        "waiting": done.waiting,
        "parts_attempted": done.parts_attempted,
        "seconds": took.as_secs_f64(),
    })
}

#[cfg(test)]
mod tests {
    use runtime::follow::StreamPutBack;

    use super::*;

    fn exit(error: impl Into<anyhow::Error>) -> (Exit, String) {
        let error = stopped(error.into().context("reading"), "job_1");
        let failure = error.chain().find_map(|cause| cause.downcast_ref::<Failure>());
        (failure.map_or(Exit::SomeFailed, |failure| failure.exit), format!("{error:#}"))
    }

    #[test]
    fn a_lost_broker_is_no_refusal() {
        let away = std::io::Error::new(std::io::ErrorKind::TimedOut, "timed out");
        let (code, said) = exit(away);
        assert_eq!(code, Exit::Unreachable);
        assert!(
            said.contains("run the same command again") && said.contains("timed out"),
            "{said}"
        );
        assert_eq!(exit(Halted("a worker runs")).0, Exit::Refused);
        let put_back = StreamPutBack { stream: "META_RAW", position: 7 };
        assert_eq!(exit(Unfollowable::from(put_back)).0, Exit::Refused);
        assert_eq!(exit(sqlx::Error::PoolTimedOut).0, Exit::SomeFailed, "its own code follows");
    }
}
