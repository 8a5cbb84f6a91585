//! Tries parked work in steps: one, ten, the rest in parts. Workers carry out lanes of the normaliser; events of the projector are folded here.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use projector::redrive::{Again, Redrive};
use runtime::waits::REDRIVE_PROGRESS;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use worker::inbound::parked::{self, LaneHead};

use super::choose::steps;
use crate::exit::{Exit, Failure};
use crate::read_model::failure;

/// How often it is looked how far the workers have come.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How the last step ended.
#[derive(Clone, Copy)]
pub(crate) enum End {
    Released,
    FailedAgain { failed: usize, of: usize },
    NothingHappens,
    Interrupted,
}

/// The work of one stage after the last step that was tried.
pub(crate) struct Tried {
    pub(crate) end: End,
    pub(crate) total: usize,
    /// Not tried.
    pub(crate) left: usize,
    /// Why it ended early.
    pub(crate) error: Option<anyhow::Error>,
}

impl Tried {
    /// All of it was released, so far.
    pub(crate) const fn all(total: usize) -> Self {
        Self { end: End::Released, total, left: total, error: None }
    }

    pub(crate) const fn released(&self) -> bool {
        matches!(self.end, End::Released)
    }

    pub(crate) fn as_json(&self, unit: &str) -> Value {
        let (word, failed) = match self.end {
            End::Released => ("released", 0),
            End::FailedAgain { failed, .. } => ("failed_again", failed),
            End::NothingHappens => ("nothing_happens", 0),
            End::Interrupted => ("interrupted", 0),
        };
        json!({"result": word, unit: self.total, "failed_again": failed, "not_tried": self.left})
    }

    pub(crate) fn text(&self, unit: &str) -> String {
        match self.end {
            End::Released => format!("Released {} {unit}.", self.total),
            End::FailedAgain { failed, of } => format!(
                "Stopped: {failed} of {of} {unit} of this step failed again, {} were not tried. `hookline redrive list` has the causes.",
                self.left
            ),
            End::NothingHappens => {
                "Stopped: nothing happens. Does a worker run, with its broker? `hookline status` shows it."
                    .to_owned()
            }
            End::Interrupted => {
                format!("Interrupted: {} {unit} were not tried. Run the same command again to continue.", self.left)
            }
        }
    }
}

/// Gets the number of items that are done, whenever it changes.
pub(crate) type Seen<'a> = &'a mut (dyn FnMut(u64) + Send);

/// Lets lanes of the normaliser go.
pub(crate) async fn lanes(
    pool: &PgPool,
    lanes: &[String],
    stop: &CancellationToken,
    seen: Seen<'_>,
) -> Tried {
    let mut tried = Tried::all(lanes.len());
    for now in steps(lanes) {
        let step = tokio::select! {
            end = step(pool, now, lanes.len() - tried.left, seen) => end,
            () = stop.cancelled() => Err(stopped()),
        };
        tried.left -= now.len();
        tried.end = step.unwrap_or_else(|error| {
            tried.error = Some(error);
            End::Interrupted
        });
        if !tried.released() {
            break;
        }
    }
    tried
}

/// Lets these lanes go and watches until all are gone, one failed again, or nothing has moved for a while: a lane with many rows takes its time.
async fn step(
    pool: &PgPool,
    now: &[String],
    before_this: usize,
    seen: Seen<'_>,
) -> anyhow::Result<End> {
    let before = heads(pool, now).await?;
    parked::retry_now(pool, now).await?;
    let (mut last, mut moved) = (before.clone(), Instant::now());
    loop {
        let after = heads(pool, now).await?;
        let again = |lane: &&String| match (before.get(*lane), after.get(*lane)) {
            (Some(before), Some(after)) if before.id == after.id => {
                after.attempts > before.attempts
            }
            // The first row was released, and the next one failed.
            (_, Some(after)) => after.attempts > 0,
            (_, None) => false,
        };
        let failed = now.iter().filter(again).count();
        let gone = now.len() - after.len();
        seen((before_this + gone) as u64);
        if failed > 0 {
            return Ok(End::FailedAgain { failed, of: now.len() });
        }
        if gone == now.len() {
            return Ok(End::Released);
        }
        if after != last {
            (last, moved) = (after, Instant::now());
        }
        if moved.elapsed() > REDRIVE_PROGRESS.get() {
            return Ok(End::NothingHappens);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The first row of each lane that still waits.
async fn heads(pool: &PgPool, lanes: &[String]) -> anyhow::Result<BTreeMap<String, LaneHead>> {
    let heads = parked::heads(pool, lanes).await?;
    Ok(heads.into_iter().map(|head| (head.lane.clone(), head)).collect())
}

fn stopped() -> anyhow::Error {
    Failure {
        exit: Exit::SomeFailed,
        message: "stopped; run the same command again to continue".to_owned(),
    }
    .into()
}

/// Folds events of the projector, each in its own transaction.
pub(crate) async fn events(
    projector: &mut Redrive,
    events: &[i64],
    stop: &CancellationToken,
    seen: Seen<'_>,
) -> Tried {
    let mut tried = Tried::all(events.len());
    for now in steps(events) {
        let mut failed = 0;
        for seq in now {
            let one = tokio::select! {
                one = projector.one(*seq) => one.map_err(|error| failure(error, None)),
                () = stop.cancelled() => Err(stopped()),
            };
            match one {
                // Gone: somebody else folded it, or gave it up.
                Ok(Again::Folded | Again::Gone) => {}
                Ok(Again::Failed(_)) => failed += 1,
                Err(error) => {
                    (tried.end, tried.error) = (End::Interrupted, Some(error));
                    return tried;
                }
            }
            tried.left -= 1;
            seen((tried.total - tried.left) as u64);
        }
        if failed > 0 {
            tried.end = End::FailedAgain { failed, of: now.len() };
            break;
        }
    }
    tried
}
