//! Taking in every command that is there by now, for a ledger that is filled again: by the intake's own steps, without a worker.

use facts::regain::Halted;
use runtime::follow::{Follower, Reader, Taken, stored};
use schemas::subjects::{COMMAND_ALL, INBOX_COMMANDS};

use super::{BATCH, Batches, Commands, NAME};

/// A worker has the lease, or took it.
const HELD: &str = "a worker takes in commands: stop all workers, then run the same command again";

impl Commands {
    /// Accepts all commands that are there, from the stored position on. `show` is called with the position that was reached.
    ///
    /// # Errors
    /// Database or broker failed, or a worker runs: call again, it goes on where it stopped.
    pub(crate) async fn accept_all(
        &self,
        show: &mut (dyn FnMut(u64) + Send),
    ) -> anyhow::Result<()> {
        let last = stored::last(self.broker.js(), INBOX_COMMANDS, COMMAND_ALL).await?;
        let Some(end) = last.map(|last| last.sequence) else { return Ok(()) };
        let lease = self.leases.acquire(NAME).await?.ok_or(Halted(HELD))?;
        let mut batches = Batches::new(self.clone(), lease);
        let position = batches.position().await?;
        let mut follower =
            Follower::new(self.broker.clone(), INBOX_COMMANDS, COMMAND_ALL, position);
        while let Some(batch) = follower.next_up_to(end, BATCH).await? {
            if !self.leases.renew(&batches.lease).await? {
                return Err(Halted(HELD).into());
            }
            let Some(last) = batch.last() else { break };
            let to = last.position(follower.era());
            if batches.take(&batch, batches.position, to).await? == Taken::Lost {
                return Err(Halted(HELD).into());
            }
            show(to.seq);
        }
        let _ = self.leases.release(&batches.lease).await;
        Ok(())
    }
}
