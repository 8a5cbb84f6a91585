//! One endpoint while this worker holds its lease: where it begins, when it pauses, how it ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use delivery::Client;
use facts::eras;
use runtime::broker::Broker;
use runtime::follow::{End, Source, follow, stored};
use runtime::lease::{Lease, Position};
use schemas::Timestamp;
use schemas::subjects::{EVENT_ALL, INBOX_EVENTS};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::breaker::State;
use crate::definitions::Definition;
use crate::queue;
use crate::reader::Batches;
use crate::shared::{Shared, Tasks};
use crate::store::{StateRow, Store, name};
const BATCH: usize = 200;
const BATCH_BYTES: usize = 8 * 1024 * 1024;
const AGAIN: Duration = Duration::from_secs(1);
/// Requests under way may take so long when hookline stops.
const DRAIN: Duration = Duration::from_secs(5);

/// An endpoint.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) store: Store,
    pub(crate) broker: Broker,
    pub(crate) client: Client,
    pub(crate) definition: watch::Receiver<Definition>,
}

impl Endpoint {
    /// Works whenever this worker holds the lease, until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let name = name(&self.store.id);
        let leases = self.store.leases.clone();
        leases
            .while_held(&name, stop, |lease, stop| {
                let endpoint = self.clone();
                async move { endpoint.hold(&lease, &stop).await }
            })
            .await;
    }

    async fn hold(mut self, lease: &Lease, stop: &CancellationToken) {
        let Some(row) = self.load(stop).await else { return };
        // Dropped with the lease: then nothing is under way any more.
        let tasks = Tasks::default();
        let shared = Arc::new(Shared::new(
            self.store.clone(),
            self.broker.clone(),
            self.definition.clone(),
            self.client.clone(),
            row.breaker(),
            stop.clone(),
        ));
        while !stop.is_cancelled() {
            let definition = self.definition.borrow_and_update().clone();
            match self.prepare(&shared, &definition, lease).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::debug!(
                        endpoint.id = self.store.id,
                        error = format!("{error:#}"),
                        "The endpoint cannot begin yet"
                    );
                    let _ = stop.run_until_cancelled(tokio::time::sleep(AGAIN)).await;
                    continue;
                }
            }
            let is_open = !definition.paused && shared.state() != State::Disabled;
            if definition.receiver.is_none() {
                tracing::error!(
                    endpoint.id = self.store.id,
                    "The secret of endpoint `{}` does not open: is ENCRYPTION_KEY the one it was stored under?",
                    self.store.id
                );
            }
            if !is_open || definition.receiver.is_none() {
                tokio::select! {
                    () = stop.cancelled() => {}
                    changed = self.definition.changed() => if changed.is_err() { return },
                }
                continue;
            }
            if !self.work(&shared, &tasks, lease, stop).await {
                if stop.is_cancelled() {
                    break;
                }
                return;
            }
        }
        let mut tasks = std::mem::take(&mut *tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let all = async { while tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(DRAIN, all).await;
    }

    async fn load(&self, stop: &CancellationToken) -> Option<StateRow> {
        loop {
            match self.store.load().await {
                Ok(row) => return Some(row),
                Err(error) => {
                    tracing::debug!(endpoint.id = self.store.id, %error, "The state of the endpoint cannot be read yet");
                }
            }
            stop.run_until_cancelled(tokio::time::sleep(AGAIN)).await?;
        }
    }

    /// Delivers until the definition changes, the endpoint is disabled, or `stop`. `false`: the lease is lost.
    async fn work(
        &mut self,
        shared: &Arc<Shared>,
        tasks: &Tasks,
        lease: &Lease,
        stop: &CancellationToken,
    ) -> bool {
        let source = Source {
            stream: INBOX_EVENTS,
            filter: EVENT_ALL.to_owned(),
            messages_max: BATCH,
            bytes_max: BATCH_BYTES,
        };
        let (run, interrupted) = (stop.child_token(), AtomicBool::new(false));
        let mut batches = Batches {
            shared: shared.clone(),
            tasks: tasks.clone(),
            lease: lease.clone(),
            stop: run.clone(),
            looks: 0,
        };
        let definition = &mut self.definition;
        let watch = async {
            loop {
                tokio::select! {
                    () = run.cancelled() => return,
                    _ = definition.changed() => break,
                    () = tokio::time::sleep(AGAIN) => {
                        if shared.state() == State::Disabled {
                            break;
                        }
                    }
                }
            }
            interrupted.store(true, Ordering::Relaxed);
            run.cancel();
        };
        let read = async {
            let end = follow(&self.broker, &source, &mut batches, &run).await;
            run.cancel();
            end
        };
        let ((), end, ()) = tokio::join!(watch, read, queue::run(shared, tasks, &run));
        end == End::Stopped
            || interrupted.load(Ordering::Relaxed)
            || shared.state() == State::Disabled
    }

    /// What somebody asked for takes effect, and the position is where it belongs. `false`: the lease is lost.
    async fn prepare(
        &self,
        shared: &Shared,
        definition: &Definition,
        lease: &Lease,
    ) -> anyhow::Result<bool> {
        let store = &self.store;
        let row = store.load().await?;
        if row.changes_seen < definition.changes {
            let resumed = row.resumes_seen < definition.resumes;
            shared.with_breaker(|breaker| breaker.changed(resumed));
            store.changed(&shared.breaker(), definition.changes, definition.resumes).await?;
        } else {
            store.put(&shared.breaker()).await?;
        }
        let at = store.leases.position(&lease.name).await?;
        let is_new = at.seq == 0 && at.era.is_none();
        let asked = definition.replay_from.filter(|_| row.replay_done < definition.replay_asked);
        let (since, held_up_to) = if let Some(since) = asked {
            (since, None)
        } else if is_new {
            (definition.created_at, None)
        } else if at.seq == 0
            && let Some(reached) = row.reached_at
        {
            // The stream is another one, or an earlier state of it. What was stored there until then is delivered or held; what is held is read
            // again, for its positions mean something else now.
            let oldest = store.oldest_held().await?.unwrap_or(reached);
            (reached.min(oldest), Some(0))
        } else {
            return Ok(true);
        };
        let begin = self.last_before(since).await?;
        // Forward, a replay would skip.
        let seq = if is_new || at.seq == 0 { begin } else { begin.min(at.seq) };
        let known = eras::current(&store.pool, INBOX_EVENTS).await?;
        let era = known.context("the era of INBOX_EVENTS is not known yet")?.era;
        let to = Position { seq, era: Some(era), at: None };
        let kept = held_up_to.unwrap_or(seq);
        if !store.begin_at(lease, (at.seq, to), kept, definition.replay_asked).await? {
            return Ok(false);
        }
        shared.forget_delivered();
        tracing::info!(endpoint.id = store.id, position = seq, "Endpoint `{}` begins", store.id);
        Ok(true)
    }

    /// The last position of events before a time.
    async fn last_before(&self, time: Timestamp) -> anyhow::Result<u64> {
        let first = stored::first_since(self.broker.js(), INBOX_EVENTS, EVENT_ALL, time).await?;
        Ok(first.saturating_sub(1))
    }
}
