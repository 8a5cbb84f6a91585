//! The loop of whoever works on a queue in Postgres: claims what is due for as many places as are free, works on all of it at once, and
//! reschedules what failed. Any number of processes may work on one queue: the statement that claims keeps them apart.

mod under_way;

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio_util::sync::CancellationToken;

use crate::db::within;
use crate::notify::Listener;
use crate::retry::Backoff;

pub use under_way::UnderWay;

/// Longest pause while the queue cannot be read.
const UNREADABLE_PAUSE_MAX: Duration = Duration::from_secs(10);

/// How much at once, and how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Items worked on at once.
    pub places: usize,
    /// How often the queue is looked at where neither a notification nor an item that ends is a reason to.
    pub poll: Duration,
    /// How long claiming and rescheduling may take: a connection that something in between forgot answers never.
    pub statement: Duration,
    /// The same for the work on one item.
    pub work: Duration,
    /// How long items may go on after the process was asked to stop; then they are dropped, and somebody else claims them.
    pub drain: Duration,
}

/// What was claimed.
#[derive(Debug)]
pub struct Claimed<T> {
    /// To be worked on, at most as many as there were places.
    pub items: Vec<T>,
    /// When the next item is due, where that is known: looked then, if it is before the next poll.
    pub next_in: Option<Duration>,
}

impl<T> From<Vec<T>> for Claimed<T> {
    fn from(items: Vec<T>) -> Self {
        Self { items, next_in: None }
    }
}

/// Why an item is rescheduled.
#[derive(Debug)]
pub enum Failure<E> {
    /// Its work returned an error, or took longer than [`Limits::work`].
    Failed(E),
    /// Its work panicked: a bug.
    Panicked,
}

/// A queue, and how one item of it is worked on.
pub trait Queue: Sync {
    /// A claimed item.
    type Item: Send + Sync;
    /// Whose item it is, such as an account: no owner is to take all places.
    type Owner: Clone + Ord + Send + Sync;
    /// Why the work on an item failed. A time-out comes as `sqlx::Error::Io`.
    type Error: From<sqlx::Error> + Send;

    /// Whose it is.
    fn owner(item: &Self::Item) -> Self::Owner;

    /// Claims at most `free` items that are due, fairly beside what is `under_way`.
    ///
    /// # Errors
    /// Given to [`Queue::unreadable`]; called again after a pause.
    fn claim(
        &self,
        free: usize,
        under_way: &UnderWay<Self::Owner>,
    ) -> impl Future<Output = sqlx::Result<Claimed<Self::Item>>> + Send;

    /// Holds on to a claimed item while it is worked on, where its claim is short; never returns.
    fn keep(&self, item: &Self::Item) -> impl Future<Output = Infallible> + Send {
        let _ = item;
        std::future::pending()
    }

    /// Works on one item.
    ///
    /// # Errors
    /// Its own: the others go on, and this one is given to [`Queue::reschedule`].
    fn work(&self, item: &Self::Item) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Logs the failure and makes the item due again later ([`crate::retry::delay`]).
    ///
    /// # Errors
    /// Given to [`Queue::lapses`]: the claim ends by itself.
    fn reschedule(
        &self,
        item: &Self::Item,
        failure: Failure<Self::Error>,
    ) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// The queue could not be read, for the first time in a row: to be logged.
    fn unreadable(&self, error: &sqlx::Error);

    /// An item could not be rescheduled: to be logged.
    fn lapses(&self, error: &sqlx::Error);
}

/// Works on `queue` until `shutdown`, then lets what is under way end. Failures of Postgres are waited out. `listener` wakes it before the
/// next poll.
///
/// `false`: some work did not end in time; its claims are still held.
pub async fn run<Q: Queue>(
    queue: &Q,
    limits: &Limits,
    listener: Option<&Listener>,
    shutdown: &CancellationToken,
) -> bool {
    let deadline = async {
        shutdown.cancelled().await;
        tokio::time::sleep(limits.drain).await;
    };
    tokio::select! {
        () = work_off(queue, limits, listener, shutdown) => true,
        () = deadline => false,
    }
}

async fn work_off<Q: Queue>(
    queue: &Q,
    limits: &Limits,
    listener: Option<&Listener>,
    shutdown: &CancellationToken,
) {
    let mut running = FuturesUnordered::new();
    let mut under_way = UnderWay::default();
    let mut backoff = Backoff::new(limits.poll, UNREADABLE_PAUSE_MAX);
    while !shutdown.is_cancelled() {
        let free = limits.places.saturating_sub(under_way.count());
        let mut pause = limits.poll;
        if free > 0 {
            match within(limits.statement, queue.claim(free, &under_way)).await {
                Ok(claimed) => {
                    backoff.reset();
                    pause = claimed.next_in.map_or(pause, |next_in| next_in.min(pause));
                    for item in claimed.items {
                        under_way.begin(Q::owner(&item));
                        running.push(one(queue, limits, item));
                    }
                }
                Err(error) => {
                    if backoff.attempts() == 0 {
                        queue.unreadable(&error);
                    }
                    pause = backoff.next(rand::random());
                }
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = notified(listener) => {}
            () = tokio::time::sleep(pause) => {}
            Some(owner) = running.next() => {
                under_way.end(&owner);
                // One look serves all that have ended by now.
                while let Some(Some(owner)) = running.next().now_or_never() {
                    under_way.end(&owner);
                }
            }
        }
    }
    while running.next().await.is_some() {}
}

async fn notified(listener: Option<&Listener>) {
    match listener {
        Some(listener) => listener.notified().await,
        None => std::future::pending().await,
    }
}

/// Works on one item and returns its owner. Neither an error nor a panic of it reaches the others.
async fn one<Q: Queue>(queue: &Q, limits: &Limits, item: Q::Item) -> Q::Owner {
    let work = AssertUnwindSafe(within(limits.work, queue.work(&item))).catch_unwind();
    let outcome = tokio::select! {
        outcome = work => outcome,
        never = queue.keep(&item) => match never {},
    };
    let failure = match outcome {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(Failure::Failed(error)),
        Err(_) => Some(Failure::Panicked),
    };
    if let Some(failure) = failure
        && let Err(error) = within(limits.statement, queue.reschedule(&item, failure)).await
    {
        queue.lapses(&error);
    }
    Q::owner(&item)
}

#[cfg(test)]
mod tests;
