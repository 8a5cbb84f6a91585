//! Pauses, resumes and cancels a job, and records who wished it.

use ops::{Act, Job, JobWish, Ops, Wish};
use serde_json::{Value, json};

use crate::exit::Failure;

/// The verb.
pub(crate) const fn verb(wish: JobWish) -> &'static str {
    match wish {
        JobWish::Pause => "jobs pause",
        JobWish::Resume => "jobs resume",
        JobWish::Cancel => "jobs cancel",
    }
}

/// Asks whoever works on the job; one that nobody holds obeys at once.
///
/// # Errors
/// Exit code 3 for a job that has ended, or that the role `ops` cannot resume; `sqlx::Error`, call again.
pub(crate) async fn wish(
    ops: &Ops,
    job: &Job,
    wish: JobWish,
    who: &str,
    reason: Option<&str>,
) -> anyhow::Result<()> {
    match wish {
        JobWish::Resume if !job.is_of_role() => {
            return Err(Failure::refused(format!(
                "job {} is carried out by the process of its verb: `hookline jobs resume {0}` prints the command",
                job.id
            )));
        }
        JobWish::Resume => {
            if !ops.resume(&job.id).await? {
                return Err(Failure::refused(format!("job {} is not paused", job.id)));
            }
        }
        JobWish::Pause | JobWish::Cancel => {
            let asked = if wish == JobWish::Pause { Wish::Pause } else { Wish::Cancel };
            if !ops.wish(&job.id, asked).await? {
                return Err(ended(job));
            }
        }
    }
    record(ops, verb(wish), job, who, reason, json!({"held": job.held})).await
}

/// Exit code 3.
pub(super) fn ended(job: &Job) -> anyhow::Error {
    Failure::refused(format!("job {} has ended: {}", job.id, job.state.as_str()))
}

/// Records what was done to a job.
///
/// # Errors
/// `sqlx::Error`; what was done is not undone, only its record is missing.
pub(super) async fn record(
    ops: &Ops,
    verb: &str,
    job: &Job,
    who: &str,
    reason: Option<&str>,
    result: Value,
) -> anyhow::Result<()> {
    let arguments = json!({"job": job.id});
    let act = Act { who, verb, arguments, reason, job: Some(&job.id), result: Some(result) };
    Ok(ops.record(act).await?)
}
