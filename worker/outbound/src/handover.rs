//! From the intake to the sender of the same process: commands that were accepted just now and are first in their lanes. The sender need
//! not look for them.
//!
//! Nothing depends on it. What is not handed over, or was and could not be claimed, is found by the next look at the ledger.

use tokio::sync::mpsc;

use crate::ledger::queue::DueRow;

/// Batches that wait at most: beyond, the sender has enough to do, and the senders of other processes are woken instead.
const BATCHES: usize = 4;

/// The intake's end.
#[derive(Clone)]
pub struct Handover {
    batches: mpsc::Sender<Vec<DueRow>>,
}

/// The sender's end.
pub struct HandedOver {
    batches: mpsc::Receiver<Vec<DueRow>>,
}

/// Room for one batch. Dropped, nothing is handed over.
pub(crate) struct Room<'a> {
    permit: mpsc::Permit<'a, Vec<DueRow>>,
}

/// Both ends.
pub fn handover() -> (Handover, HandedOver) {
    let (sender, batches) = mpsc::channel(BATCHES);
    (Handover { batches: sender }, HandedOver { batches })
}

impl Handover {
    /// Room for one batch. `None`: the sender is busy, or there is none.
    pub(crate) fn room(&self) -> Option<Room<'_>> {
        self.batches.try_reserve().ok().map(|permit| Room { permit })
    }
}

impl Room<'_> {
    /// Hands over commands whose transaction is committed.
    pub(crate) fn hand_over(self, commands: Vec<DueRow>) {
        self.permit.send(commands);
    }
}

impl HandedOver {
    /// The next batch; never, once the intake has ended.
    pub(crate) async fn next(&mut self) -> Vec<DueRow> {
        match self.batches.recv().await {
            Some(batch) => batch,
            None => std::future::pending().await,
        }
    }
}
