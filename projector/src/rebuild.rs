//! A read model made again from the beginning of INBOX_EVENTS, beside the one that serves; compared; swapped in.
//!
//! The process of the verb folds, with the same code as the projector and into a schema of its own, never further than the serving model
//! has come. So both can be brought to one position for a moment, under the lock that every projector writes under: there they are
//! compared, and there the views change over. Nobody reads the new schema before, and the old one is kept for [`revert`](Plan::revert).
//!
//! Read in this order: [`live`], [`build`], [`compare`], then `swap`.

pub mod build;
pub mod compare;
pub mod live;
mod swap;

use ops::{BEAT, Beat, Claim, JobState, Wish};
use runtime::broker::Broker;
use serde::Serialize;
use serde_json::json;
use sqlx::PgPool;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use build::Builder;
use compare::Comparison;
use live::Live;

/// Where a rebuild works.
#[derive(Clone)]
pub struct Place {
    /// The broker with INBOX_EVENTS.
    pub broker: Broker,
    /// Postgres, where the read models are.
    pub pool: PgPool,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan {
    /// Let the new model serve in the end.
    pub swap: bool,
    /// Also where it lacks rows of the serving one.
    pub accept_loss: bool,
    /// Not a new model but the one kept by the last swap.
    pub revert: bool,
}

/// Why it did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// Going on could do harm.
    #[error("{0}")]
    Refused(String),
    /// The broker is away.
    #[error("{0}")]
    Unreachable(String),
    /// An operator wishes it, or the process is to stop.
    #[error("stopped")]
    Stopped(Wish),
    /// Somebody else works on the job.
    #[error("another process took the job over: watch that one")]
    Lost,
    /// Of the database.
    #[error("Postgres: {0}")]
    Database(#[from] sqlx::Error),
    /// Something else.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The schema that served.
    pub served: String,
    /// The schema that was built, or kept.
    pub schema: String,
    /// The position at which both were compared.
    pub position: u64,
    /// Whether the new one serves now.
    pub swapped: bool,
    /// How they differ: `expected` is the new one.
    #[serde(flatten)]
    pub comparison: Comparison,
}

/// How far it is.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The position it has come to.
    pub position: u64,
    /// The position to come to.
    pub target: u64,
    /// What it does now.
    pub doing: &'a str,
}

/// Shows how far it is.
pub type Show<'a> = Box<dyn FnMut(Seen<'_>) + Send + 'a>;

/// What keeps the work in step with its operator: the claim on the job, wishes, the rate, and what is shown.
pub struct Pace<'a> {
    claim: Option<&'a Claim>,
    pool: PgPool,
    stop: CancellationToken,
    show: Show<'a>,
    schema: String,
    position: u64,
    target: u64,
    beaten: Option<Instant>,
    rate: Option<f64>,
}

impl<'a> Pace<'a> {
    /// `claim`: the job, where there is one.
    pub fn new(
        claim: Option<&'a Claim>,
        pool: PgPool,
        stop: CancellationToken,
        show: Show<'a>,
    ) -> Self {
        let rate = claim.and_then(|claim| claim.job.rate);
        let schema = String::new();
        Self { claim, pool, stop, show, schema, position: 0, target: 0, beaten: None, rate }
    }

    fn at(&mut self, position: u64, target: u64) {
        (self.position, self.target) = (position, target);
    }

    /// Events per second at most.
    const fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// Renews the claim, shows how far it is, and looks for wishes, where it is time to.
    ///
    /// # Errors
    /// When it is to stop.
    pub async fn beat(&mut self, doing: &str) -> Result<(), RebuildError> {
        if self.stop.is_cancelled() {
            return Err(RebuildError::Stopped(Wish::Pause));
        }
        (self.show)(Seen { position: self.position, target: self.target, doing });
        if self.beaten.is_some_and(|beaten| beaten.elapsed() < BEAT) {
            return Ok(());
        }
        self.beaten = Some(Instant::now());
        let Some(claim) = self.claim else { return Ok(()) };
        match claim.beat().await? {
            Beat::Go { rate } => self.rate = rate,
            Beat::Stop(wish) => return Err(RebuildError::Stopped(wish)),
            Beat::Lost => return Err(RebuildError::Lost),
        }
        let mut conn = self.pool.acquire().await?;
        let progress = json!({
            "schema": self.schema, "position": self.position, "target": self.target, "doing": doing,
        });
        if claim.save(&mut conn, &progress).await? { Ok(()) } else { Err(RebuildError::Lost) }
    }

