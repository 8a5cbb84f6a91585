//! What reader and queue of one endpoint share while its lease is held: who is busy, what was delivered and is not committed yet, and whether
//! the receiver works.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use delivery::{Answer, Client, Delivery, Outcome};
use runtime::broker::Broker;
use runtime::retry::Backoff;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::breaker::{Breaker, State};
use crate::definitions::Definition;
use crate::schedule;
use crate::store::{Settled, Store};

/// Requests at once of what was just read, and as many again of what is held: an endpoint whose held events take long does not keep new
/// ones waiting.
const AT_ONCE: usize = 16;
const SETTLE_MIN: Duration = Duration::from_millis(100);
const SETTLE_MAX: Duration = Duration::from_secs(2);

/// Requests under way. They end with the lease.
pub(crate) type Tasks = Arc<Mutex<JoinSet<()>>>;

#[derive(Default)]
struct Inner {
    busy: HashSet<String>,
    delivered: HashSet<u64>,
    breaker: Breaker,
}

pub(crate) struct Shared {
    pub(crate) id: String,
    pub(crate) store: Store,
    pub(crate) broker: Broker,
    pub(crate) definition: watch::Receiver<Definition>,
    client: Client,
    inner: Mutex<Inner>,
    /// For what was just read.
    pub(crate) direct: Semaphore,
    /// For what is held.
    pub(crate) queued: Semaphore,
    /// Something may be due, or the endpoint works again.
    pub(crate) woken: Notify,
    /// The reader waits for the endpoint to work again, with events of its own to look with.
    pub(crate) reader_waits: AtomicBool,
    /// The endpoint works again: nothing that is held waits any more.
    pub(crate) all_due: AtomicBool,
    /// Cancelled where nothing more is to be begun; what is under way may end.
    pub(crate) stop: CancellationToken,
}

impl Shared {
    pub(crate) fn new(
        store: Store,
        broker: Broker,
        definition: watch::Receiver<Definition>,
        client: Client,
        breaker: Breaker,
        stop: CancellationToken,
    ) -> Self {
        Self {
            id: store.id.clone(),
            store,
            broker,
            definition,
            client,
            inner: Mutex::new(Inner { breaker, ..Inner::default() }),
            direct: Semaphore::new(AT_ONCE),
            queued: Semaphore::new(AT_ONCE),
            woken: Notify::new(),
            reader_waits: AtomicBool::new(false),
            all_due: AtomicBool::new(false),
            stop,
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of the receiver.
    pub(crate) fn breaker(&self) -> Breaker {
        self.inner().breaker.clone()
    }

    pub(crate) fn with_breaker<T>(&self, change: impl FnOnce(&mut Breaker) -> T) -> T {
        let (changed, state) = {
            let mut inner = self.inner();
            (change(&mut inner.breaker), inner.breaker.state)
        };
        self.show(state);
        changed
    }

    pub(crate) fn state(&self) -> State {
        self.inner().breaker.state
    }

    pub(crate) fn busy(&self) -> Vec<String> {
        self.inner().busy.iter().cloned().collect()
    }

    /// `false`: somebody has it.
    pub(crate) fn take_lane(&self, lane: &str) -> bool {
        self.inner().busy.insert(lane.to_owned())
    }

    /// `is_left`: something of it may be held now.
    pub(crate) fn leave_lane(&self, lane: &str, is_left: bool) {
        self.inner().busy.remove(lane);
        if is_left {
            self.woken.notify_waiters();
        }
    }

    pub(crate) fn is_delivered(&self, sequence: u64) -> bool {
        self.inner().delivered.contains(&sequence)
    }

    pub(crate) fn note_delivered(&self, sequence: u64) {
        self.inner().delivered.insert(sequence);
    }

    /// Committed up to `position`: what was delivered of it does not come again, except `held`, which has rows.
    pub(crate) fn committed(&self, position: u64, held: &HashSet<u64>) {
        self.inner().delivered.retain(|one| position < *one || held.contains(one));
    }

    /// The position was set: what was delivered before is delivered again.
    pub(crate) fn forget_delivered(&self) {
        self.inner().delivered.clear();
    }

    /// Makes the request. `None`: the endpoint has no receiver, is paused, or hookline stops.
    pub(crate) async fn deliver(&self, id: &str, body: &Bytes) -> Option<Ended> {
        let now = runtime::now();
        let (url, secrets) = {
            let definition = self.definition.borrow();
            let receiver = definition.receiver.as_ref().filter(|_| !definition.paused)?;
            (receiver.url.clone(), receiver.secrets(now))
        };
        if self.stop.is_cancelled() || self.state() == State::Disabled {
            return None;
        }
        let delivery = Delivery { url: &url, secrets: &secrets, id, body: body.clone() };
        let Answer { outcome, retry_after } = self.client.send(delivery, now).await;
        metrics::counter!("hookline_endpoint_deliveries_total", "endpoint" => self.id.clone(), "outcome" => outcome.as_str())
            .increment(1);
        let works_again = self.with_breaker(|breaker| {
            breaker.note(outcome, retry_after, runtime::now(), rand::random())
        });
        if works_again {
            self.all_due.store(true, Ordering::Relaxed);
            tracing::info!(endpoint.id = self.id, "Endpoint `{}` works again", self.id);
            self.woken.notify_waiters();
        }
        if outcome == Outcome::Gone {
            tracing::warn!(
                endpoint.id = self.id,
                "Endpoint `{}` answered 410: nothing more is sent until `hookline endpoints resume`",
                self.id
            );
            self.woken.notify_waiters();
        }
        Some(Ended { outcome, retry_after })
    }

    /// Stores how the first held event of a lane ended, however long Postgres takes: it was delivered, and must not be once more.
    pub(crate) async fn settle(&self, lane: &str, sequence: u64, ended: &Ended, attempts: u32) {
        let settled = ended.settled(attempts);
        let mut backoff = Backoff::new(SETTLE_MIN, SETTLE_MAX);
        loop {
            let breaker = self.breaker();
            match self.store.settle(&breaker, (lane, sequence), &settled).await {
                Ok(()) => break,
                Err(error) => {
                    tracing::warn!(endpoint.id = self.id, %error, "Could not store how a delivery ended; trying again");
                    tokio::time::sleep(backoff.next(rand::random())).await;
                }
            }
        }
    }

    fn show(&self, state: State) {
        for one in [State::Active, State::Failing, State::Disabled] {
            let is = if one == state { 1.0 } else { 0.0 };
            metrics::gauge!("hookline_endpoint_state", "endpoint" => self.id.clone(), "state" => one.as_str()).set(is);
        }
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    pub(crate) retry_after: Option<Duration>,
}

impl Ended {
    /// There is no such event any more: as if it had been delivered.
    pub(crate) const GONE_FROM_STREAM: Self =
        Self { outcome: Outcome::Delivered, retry_after: None };

    pub(crate) fn is_delivered(&self) -> bool {
        self.outcome == Outcome::Delivered
    }

    /// The pause after failure number `attempts`.
    pub(crate) fn retry_in(&self, attempts: u32) -> Duration {
        schedule::pause(attempts, self.retry_after, rand::random())
    }

    fn settled(&self, attempts_before: u32) -> Settled {
        if self.is_delivered() {
            return Settled::Done;
        }
        let retry_in = self.retry_in(attempts_before.saturating_add(1));
        Settled::Failed { retry_in, error: self.outcome.in_words() }
    }
}
