//! What a job of the role does: `redrive run` and `redrive discard`, with the functions of the verbs.

use std::time::Duration;

use ops::{Job, Ops, RedriveAct, WantedWork};
use projector::rebuild::Place;
use projector::redrive::Redrive;
use runtime::broker::Broker;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::plan::choose;
use crate::exit::{Exit, Failure, code_of};
use crate::read_model::failure;
use crate::redrive::parked::{self, Stage};
use crate::redrive::steps::{self, Tried};
use crate::redrive::{chosen::Chosen, give_up};

/// How long the broker may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(15);

/// How the work on a job ended.
pub(super) enum Ended {
    Done(Value),
    /// It does not go away by itself: the result, and what happened.
    Failed(Option<Value>, String),
    /// It was asked to stop.
    Stopped,
}

/// Does what is left of a job. `seen` gets how far it is.
///
/// # Errors
/// What passes, such as Postgres being away: go on later.
pub(super) async fn work(
    broker: &Broker,
    pool: &PgPool,
    job: &Job,
    stop: &CancellationToken,
    seen: &(dyn Fn(Value) + Sync),
) -> anyhow::Result<Ended> {
    let ended = match job.verb.as_str() {
        verb if verb == RedriveAct::Run.verb() => run(broker, pool, job, stop, seen).await,
        verb if verb == RedriveAct::Discard.verb() => discard(pool, job, stop, seen).await,
        other => Err(Failure::refused(format!("this release does not know jobs of `{other}`"))),
    };
    ended.or_else(|error| match code_of(&error) {
        Exit::Usage | Exit::Refused => Ok(Ended::Failed(None, format!("{error:#}"))),
        _ => Err(error),
    })
}

/// The rows that a plan was about.
#[derive(serde::Deserialize)]
struct Planned {
    heads: Vec<i64>,
    events: Vec<i64>,
}

/// What of the job is parked now: what was done is not on the list any more.
async fn left(pool: &PgPool, job: &Job, act: RedriveAct) -> anyhow::Result<Chosen> {
    let foreign = |_| Failure::refused("the job is of another release: ask for it again");
    let mut arguments = job.arguments.clone();
    let mut planned = None;
    if let Some(arguments) = arguments.as_object_mut() {
        arguments.remove("plan");
        planned = arguments.remove("rows");
    }
    let wanted: WantedWork = serde_json::from_value(arguments).map_err(foreign)?;
    let mut chosen = choose(pool, act, &wanted).await?;
    if act == RedriveAct::Discard {
        let Planned { heads, events } =
            serde_json::from_value(planned.unwrap_or_default()).map_err(foreign)?;
        chosen.heads.retain(|head| heads.contains(&head.id));
        chosen.events.retain(|event| events.contains(event));
    }
    Ok(chosen)
}

async fn run(
    broker: &Broker,
    pool: &PgPool,
    job: &Job,
    stop: &CancellationToken,
    seen: &(dyn Fn(Value) + Sync),
) -> anyhow::Result<Ended> {
    let Chosen { heads, events } = left(pool, job, RedriveAct::Run).await?;
    let lanes: Vec<String> = heads.into_iter().map(|head| head.lane).collect();
    let shows = |lanes_done: u64, events_done: u64| {
        seen(json!({
            "lanes": {"done": lanes_done, "of": lanes.len()}, "events": {"done": events_done, "of": events.len()},
        }));
    };
    // The broker is asked before anything is released: without it the workers do nothing either.
    let mut projector = match events.as_slice() {
        [] => None,
        _ => Some(open(broker, pool).await?),
    };
    let mut normalize = steps::lanes(pool, &lanes, stop, &mut |done| shows(done, 0)).await;
    if let Some(error) = normalize.error.take() {
        return if stop.is_cancelled() { Ok(Ended::Stopped) } else { Err(error) };
    }
    let mut project = Tried::all(events.len());
    if let Some(projector) = &mut projector {
        let lanes_done = lanes.len() as u64;
        let mut shown = |done| shows(lanes_done, done);
        project = steps::events(projector, &events, stop, &mut shown).await;
        if let Some(error) = project.error.take() {
            return if stop.is_cancelled() { Ok(Ended::Stopped) } else { Err(error) };
        }
    }
    let mut result = normalize.as_json("lanes");
    result["projector"] = project.as_json("events");
    Ok(match (normalize.released(), project.released()) {
        (true, true) => Ended::Done(result),
        (false, _) => Ended::Failed(Some(result), normalize.text("lanes")),
        (true, false) => Ended::Failed(Some(result), project.text("events of the projector")),
    })
}

/// The model that serves, to fold events of INBOX_EVENTS into.
async fn open(broker: &Broker, pool: &PgPool) -> anyhow::Result<Redrive> {
    if tokio::time::timeout(READY_WITHIN, broker.ready()).await.is_err() {
        let reason = broker.accepts().err().unwrap_or_else(|| "it is not ready".to_owned());
        return Err(Failure::unreachable(format!("NATS_URL: {reason}")));
    }
    let place = Place { broker: broker.clone(), pool: pool.clone() };
    Redrive::open(&place).await.map_err(|error| failure(error, None))
}

/// Gives up each row in a transaction of its own, as the verb does one.
async fn discard(
    pool: &PgPool,
    job: &Job,
    stop: &CancellationToken,
    seen: &(dyn Fn(Value) + Sync),
) -> anyhow::Result<Ended> {
    let Chosen { heads, events } = left(pool, job, RedriveAct::Discard).await?;
    let rows = heads.iter().map(|head| (Stage::Normalize, head.id));
    let rows: Vec<(Stage, i64)> =
        rows.chain(events.iter().map(|seq| (Stage::Projector, *seq))).collect();
    let reason = job.reason.as_deref().unwrap_or_default();
    let ops = Ops::as_it_is(pool.clone());
    let mut done = 0;
    for (n, (stage, id)) in rows.iter().enumerate() {
        if stop.is_cancelled() {
            return Ok(Ended::Stopped);
        }
        // Gone: somebody else gave it up, or it was carried out meanwhile.
        if let Some(row) = parked::look(pool, *id, *stage).await?
            && give_up(&ops, &job.started_by, &row, *id, *stage, reason).await?
        {
            done += 1;
        }
        seen(json!({"rows": {"done": n + 1, "of": rows.len()}}));
    }
    Ok(Ended::Done(json!({"discarded": done})))
}
