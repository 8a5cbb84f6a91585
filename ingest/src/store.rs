//! Makes webhooks durable: on their own while they are few, in batches that share their syncs when they are many, with a deadline for
//! everybody who waits.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures::FutureExt;
use metrics::counter;
use runtime::broker::Broker;
use runtime::publish::{BATCH_BYTES_MAX, BATCH_FROM, Outgoing, PublishFailure, Stored};
use tokio::sync::{Notify, oneshot};

use crate::config;
use crate::detach::Detach;
use crate::error::Refused;
use crate::log_limit::LogLimit;
use crate::meters::Meters;
use crate::queue::{Batch, Limits, Queue};
use crate::webhook::Webhook;

/// How long a webhook may take from the end of its body to its durable ack (docs/contract.md 3).
pub(crate) const STORE_WITHIN: Duration = Duration::from_secs(3);
/// Webhooks that wait or are under way.
const MESSAGES_MAX: usize = 4096;
/// Bytes of theirs, unless `INGEST_MAX_BODY` is so large that only a few would fit.
const BYTES_MAX: usize = 64 << 20;
/// Subject and headers of a message, roughly.
const OVERHEAD_BYTES: usize = 1024;
/// Most messages of a batch. Larger ones save little more, and all of one wait for its last message.
const BATCH_MESSAGES_MAX: usize = 256;
/// How often is looked whether the connection is still the same.
const LOOK_EVERY: Duration = Duration::from_millis(50);

type End = Result<Stored, Refused>;

/// A shared handle on the way into META_RAW.
#[derive(Clone)]
pub(crate) struct Store(Arc<Inner>);

struct Inner {
    broker: Broker,
    max_body: usize,
    meters: Arc<Meters>,
    queue: Mutex<Queue<Webhook, oneshot::Sender<End>>>,
    /// Notified when the connection may be another one.
    changed: Notify,
    complaint: Mutex<LogLimit>,
}

impl Store {
    pub(crate) fn new(broker: Broker, max_body: usize, meters: Arc<Meters>) -> Self {
        let limits = Limits {
            messages_max: MESSAGES_MAX,
            bytes_max: BYTES_MAX.max(4 * (max_body + OVERHEAD_BYTES)),
            batch_from: BATCH_FROM,
            batch_messages_max: BATCH_MESSAGES_MAX,
            batch_bytes_max: BATCH_BYTES_MAX,
        };
        let queue = Mutex::new(Queue::new(limits));
        let (changed, complaint) = (Notify::new(), Mutex::default());
        let inner = Arc::new(Inner { broker, max_body, meters, queue, changed, complaint });
        tokio::spawn(watch_connection(Arc::downgrade(&inner)));
        Self(inner)
    }

    /// Whether the broker takes webhooks right now.
    ///
    /// # Errors
    /// The reason, with what to do.
    pub(crate) fn accepts(&self) -> Result<(), String> {
        self.0.broker.accepts()?;
        config::fits(self.0.max_body, self.0.broker.max_payload())
    }

    /// Waits for the durable ack of a message, at most until `deadline`. After that the message may still be stored; a repeat is recognised
    /// by its id.
    ///
    /// # Errors
    /// [`Refused::NotStored`] or [`Refused::Overloaded`].
    pub(crate) async fn store(&self, webhook: Webhook, deadline: Instant) -> End {
        let started = Instant::now();
        self.accepts().map_err(Refused::NotStored)?;
        let (sender, end) = oneshot::channel();
        let (key, bytes) = (webhook.key, webhook.body.len() + OVERHEAD_BYTES);
        self.queue()
            .offer(key, webhook, bytes, deadline, sender)
            .map_err(|_| Refused::Overloaded)?;
        // Most often it may go at once, on its own. Others may wait for it too, so it goes on when the client goes away.
        if let Some(batch) = self.send_ready() {
            Detach::new(self.clone().send(batch)).await;
        }
        let late = || Refused::NotStored("the broker did not answer in time".to_owned());
        // A sender that is dropped belongs to a message that came too late to be sent.
        let end = tokio::time::timeout_at(deadline.into(), end)
            .await
            .map_or_else(|_| Err(late()), |end| end.unwrap_or_else(|_| Err(late())));
        self.0.meters.store_seconds.record(started.elapsed().as_secs_f64());
        end
    }

    /// Stores a callback on its own: they are rare.
    ///
    /// # Errors
    /// [`Refused::NotStored`]; it may be stored nevertheless, and a repeat is recognised by its id.
    pub(crate) async fn store_callback(
        &self,
        callback: Outgoing,
        deadline: Instant,
    ) -> Result<(), Refused> {
        self.accepts().map_err(Refused::NotStored)?;
        let broker = &self.0.broker;
        let connects = broker.connects();
        let wait = deadline.saturating_duration_since(Instant::now());
        broker
            .publish(callback, wait)
            .await
            .map_err(|failure| Refused::NotStored(failure.to_string()))?;
        // As for webhooks: an ack of another server than the one that was checked counts only once that one is checked.
        if broker.connects() != connects {
            self.accepts().map_err(Refused::NotStored)?;
        }
        Ok(())
    }

