//! The second pass: publishes the difference, and remembers how far it is in the transaction of the facts.

use futures::future::LocalBoxFuture;
use ops::Claim;

use super::outlet::Outlet;
use super::plan::PlannedReplay;
use super::reader::Replay;
use super::tally::Tally;
use super::work::{At, Work};

pub use super::progress::{ApplyOptions, Ended, Progress};

impl Replay {
    /// Works on a claimed job to its end, or until an operator wishes otherwise. `at` is called with how many positions are done, and
    /// why it waits.
    ///
    /// # Errors
    /// When the broker or Postgres stays away; the job can be resumed.
    pub fn apply<'a>(
        &'a self,
        claim: &'a Claim,
        progress: Progress,
        planned: &'a PlannedReplay,
        options: &'a ApplyOptions,
        at: At<'a>,
    ) -> LocalBoxFuture<'a, anyhow::Result<(Ended, Tally)>> {
        Box::pin(async move {
            let job = claim.job.id.as_str();
            // From here on there is no way to publish without saying that it is a replay.
            let replay = Self {
                broker: self.broker.clone(),
                facts: self.facts.replaying(job),
                twin_grace: self.twin_grace,
                scope: self.scope.clone(),
            };
            let outlet = Outlet::new(&self.broker, options.target.clone(), job);
            let directory = self.directory().await?;
            let mut work = Work::new(&replay, claim, options, outlet, progress, directory);
            let ended = work.run(planned, at).await?;
            Ok((ended, work.into_tally()))
        })
    }
}
