//! Trying parked work again, a little at first. Workers carry out what the normaliser parked; what the projector set aside is folded here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use clap::Args;
use projector::redrive::{Again, Redrive};
use runtime::config::Settings;
use schemas::Kind;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use worker::inbound::parked::{self, Parked};

use super::{LIST_MAX, Stage};
use crate::cli::How;
use crate::exit::{Exit, Failure, Output, say};
use crate::progress::Progress;
use crate::rebuild::{failure, place};
use crate::who::record;

/// How long a step of the workers may take before the verb gives up watching.
const STEP_WITHIN: Duration = Duration::from_secs(60);
/// How much a step has at most: a canary, a few, the rest.
const STEPS: [usize; 3] = [1, 10, usize::MAX];

/// What to try again.
#[derive(Debug, Args)]
pub struct Words {
    /// Only what failed by this cause; the projector's deletions go along
    #[arg(long)]
    cause: Option<String>,
    /// Only this lane of the normaliser
    #[arg(long)]
    lane: Option<String>,
    /// Only what this stage parked
    #[arg(long, value_enum)]
    stage: Option<Stage>,
    #[command(flatten)]
    how: How,
}

impl Words {
    fn of(&self, stage: Stage) -> bool {
        self.stage.is_none_or(|wanted| wanted == stage)
    }
}

/// How what was tried came out.
#[derive(Clone, Copy)]
enum End {
    Released,
    FailedAgain { failed: usize, of: usize },
    NothingHappens,
    Interrupted,
}

/// The work of one stage after the last step that was tried.
struct Tried {
    end: End,
    total: usize,
    left: usize,
    /// Why it ended early.
    error: Option<anyhow::Error>,
}

impl Tried {
    const fn all(total: usize) -> Self {
        Self { end: End::Released, total, left: total, error: None }
    }

    const fn released(&self) -> bool {
        matches!(self.end, End::Released)
    }

    fn as_json(&self, unit: &str) -> Value {
        let (word, failed) = match self.end {
            End::Released => ("released", 0),
            End::FailedAgain { failed, .. } => ("failed_again", failed),
            End::NothingHappens => ("nothing_happens", 0),
            End::Interrupted => ("interrupted", 0),
        };
        json!({"result": word, unit: self.total, "failed_again": failed, "not_tried": self.left})
    }

    fn text(&self, unit: &str) -> String {
        match self.end {
            End::Released => format!("Released {} {unit}.", self.total),
            End::FailedAgain { failed, of } => format!(
                "Stopped: {failed} of {of} {unit} of this step failed again, {} were not tried. `hookline redrive list` has the causes.",
                self.left
            ),
            End::NothingHappens => {
                "Stopped: nothing happens. Does a worker run, with its broker? `hookline status` tells."
                    .to_owned()
            }
            End::Interrupted => {
                format!("Interrupted: {} {unit} were not tried. The same words go on.", self.left)
            }
        }
    }
}