    /// Does something that takes long and shows nothing by itself.
    pub(crate) async fn during<T, E: Into<RebuildError>>(
        &mut self,
        doing: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, RebuildError> {
        let mut work = std::pin::pin!(work);
        loop {
            self.beat(doing).await?;
            tokio::select! {
                done = &mut work => return done.map_err(Into::into),
                () = tokio::time::sleep(BEAT) => {}
            }
        }
    }
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
    let live = Live::find(place).await?;
    let position = live.position().await?;
    let [kept, building] =
        [live::model(&place.pool, "kept").await?, live::model(&place.pool, "building").await?];
    Ok(Preview { log: live.log().await?, serving: live.schema, kept, building, position })
}

/// Works on a claimed job until it ends, and ends it.
///
/// # Errors
/// See [`RebuildError`]; the job can be resumed by the same words, unless an operator gave it up.
pub async fn work(
    place: &Place,
    plan: Plan,
    claim: &Claim,
    who: &str,
    stop: CancellationToken,
    show: Show<'_>,
) -> Result<Outcome, RebuildError> {
    let mut pace = Pace::new(Some(claim), place.pool.clone(), stop, show);
    let worked = build_and_swap(place, plan, claim, who, &mut pace).await;
    let mut conn = place.pool.acquire().await?;
    match &worked {
        Ok(outcome) if outcome.swapped => swap::drop_left(&place.pool).await?,
        // It waits for somebody to say --swap.
        Ok(_) | Err(RebuildError::Stopped(Wish::Pause) | RebuildError::Refused(_)) => {
            claim.end(&mut conn, JobState::Paused, None, None).await?;
        }
        Err(RebuildError::Stopped(Wish::Cancel)) => {
            if !plan.revert {
                swap::leave(&mut conn, &pace.schema).await?;
            }
            claim.end(&mut conn, JobState::Cancelled, None, None).await?;
            swap::drop_left(&place.pool).await?;
        }
        Err(_) => {}
    }
    worked
}

async fn build_and_swap(
    place: &Place,
    plan: Plan,
    claim: &Claim,
    who: &str,
    pace: &mut Pace<'_>,
) -> Result<Outcome, RebuildError> {
    let mut live = Live::find(place).await?;
    swap::drop_left(&place.pool).await?;
    let schema = if plan.revert {
        live::model(&place.pool, "kept").await?.ok_or_else(|| {
            RebuildError::Refused(
                "no model is kept from a swap: there is nothing to go back to".to_owned(),
            )
        })?
    } else {
        swap::fresh(&place.pool, &claim.job.id, &live.schema).await?
    };
    pace.schema.clone_from(&schema);
    pace.beat("migrating").await?;
    let mut builder = Builder::open(place, &schema).await?;
    builder.same_stream(&live).await?;
    let mut tries = 0;
    {
        let met = build::meet(place, &mut builder, &mut live, pace).await?;
        let reader = compare::Reader::open(&place.pool).await?;
        let position = met.position;
        met.part().await?;
        let comparing = reader.compare(&live.schema, &schema);
        let comparison = pace.during("comparing", comparing).await?;
        let mut outcome = Outcome {
            served: live.schema.clone(),
            schema: schema.clone(),
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
        // Without statistics every reader would get plans for empty tables.
        pace.during("analysing", swap::analyse(&place.pool, &schema)).await?;
        // What came in since the comparison is folded by both with the same code; so the swap need not wait for another one.
        loop {
            let met = build::meet(place, &mut builder, &mut live, pace).await?;
            outcome.position = met.position;
            match swap::swap(met, &live.schema, &schema, claim, who, &outcome).await {
                Ok(()) => {
                    outcome.swapped = true;
                    return Ok(outcome);
                }
                Err(RebuildError::Database(error)) if swap::held_up(&error) => {
                    tries += 1;
                    if tries > swap::TRIES_MAX {
                        return Err(RebuildError::Refused(
                            "readers hold the views of schema `inbox` in long transactions: end those (pg_stat_activity), then the same words again"
                                .to_owned(),
                        ));
                    }
                    pace.beat("waiting for readers that hold the views").await?;
                    tokio::time::sleep(swap::PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}
