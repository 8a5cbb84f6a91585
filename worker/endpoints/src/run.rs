//! One lane of a batch that was just read: its events are delivered in order until one fails, or until the batch waits no longer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::item::Item;
use crate::shared::{Ended, Shared};
use crate::store::NewLane;

/// An event under way when its batch is committed is tried again after so long, should this process die before it ends.
const UNDER_WAY: Duration = Duration::from_secs(20);

/// Whether the batch was committed; `None`: not yet. A sender that is gone means that it was not.
pub(crate) type Committed = watch::Receiver<Option<bool>>;

#[derive(Debug, Default)]
struct Progress {
    /// So many are delivered.
    done: usize,
    /// The next one is being delivered.
    under_way: bool,
    failed: Option<Ended>,
    /// Nothing more is begun: the rest is held.
    cut: bool,
}

/// A lane of a batch.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) items: Vec<Item>,
    progress: Mutex<Progress>,
}

/// What a lane leaves for the queue.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) items: Vec<Item>,
    pub(crate) lane: NewLane,
}

impl Run {
    pub(crate) fn new(items: Vec<Item>) -> Self {
        Self { items, progress: Mutex::default() }
    }

    pub(crate) fn lane(&self) -> &str {
        self.items.first().map_or("", |item| item.lane.as_str())
    }

    fn with<T>(&self, change: impl FnOnce(&mut Progress) -> T) -> T {
        change(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends the lane's part in the batch. `None`: all is delivered.
    pub(crate) fn cut(&self) -> Option<Left> {
        let lane = |attempts, retry_in, error| NewLane {
            lane: self.lane().to_owned(),
            attempts,
            retry_in,
            error,
        };
        self.with(|progress| {
            progress.cut = true;
            let items = self.items[progress.done..].to_vec();
            if items.is_empty() {
                return None;
            }
            let lane = match &progress.failed {
                Some(ended) => lane(1, ended.retry_in(1), Some(ended.outcome.in_words())),
                None if progress.under_way => lane(0, UNDER_WAY, None),
                None => lane(0, Duration::ZERO, None),
            };
            Some(Left { items, lane })
        })
    }

    /// Delivers. The lane is busy until this returns.
    pub(crate) async fn go(
        self: Arc<Self>,
        shared: Arc<Shared>,
        mut committed: Committed,
        ended: mpsc::UnboundedSender<()>,
    ) {
        let late = self.deliver(&shared, &mut committed.clone()).await;
        // Whoever waits for the batch waits no longer for this lane.
        let _ = ended.send(());
        drop(ended);
        if let Some((item, end)) = late {
            let outcome = committed.wait_for(Option::is_some).await.map(|is| is.unwrap_or(false));
            // Where it was not, the event is read again: delivered, it is known to be; not delivered, it is tried again.
            if outcome.unwrap_or(false) || end.is_delivered() {
                shared.settle(&item.lane, item.sequence, &end, 0).await;
            }
        }
        let is_left = self.with(|progress| progress.done < self.items.len());
        shared.leave_lane(self.lane(), is_left);
    }

    /// Returns the event that ended after the batch was cut.
    async fn deliver(&self, shared: &Shared, committed: &mut Committed) -> Option<(&Item, Ended)> {
        let _permit = tokio::select! {
            permit = shared.direct.acquire() => permit.ok()?,
            // Its turn did not come in time: the queue has it.
            _ = committed.wait_for(Option::is_some) => return None,
        };
        for item in &self.items {
            let begins = self.with(|progress| {
                progress.under_way = !progress.cut;
                progress.under_way
            });
            if !begins {
                return None;
            }
            let end = shared.deliver(&item.webhook_id, &item.body).await;
            if end.is_some_and(|end| end.is_delivered()) {
                shared.note_delivered(item.sequence);
            }
            let cut = self.with(|progress| {
                progress.under_way = false;
                if !progress.cut {
                    match end {
                        Some(end) if end.is_delivered() => progress.done += 1,
                        end => progress.failed = end,
                    }
                }
                progress.cut
            });
            match end {
                Some(end) if cut => return Some((item, end)),
                Some(end) if end.is_delivered() => {}
                _ => return None,
            }
        }
        None
    }
}
