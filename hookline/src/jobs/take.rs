//! Takes a job to work on it, as `replay` and `rebuild` do.

use std::time::{Duration, Instant};

use ops::{CLAIM, Claim, Job, JobState, Ops};
use tokio_util::sync::CancellationToken;

use crate::exit::Failure;
use crate::output::note;

/// Claims a job; `there`: it existed before. Waits until the claim of a process that died lapses, and says so on standard error.
///
/// # Errors
/// Exit code 3 where another process works on it, or it has ended meanwhile.
pub(crate) async fn take(
    ops: &Ops,
    job: &Job,
    there: bool,
    stop: &CancellationToken,
) -> anyhow::Result<Claim> {
    if there {
        note(format!("Goes on with job {} of {}.", job.id, job.created_at));
    }
    let owner = format!("operator-{}-{:016x}", std::process::id(), rand::random::<u64>());
    let began = Instant::now();
    let mut said = false;
    loop {
        if let Some(claim) = ops.claim(&job.id, &owner).await? {
            return Ok(claim);
        }
        let now = ops.job(&job.id).await?;
        if !now.is_some_and(|job| matches!(job.state, JobState::Running | JobState::Paused)) {
            return Err(Failure::refused(format!("job {} has ended meanwhile", job.id)));
        }
        if began.elapsed() > CLAIM.get() * 3 / 2 || stop.is_cancelled() {
            return Err(Failure::refused(format!(
                "another process works on job {}: watch or stop that one",
                job.id
            )));
        }
        if !std::mem::replace(&mut said, true) {
            note(format!(
                "Job {} is held by another process; its claim lapses within {} s where that one died.",
                job.id,
                CLAIM.get().as_secs()
            ));
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