/// Carries it out.
///
/// # Errors
/// Exit code 2 for words that contradict each other, 4 where something does not answer.
pub(super) async fn run(pool: &PgPool, words: &Words, settings: &Settings) -> anyhow::Result<Exit> {
    if words.lane.is_some() && words.stage == Some(Stage::Projector) {
        return Err(Failure::usage("--lane: only the normaliser has lanes"));
    }
    let lanes = if words.of(Stage::Normalize) {
        lanes(&parked::list(pool, LIST_MAX).await?, words)
    } else {
        Vec::new()
    };
    let events = if words.of(Stage::Projector) && words.lane.is_none() {
        events(projector::parked::list(pool, LIST_MAX).await?, words)
    } else {
        Vec::new()
    };
    if words.how.dry_run {
        match words.how.output {
            Output::Json => {
                say(json!({"lanes": lanes.len(), "events": events.len(), "dry_run": true}));
            }
            Output::Table => say(format!(
                "Would try {} lanes and {} events of the projector: of each first 1, then 10, then the rest.",
                lanes.len(),
                events.len()
            )),
        }
        return Ok(Exit::Done);
    }
    // Asked before anything is let go: without a broker there is nothing to be had from the workers either.
    let stop = runtime::shutdown::on_signal()?;
    let mut projector = match events.as_slice() {
        [] => None,
        _ => {
            let place = place(settings, stop.clone()).await?;
            Some(Redrive::open(&place).await.map_err(|error| failure(error, None))?)
        }
    };
    let reason = words.how.reason.as_deref();
    let arguments = json!({
        "cause": words.cause, "lane": words.lane, "lanes": lanes.len(), "events": events.len(),
    });
    // Recorded before: whoever kills this has let work go all the same.
    record(pool, "redrive run", arguments.clone(), reason, json!("begun")).await?;
    let mut normalize = let_go(pool, &lanes, &stop).await;
    let mut project = match &mut projector {
        Some(projector) if normalize.error.is_none() => fold(projector, &events, &stop).await,
        Some(_) => Tried { end: End::Interrupted, ..Tried::all(events.len()) },
        None => Tried::all(0),
    };
    let mut result = normalize.as_json("lanes");
    result["projector"] = project.as_json("events");
    let recorded = record(pool, "redrive run", arguments, reason, result.clone()).await;
    match words.how.output {
        Output::Json => say(result),
        Output::Table => {
            if words.of(Stage::Normalize) {
                say(normalize.text("lanes"));
            }
            if project.total > 0 || words.stage == Some(Stage::Projector) {
                say(project.text("events of the projector"));
            }
        }
    }
    if let Some(error) = normalize.error.take().or(project.error.take()) {
        return Err(error);
    }
    recorded?;
    let all = normalize.released() && project.released();
    Ok(if all { Exit::Done } else { Exit::SomeFailed })
}

/// The events to try: those that take something away first, so that nothing shows that was unsent or withdrawn, then oldest first.
fn events(mut aside: Vec<projector::parked::Parked>, words: &Words) -> Vec<i64> {
    let takes_away = |event: &projector::parked::Parked| {
        let kind = event.kind.as_deref().and_then(|kind| kind.parse().ok());
        matches!(kind, Some(Kind::FactWithdrawn | Kind::MessageDeleted | Kind::CommentDeleted))
    };
    let by = |event: &projector::parked::Parked| {
        words.cause.as_ref().is_none_or(|cause| event.cause == *cause)
    };
    if aside.iter().any(by) {
        aside.retain(|event| by(event) || takes_away(event));
    } else {
        aside.clear();
    }
    aside.sort_by_key(|event| (!takes_away(event), event.seq));
    aside.into_iter().map(|event| event.seq).collect()
}

/// The lanes to try, oldest first.
fn lanes(rows: &[Parked], words: &Words) -> Vec<String> {
    let mut seen = BTreeSet::new();
    rows.iter()
        // The first row of each lane, as the list is ordered.
        .filter(|row| seen.insert(row.lane.clone()))
        .filter(|row| {
            words.cause.as_ref().is_none_or(|cause| row.cause == *cause)
                && words.lane.as_ref().is_none_or(|lane| row.lane == *lane)
        })
        .map(|row| row.lane.clone())
        .collect()
}

async fn let_go(pool: &PgPool, lanes: &[String], stop: &CancellationToken) -> Tried {
    let mut tried = Tried::all(lanes.len());
    let mut progress = Progress::new("redrive", "lanes", Some(lanes.len() as u64));
    let mut rest = lanes;
    for most in STEPS {
        let (now, later) = rest.split_at(most.min(rest.len()));
        if now.is_empty() {
            break;
        }
        let step = tokio::select! {
            end = step(pool, now, lanes.len() - rest.len(), &mut progress) => end,
            () = stop.cancelled() => Err(stopped()),
        };
        (rest, tried.left) = (later, later.len());
        tried.end = step.unwrap_or_else(|error| {
            tried.error = Some(error);
            End::Interrupted
        });
        if !tried.released() {
            break;
        }
    }
    progress.end();
    tried
}

