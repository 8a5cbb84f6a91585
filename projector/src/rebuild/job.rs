//! A rebuild from its claim to its end.

use std::time::Duration;

use ops::{Claim, JobState, Wish};
use runtime::db::is_held_up;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::build::Builder;
use super::compare::{Comparison, Reader};
use super::error::RebuildError;
use super::heartbeat::{Heartbeat, Show};
use super::live::Live;
use super::meet::meet;
use super::models::{begin, drop_left};
use super::place::Place;
use super::swap::Swap;
use crate::store::schema::{analyse, complete_indexes};
use crate::store::{SchemaName, models, scope};

/// How long after readers stood in the way to try again.
const SWAP_PAUSE: Duration = Duration::from_millis(500);
/// How often to try: five minutes.
const SWAP_TRIES_MAX: u32 = 600;

/// What is to be done.
#[derive(Clone, Copy, Debug, Default)]
pub struct RebuildPlan {
    /// Let the new model serve in the end.
    pub swap: bool,
    /// Also where it lacks rows of the serving one.
    pub accept_loss: bool,
    /// Not a new model but the one kept by the last swap.
    pub revert: bool,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The schema that served.
    pub served: String,
    /// The schema that was built, or kept.
    pub schema: String,
    /// The position at which both were compared, or at which the new one was swapped in.
    pub position: u64,
    /// Whether the new one serves now.
    pub swapped: bool,
    /// How they differ: `expected` is the new one.
    #[serde(flatten)]
    pub comparison: Comparison,
}

/// What a job would begin with.
#[derive(Clone, Debug, Serialize)]
pub struct Preview {
    /// The schema that serves.
    pub serving: String,
    /// The schema that a swap before has kept.
    pub kept: Option<String>,
    /// The schema that is half built.
    pub building: Option<String>,
    /// How far the serving model is.
    pub position: u64,
    /// First and last position of INBOX_EVENTS.
    pub log: (u64, u64),
}

/// What is there now.
///
/// # Errors
/// When broker or Postgres do not answer.
pub async fn preview(place: &Place) -> Result<Preview, RebuildError> {
    let live = Live::look_at(place).await?;
    let position = live.position().await?;
    let kept = models::kept(&place.pool).await?.map(|schema| schema.to_string());
    let building = models::latest_building(&place.pool).await?.map(|schema| schema.to_string());
    let log = live.log().await?;
    Ok(Preview { log, serving: live.schema.to_string(), kept, building, position })
}

/// Works on a claimed job until it ends, and ends it.
///
/// # Errors
/// See [`RebuildError`]; the job can be resumed by the same words, unless an operator gave it up.
pub async fn work(
    place: &Place,
    plan: RebuildPlan,
    claim: &Claim,
    who: &str,
    stop: CancellationToken,
    show: Show<'_>,
) -> Result<Outcome, RebuildError> {
    let mut heart = Heartbeat::new(Some(claim), place.pool.clone(), stop, show);
    let worked = build_and_swap(place, plan, claim, who, &mut heart).await;
    let mut conn = place.pool.acquire().await?;
    match &worked {
        Ok(outcome) if outcome.swapped => drop_left(&place.pool).await?,
        // It waits for somebody to say --swap.
        Ok(_) | Err(RebuildError::Stopped(Wish::Pause) | RebuildError::Refused(_)) => {
            claim.end(&mut conn, JobState::Paused, None, None).await?;
        }
        Err(RebuildError::Stopped(Wish::Cancel)) => {
            if let Some(schema) = heart.schema().filter(|_| !plan.revert) {
                models::leave(&mut conn, schema).await?;
            }
            claim.end(&mut conn, JobState::Cancelled, None, None).await?;
            drop_left(&place.pool).await?;
        }
        Err(_) => {}
    }
    worked
}

async fn build_and_swap(
    place: &Place,
    plan: RebuildPlan,
    claim: &Claim,
    who: &str,
    heart: &mut Heartbeat<'_>,
) -> Result<Outcome, RebuildError> {
    let mut live = Live::find(place).await?;
    drop_left(&place.pool).await?;
    let schema = schema_of(place, plan, claim, &live).await?;
    heart.works_on(&schema);
    heart.beat("migrating").await?;
    let mut builder = Builder::open(place, &schema).await?;
    builder.same_stream(&live, plan.accept_loss).await?;
    let met = meet(place, &mut builder, &mut live, heart).await?;
    let reader = Reader::open(&place.pool).await?;
    let position = met.position;
    met.part().await?;
    let comparing = reader.compare(&live.schema, &schema);
    let comparison = heart.during("comparing", comparing).await?;
    let mut outcome = Outcome {
        served: live.schema.to_string(),
        schema: schema.to_string(),
        position,
        swapped: false,
        comparison,
    };
    if !plan.swap {
        return Ok(outcome);
    }
    if outcome.comparison.lost > 0 && !plan.accept_loss {
        let kept = outcome.comparison.lost_by_table();
        return Err(RebuildError::Refused(format!(
            "the new model lacks rows that the serving one has ({kept}): INBOX_EVENTS does not reach back to them, or they were never \
             events. Look at `hookline verify`; `--accept-loss` swaps nevertheless"
        )));
    }
    heart.during("making indexes", complete(place, &schema)).await?;
    heart.during("analysing", analyse(&place.pool, &schema)).await?;
    let served = live.schema.clone();
    let swap =
        Swap { served: &served, schema: &schema, claim, who, comparison: &outcome.comparison };
    outcome.position = swap_when_free(place, &mut builder, &mut live, heart, &swap).await?;
    outcome.swapped = true;
    Ok(outcome)
}

/// The schema that the job works on.
async fn schema_of(
    place: &Place,
    plan: RebuildPlan,
    claim: &Claim,
    live: &Live,
) -> Result<SchemaName, RebuildError> {
    if !plan.revert {
        return Ok(begin(&place.pool, &claim.job.id, &live.schema).await?);
    }
    models::kept(&place.pool).await?.ok_or_else(|| {
        let reason = "no model is kept from a swap: there is nothing to go back to";
        RebuildError::Refused(reason.to_owned())
    })
}

/// Makes the indexes that readers need.
async fn complete(place: &Place, schema: &SchemaName) -> sqlx::Result<()> {
    let mut tx = scope::begin(&place.pool, schema).await?;
    sqlx::query("set local statement_timeout = 0").execute(&mut *tx).await?;
    complete_indexes(&mut tx).await?;
    tx.commit().await
}

/// Swaps as soon as no reader holds the views; returns the position. What came in since the comparison is folded by both with the same
/// code; so the swap need not wait for another comparison.
async fn swap_when_free(
    place: &Place,
    builder: &mut Builder,
    live: &mut Live,
    heart: &mut Heartbeat<'_>,
    swap: &Swap<'_>,
) -> Result<u64, RebuildError> {
    let mut tries = 0;
    loop {
        let met = meet(place, builder, live, heart).await?;
        let position = met.position;
        match swap.carry_out(met).await {
            Ok(()) => return Ok(position),
            Err(RebuildError::Database(error)) if is_held_up(&error) => {
                tries += 1;
                if tries > SWAP_TRIES_MAX {
                    return Err(RebuildError::Refused(
                        "readers hold the views of schema `inbox` in long transactions: end those (pg_stat_activity), then the same words again"
                            .to_owned(),
                    ));
                }
                heart.beat("waiting for readers that hold the views").await?;
                tokio::time::sleep(SWAP_PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}
