//! The reader of INBOX_EVENTS for one endpoint. What is delivered at once leaves no trace but the position; what fails, or takes longer than a
//! batch waits, is held with its lane, and the others go on.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use facts::eras;
use runtime::follow::{Reader, Received, StreamRecreated, Taken};
use runtime::lease::{Lease, Position};
use runtime::streams::StreamName;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::breaker::{State, Turn};
use crate::item::{self, Item, by_lane};
use crate::run::{Left, Run};
use crate::shared::{Shared, Tasks};
use crate::store::NewLane;

/// A batch waits so long for its requests.
const WAITS: Duration = Duration::from_millis(500);
/// Most events that are held for one endpoint; then its position stands.
const HELD_MAX: i64 = 5_000;
/// A request that looks whether the endpoint works again is given up so long after the stop of the process.
const STOPS_WITHIN: Duration = Duration::from_secs(5);
/// Looks so often whether the endpoint works again.
const LOOK: Duration = Duration::from_millis(200);
/// So long one call waits for it; then the lag is reported and it is called again.
const LOOKS_FOR: Duration = Duration::from_secs(5);

/// Why events cannot be taken now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotTaken {
    /// The endpoint is failing, or has as many held events as it may have.
    #[error("the endpoint does not take events now")]
    Waits,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Reads for one endpoint.
pub(crate) struct Batches {
    pub(crate) shared: Arc<Shared>,
    pub(crate) tasks: Tasks,
    pub(crate) lease: Lease,
    /// The definition changed, the endpoint is disabled, or the lease is over.
    pub(crate) stop: CancellationToken,
    pub(crate) looks: usize,
}

impl Reader for Batches {
    type Error = NotTaken;

    async fn position(&mut self) -> Result<Position, NotTaken> {
        Ok(self.shared.store.leases.position(&self.lease.name).await?)
    }

    async fn take(
        &mut self,
        batch: &[Received],
        from: u64,
        to: Position,
    ) -> Result<Taken, NotTaken> {
        let items = self.wanted(batch);
        if self.stop.is_cancelled() || (!items.is_empty() && !self.works(&items).await?) {
            return Ok(Taken::Lost);
        }
        self.deliver(items, from, to).await
    }

    fn failed(&mut self, error: &NotTaken, failures: u32) {
        if let NotTaken::Database(error) = error
            && failures == 1
        {
            tracing::warn!(endpoint.id = self.shared.id, %error, "Could not store deliveries; trying again");
        }
    }

    fn lag(&mut self, messages: u64) {
        #[allow(clippy::cast_precision_loss)] // a count of messages
        metrics::gauge!("hookline_endpoint_lag_messages", "endpoint" => self.shared.id.clone())
            .set(messages as f64);
    }

    fn recreated(&mut self, recreated: &StreamRecreated) {
        tracing::error!(endpoint.id = self.shared.id, error = %recreated, "Events are not delivered");
        metrics::gauge!("hookline_endpoint_lag_messages", "endpoint" => self.shared.id.clone())
            .set(f64::NAN);
    }

    async fn put_back(&mut self, stored: Position) -> Result<Taken, NotTaken> {
        let leases = &self.shared.store.leases;
        Ok(eras::read_again(leases, &self.lease, StreamName::Events, stored).await?)
    }
}

impl Batches {
    /// What the endpoint wants and has not got.
    fn wanted(&self, batch: &[Received]) -> Vec<Item> {
        let wanted = self.shared.definition.borrow().wanted.clone();
        let mut items = Vec::new();
        for message in batch.iter().filter(|message| wanted.has(&message.subject)) {
            match item::item(message.sequence, message.stored_at, &message.payload) {
                Some(item) if !self.shared.is_delivered(item.sequence) => items.push(item),
                Some(_) => {}
                None => tracing::error!(
                    endpoint.id = self.shared.id,
                    sequence = message.sequence,
                    "Message {} is no event; it is not delivered, the others go on",
                    message.sequence
                ),
            }
        }
        items
    }

    /// Waits until the endpoint takes events. While it is failing, the next event of a lane that is not held is tried from time to time.
    /// `false`: stop.
    async fn works(&mut self, items: &[Item]) -> Result<bool, NotTaken> {
        let deadline = Instant::now() + LOOKS_FOR;
        let works = loop {
            let held = self.shared.store.count().await?;
            match self.shared.state() {
                _ if self.stop.is_cancelled() => break Ok(false),
                State::Disabled => break Ok(false),
                State::Active if held < HELD_MAX => break Ok(true),
                State::Active => {}
                // Lanes that are held say nothing about the others, which come behind them.
                State::Failing => {
                    if !self.look(items, held > 0).await? && held < HELD_MAX {
                        break Ok(true);
                    }
                }
            }
            if deadline < Instant::now() {
                break Err(NotTaken::Waits);
            }
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = self.shared.woken.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        };
        self.shared.reader_waits.store(false, Ordering::Relaxed);
        works
    }