    fn queue(&self) -> MutexGuard<'_, Queue<Webhook, oneshot::Sender<End>>> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what may go now, except for a message on its own: the caller sends that.
    fn send_ready(&self) -> Option<Batch<Webhook>> {
        let (now, syncs) = (Instant::now(), self.0.broker.syncs_each());
        loop {
            let batch = self.queue().next_batch(now, syncs)?;
            if batch.is_single() {
                return Some(batch);
            }
            self.send_apart(batch);
        }
    }

    fn send_apart(&self, batch: Batch<Webhook>) {
        tokio::spawn(self.clone().send(batch));
    }

    async fn send(self, batch: Batch<Webhook>) {
        let (keys, bytes) = (batch.keys.clone(), batch.bytes());
        let ends = match self.accepts() {
            Ok(()) => {
                AssertUnwindSafe(self.publish(batch)).catch_unwind().await.unwrap_or_default()
            }
            Err(reason) => {
                // Nobody has to wait for an answer that is known already.
                let refused = self.queue().give_up();
                for waiter in refused {
                    let _ = waiter.send(Err(Refused::NotStored(reason.clone())));
                }
                vec![Err(Refused::NotStored(reason)); keys.len()]
            }
        };
        let answered = ends.iter().any(Result::is_ok);
        let waiters = self.queue().finish(&keys, bytes, answered);
        for (waiters, end) in waiters.into_iter().zip(ends) {
            for waiter in waiters {
                // Whoever gave up is not there any more.
                let _ = waiter.send(end.clone());
            }
        }
        while let Some(single) = self.send_ready() {
            self.send_apart(single);
        }
    }

    async fn publish(&self, batch: Batch<Webhook>) -> Vec<End> {
        let Inner { broker, meters, .. } = &*self.0;
        let connects = broker.connects();
        let count = batch.messages.len();
        #[allow(clippy::cast_precision_loss)] // at most 256
        meters.batch_messages.record(count as f64);
        let wait = batch.deadline.saturating_duration_since(Instant::now());
        runtime::failpoint!("ingest.before_publish");
        let ends = tokio::select! {
            biased;
            ends = self.publish_now(batch.messages, wait) => ends,
            // The acks were lost with the connection.
            () = self.lost(connects) => vec![Err(PublishFailure::NotConnected); count],
        };
        runtime::failpoint!("ingest.after_publish");
        if let Some(failure) = ends.iter().find_map(|end| end.as_ref().err()) {
            self.report_failure(failure);
        }
        // An ack from another server than the one that was checked counts only once that one is checked, too.
        let doubt = if broker.connects() == connects { None } else { self.accepts().err() };
        ends.into_iter()
            .map(|end| match (&doubt, end) {
                (None, Ok(stored)) => Ok(stored),
                (Some(reason), Ok(_)) => Err(Refused::NotStored(reason.clone())),
                (_, Err(failure)) => Err(Refused::NotStored(failure.to_string())),
            })
            .collect()
    }

    /// Returns when the connection is not the one it was.
    async fn lost(&self, connects: u64) {
        loop {
            let changed = self.0.changed.notified();
            if !self.0.broker.is_connected() || self.0.broker.connects() != connects {
                return;
            }
            changed.await;
        }
    }

    async fn publish_now(
        &self,
        mut webhooks: Vec<Webhook>,
        wait: Duration,
    ) -> Vec<Result<Stored, PublishFailure>> {
        match (webhooks.pop(), webhooks.is_empty()) {
            (None, _) => Vec::new(),
            (Some(alone), true) => vec![self.0.broker.publish(alone.into(), wait).await],
            (Some(last), false) => {
                webhooks.push(last);
                self.0.broker.publish_together(webhooks, wait).await
            }
        }
    }

    fn report_failure(&self, failure: &PublishFailure) {
        let reason = match failure {
            PublishFailure::NotConnected => "not_connected",
            PublishFailure::TimedOut => "timed_out",
            PublishFailure::NoStream => "no_stream",
            PublishFailure::OtherEra(_) => "other_era",
            PublishFailure::Full(_) => "full",
            PublishFailure::TooLarge => "too_large",
            PublishFailure::Refused(_) => "refused",
        };
        counter!("hookline_ingest_store_failures_total", "reason" => reason).increment(1);
        let say =
            self.0.complaint.lock().unwrap_or_else(PoisonError::into_inner).allow(Instant::now());
        if let Some(kept_back) = say {
            tracing::warn!(%failure, kept_back, "Webhooks are not stored and answered 503; Meta will deliver them again");
        }
    }
}

/// Notices when the connection is not the one it was: what is under way then is lost with it.
async fn watch_connection(store: Weak<Inner>) {
    let mut seen = None;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(store) = store.upgrade() else { return };
        let now = store.broker.is_connected().then(|| store.broker.connects());
        if seen != now {
            seen = now;
            store.changed.notify_waiters();
        }
    }
}
