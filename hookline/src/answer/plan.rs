//! Plans of `redrive`, and the jobs that carry them out.

use clap::ValueEnum;
use ops::{Act, Answer, NewJob, NewPlan, Ops, RedriveAct, WantedWork, Why};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::exit::Failure;
use crate::redrive::choose::Wanted;
use crate::redrive::chosen::{self, Chosen};
use crate::redrive::parked::Stage;

/// Counts what the act would do now, and keeps it.
///
/// # Errors
/// Exit code 2 for what cannot be wanted; `sqlx::Error`, ask again.
pub(super) async fn plan(
    pool: &PgPool,
    who: &str,
    act: RedriveAct,
    wanted: &WantedWork,
) -> anyhow::Result<Value> {
    let chosen = choose(pool, act, wanted).await?;
    let (arguments, counts) = (serde_json::to_value(wanted)?, chosen.counts());
    let digest = chosen.digest();
    let new =
        NewPlan { act: act.verb(), arguments: &arguments, counts: &counts, digest: &digest, who };
    let id = Ops::as_it_is(pool.clone()).keep_plan(new).await?;
    Ok(json!({"plan_id": id, "counts": counts}))
}

/// Starts the job of a plan that is fresh and still counts the same. A plan that has its job already answers with that one.
///
/// # Errors
/// `sqlx::Error`; the job may be there, call again.
pub(super) async fn start(
    pool: &PgPool,
    who: &str,
    act: RedriveAct,
    plan_id: &str,
    reason: &str,
) -> anyhow::Result<Answer> {
    let ops = Ops::as_it_is(pool.clone());
    let Some(plan) = ops.plan(plan_id).await?.filter(|plan| plan.act == act.verb()) else {
        let text = format!("no plan `{plan_id}` of `{}`: plans are kept for a day", act.verb());
        return Ok(Answer::refused(Why::NotFound, text));
    };
    let started = |job: &str| Answer::Done { body: json!({"job_id": job, "counts": plan.counts}) };
    if let Some(job) = &plan.job {
        return Ok(started(job));
    }
    if !plan.fresh {
        let text = "the plan is older than 15 minutes: look at a new one";
        return Ok(Answer::refused(Why::PlanStale, text));
    }
    let wanted: WantedWork = serde_json::from_value(plan.arguments.clone())?;
    let chosen = choose(pool, act, &wanted).await?;
    if chosen.digest() != plan.digest {
        let text = format!(
            "what it is about has changed since: {} then, {} now; look at a new plan",
            plan.counts,
            chosen.counts()
        );
        return Ok(Answer::refused(Why::PlanStale, text));
    }
    if chosen.is_empty() {
        return Ok(Answer::refused(Why::NotNow, "nothing like this is parked"));
    }
    let mut arguments = plan.arguments.clone();
    arguments["plan"] = json!(plan_id);
    if act == RedriveAct::Discard {
        // What is parked later was in no plan.
        let heads: Vec<i64> = chosen.heads.iter().map(|head| head.id).collect();
        arguments["rows"] = json!({"heads": heads, "events": chosen.events});
    }
    let reason = Some(reason);
    // The plan is a part of the words: a repeat finds this job.
    let new = NewJob { verb: act.verb(), arguments: arguments.clone(), rate: None, reason, who };
    let (job, there) = ops.start(new).await?;
    if !there {
        let result = Some(plan.counts.clone());
        let act = Act { who, verb: act.verb(), arguments, reason, job: Some(&job.id), result };
        ops.record(act).await?;
    }
    ops.plan_has_job(plan_id, &job.id).await?;
    Ok(started(&job.id))
}

/// What is wanted, among what is parked now.
///
/// # Errors
/// Exit code 2 for what cannot be wanted; `sqlx::Error`, ask again.
pub(super) async fn choose(
    pool: &PgPool,
    act: RedriveAct,
    wanted: &WantedWork,
) -> anyhow::Result<Chosen> {
    let WantedWork { cause, lane, stage, ids } = wanted.clone();
    let stage = stage.as_deref().map(|text| Stage::from_str(text, false)).transpose();
    let stage = stage.map_err(|_| Failure::usage("stage: use `normalize` or `projector`"))?;
    if ids.is_some() && stage.is_none() {
        return Err(Failure::usage("stage: numbers are those of one stage: say which"));
    }
    if lane.is_some() && stage == Some(Stage::Projector) {
        return Err(Failure::usage("lane: only the normaliser has lanes"));
    }
    let named = cause.is_some() || ids.is_some();
    let wanted = Wanted { cause, lane, stage, ids };
    let exactly = act == RedriveAct::Discard;
    if exactly && !named {
        return Err(Failure::usage("cause: name a cause or ids: not everything is given up"));
    }
    Ok(chosen::find(pool, &wanted, exactly).await?)
}