    /// One request that looks whether the endpoint works again. `false`: all lanes are held, so there is nothing to look with.
    async fn look(&mut self, items: &[Item], others: bool) -> Result<bool, NotTaken> {
        let held = self.held_lanes(items).await?;
        let mut seen = HashSet::new();
        let free: Vec<&Item> = items
            .iter()
            .filter(|item| !held.contains(&item.lane) && seen.insert(item.lane.as_str()))
            .filter(|item| !self.shared.is_delivered(item.sequence))
            .collect();
        self.shared.reader_waits.store(!free.is_empty(), Ordering::Relaxed);
        let Some(item) = free.get(self.looks.checked_rem(free.len()).unwrap_or(0)) else {
            return Ok(false);
        };
        let now = runtime::now();
        if !self.shared.with_breaker(|breaker| breaker.may_probe(Turn::Next, others, now)) {
            return Ok(true);
        }
        self.looks = self.looks.wrapping_add(1);
        let stopped = async {
            self.shared.stop.cancelled().await;
            tokio::time::sleep(STOPS_WITHIN).await;
        };
        let sent = tokio::select! {
            sent = self.shared.deliver(&item.webhook_id, &item.body) => sent,
            () = stopped => None,
        };
        match sent {
            Some(ended) if ended.is_delivered() => self.shared.note_delivered(item.sequence),
            Some(_) => {}
            None => self.shared.with_breaker(crate::breaker::Breaker::not_probed),
        }
        self.shared.store.put(&self.shared.breaker()).await?;
        Ok(true)
    }

    /// Lanes that must wait: those with held events, and those that are busy.
    async fn held_lanes(&self, items: &[Item]) -> sqlx::Result<HashSet<String>> {
        // First the busy ones: a lane that is no longer busy by the time its rows are read has rows, or nothing that is open.
        let busy = self.shared.busy();
        let asked: HashSet<&str> = items.iter().map(|item| item.lane.as_str()).collect();
        let asked: Vec<String> = asked.into_iter().map(str::to_owned).collect();
        let held = if asked.is_empty() {
            Vec::new()
        } else {
            self.shared.store.held_lanes(&asked).await?
        };
        Ok(busy.into_iter().chain(held).collect())
    }

    async fn deliver(&self, items: Vec<Item>, from: u64, to: Position) -> Result<Taken, NotTaken> {
        let shared = &self.shared;
        let waiting = self.held_lanes(&items).await?;
        let items = items.into_iter().filter(|item| !shared.is_delivered(item.sequence));
        let (behind, free): (Vec<Item>, Vec<Item>) =
            items.partition(|item| waiting.contains(&item.lane));
        let (committed, is_committed) = watch::channel(None);
        let runs = self.begin(free, &is_committed).await;

        let mut lanes: Vec<NewLane> =
            by_lane(behind.clone()).iter().filter_map(|lane| due(lane)).collect();
        let mut held = behind;
        for Left { items, lane } in runs.iter().filter_map(|run| run.cut()) {
            held.extend(items);
            lanes.push(lane);
        }
        let moved = (&self.lease, from, to);
        let taken = shared.store.take(&shared.breaker(), &held, &lanes, moved).await?;
        let _ = committed.send(Some(taken));
        if !taken {
            return Ok(Taken::Lost);
        }
        shared.committed(to.seq, &held.iter().map(|item| item.sequence).collect());
        if !held.is_empty() {
            shared.woken.notify_waiters();
        }
        Ok(Taken::Yes)
    }

    /// Delivers lanes side by side, and waits until all have ended, or as long as a batch waits.
    async fn begin(
        &self,
        items: Vec<Item>,
        committed: &watch::Receiver<Option<bool>>,
    ) -> Vec<Arc<Run>> {
        let runs: Vec<Arc<Run>> =
            by_lane(items).into_iter().map(|items| Arc::new(Run::new(items))).collect();
        let (ended, mut ends) = mpsc::unbounded_channel();
        for run in &runs {
            self.shared.take_lane(run.lane());
            let task = run.clone().go(self.shared.clone(), committed.clone(), ended.clone());
            self.tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(task);
        }
        drop(ended);
        let all = async { while ends.recv().await.is_some() {} };
        let _ = tokio::time::timeout(WAITS, all).await;
        runs
    }
}

/// A lane whose first event is tried as soon as nobody is busy with it.
fn due(items: &[Item]) -> Option<NewLane> {
    let lane = items.first()?.lane.clone();
    Some(NewLane { lane, attempts: 0, retry_in: Duration::ZERO, error: None })
}