/// Lets these lanes go and watches until all are gone, or one failed again.
async fn step(
    pool: &PgPool,
    now: &[String],
    before_this: usize,
    progress: &mut Progress,
) -> anyhow::Result<End> {
    let before = attempts(pool, now).await?;
    parked::retry_now(pool, now).await?;
    let began = Instant::now();
    loop {
        let after = attempts(pool, now).await?;
        let again = |lane: &&String| match (before.get(*lane), after.get(*lane)) {
            (Some(before), Some(after)) if before.0 == after.0 => after.1 > before.1,
            // The first row went, and the next one failed.
            (_, Some(after)) => after.1 > 0,
            (_, None) => false,
        };
        let failed = now.iter().filter(again).count();
        let gone = now.iter().filter(|lane| !after.contains_key(*lane)).count();
        progress.at((before_this + gone) as u64, "");
        if failed > 0 {
            return Ok(End::FailedAgain { failed, of: now.len() });
        }
        if gone == now.len() {
            return Ok(End::Released);
        }
        if began.elapsed() > STEP_WITHIN {
            return Ok(End::NothingHappens);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Row number and tries of the first row of each lane that still waits.
async fn attempts(pool: &PgPool, lanes: &[String]) -> anyhow::Result<BTreeMap<String, (i64, i32)>> {
    let mut found = BTreeMap::new();
    for row in parked::list(pool, LIST_MAX).await? {
        if lanes.contains(&row.lane) {
            found.entry(row.lane).or_insert((row.id, row.attempts));
        }
    }
    Ok(found)
}

fn stopped() -> anyhow::Error {
    Failure { exit: Exit::SomeFailed, message: "stopped; the same words go on".to_owned() }.into()
}

/// Folds these events, each in its own transaction.
async fn fold(projector: &mut Redrive, events: &[i64], stop: &CancellationToken) -> Tried {
    let mut tried = Tried::all(events.len());
    let mut progress = Progress::new("redrive", "events", Some(events.len() as u64));
    let mut rest = events;
    for most in STEPS {
        let (now, later) = rest.split_at(most.min(rest.len()));
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
                    progress.end();
                    return tried;
                }
            }
            tried.left -= 1;
            progress.at((tried.total - tried.left) as u64, "");
        }
        rest = later;
        if failed > 0 {
            tried.end = End::FailedAgain { failed, of: now.len() };
            break;
        }
    }
    progress.end();
    tried
}

#[cfg(test)]
mod tests {
    use schemas::Timestamp;

    use super::*;

    #[test]
    fn deletions_are_tried_first_and_go_along_with_any_cause() {
        let aside = |seq: i64, kind: &str, cause: &str| projector::parked::Parked {
            stage: "projector",
            seq,
            event_id: None,
            kind: Some(kind.to_owned()),
            cause: cause.to_owned(),
            detail: String::new(),
            parked_at: Timestamp::from_millis(0),
        };
        let all = || {
            vec![
                aside(1, "message.received", "not_storable"),
                aside(2, "message.deleted", "fold_failed"),
                aside(3, "message.received", "fold_failed"),
                aside(4, "fact.withdrawn", "not_storable"),
            ]
        };
        let words = |cause: Option<&str>| Words {
            cause: cause.map(ToOwned::to_owned),
            lane: None,
            stage: None,
            how: How { reason: None, dry_run: false, output: Output::Json },
        };
        assert_eq!(events(all(), &words(None)), [2, 4, 1, 3]);
        assert_eq!(events(all(), &words(Some("not_storable"))), [2, 4, 1]);
        assert!(events(all(), &words(Some("split_failed"))).is_empty());
    }
}
