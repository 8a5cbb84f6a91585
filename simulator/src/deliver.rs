//! The webhook sender: signs, keeps order per conversation, retries like Meta (docs/meta-platform.md 3.1), batches and doubles.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::config::Policy;
use crate::outbox::{Attempt, DeliveryState, ItemState, Lane, Outbox, Tracked};
use crate::payload::{self, Item};
use crate::shared::Shared;
use crate::sign;

impl Shared {
    /// Sends these items to the webhook in one body; when the policy batches, with others of their lane.
    ///
    /// Nothing is sent for an account without a subscription.
    pub(crate) fn send_items(self: &Arc<Self>, items: Vec<Arc<Tracked>>) {
        let Some(first) = items.first() else { return };
        // Without a subscription of the account Meta keeps silent (docs/meta-platform.md 3.3).
        let account =
            self.world().accounts.get(&first.item.account).map(|a| a.subscribed.is_empty());
        if account != Some(false) {
            return;
        }
        let (lane, policy) = (first.lane(), self.policy());
        let mut outbox = self.outbox();
        let waiting = outbox.lingering.entry(lane).or_default();
        // Once somebody waits, everybody of the lane joins: nobody overtakes.
        if waiting.is_empty() && !self.chance(policy.batch_rate) {
            self.launch(&mut outbox, &policy, lane, items);
            return;
        }
        let first_in = waiting.is_empty();
        waiting.extend(items);
        if policy.batch_max <= waiting.len() {
            let full = std::mem::take(waiting);
            self.launch_split(&mut outbox, &policy, lane, full);
        } else if first_in {
            let shared = self.clone();
            self.spawn(async move {
                tokio::time::sleep(policy.batch_linger).await;
                let mut outbox = shared.outbox();
                let waited = outbox.lingering.remove(&lane).unwrap_or_default();
                shared.launch_split(&mut outbox, &policy, lane, waited);
            });
        }
    }

    fn launch_split(
        self: &Arc<Self>,
        outbox: &mut Outbox,
        policy: &Policy,
        lane: Lane,
        items: Vec<Arc<Tracked>>,
    ) {
        for part in items.chunks(policy.batch_max.max(1)) {
            self.launch(outbox, policy, lane, part.to_vec());
        }
    }

    fn launch(
        self: &Arc<Self>,
        outbox: &mut Outbox,
        policy: &Policy,
        lane: Lane,
        items: Vec<Arc<Tracked>>,
    ) {
        let id = self.register(outbox, lane, &items);
        let (before, done) = outbox.queue(&items);
        let before = if policy.in_order { before } else { Vec::new() };
        let semaphore = outbox.semaphore(policy.in_flight_max);
        let shared = self.clone();
        self.spawn(async move {
            // Dropped at the very end, also when the simulator stops: whoever waits goes on.
            let _done = done.drop_guard();
            for token in before {
                token.cancelled().await;
            }
            let accepted = shared.deliver(id, &semaphore).await;
            for tracked in &items {
                let state = if accepted { ItemState::Accepted(id) } else { ItemState::GivenUp(id) };
                tracked.state.send_replace(state);
            }
        });
    }

    /// Writes the body of these items and remembers it.
    fn register(&self, outbox: &mut Outbox, lane: Lane, items: &[Arc<Tracked>]) -> u64 {
        let parts: Vec<&Item> = items.iter().map(|tracked| &tracked.item).collect();
        let body = Bytes::from(payload::body(lane.channel, &parts, self.now()));
        let signature = sign::signature(self.secrets.of(lane.login), &body);
        let id = outbox.register(lane.path(), items.len(), body, Some(signature));
        for tracked in items {
            tracked.state.send_replace(ItemState::Posted(id));
        }
        id
    }

    /// Attempts until 200 or until the schedule ends.
    async fn deliver(self: &Arc<Self>, id: u64, semaphore: &Semaphore) -> bool {
        let started = Instant::now();
        for attempt in 1.. {
            let status = {
                // Never closed; if it were, the delivery would simply not be bounded.
                let _permit = semaphore.acquire().await.ok();
                self.post(id).await
            };
            let policy = self.policy();
            if status == Some(200) {
                self.finish(id, DeliveryState::Accepted);
                if self.chance(policy.duplicate_rate) {
                    let shared = self.clone();
                    self.spawn(async move {
                        tokio::time::sleep(policy.retry_delay(1)).await;
                        shared.post(id).await;
                    });
                }
                return true;
            }
            let pause = policy.retry_delay(attempt);
            if policy.retry_for < started.elapsed() + pause {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        self.finish(id, DeliveryState::GivenUp);
        tracing::warn!(delivery.id = id, "Gave up delivery `{id}`: the webhook never answered 200");
        false
    }

    fn finish(&self, id: u64, state: DeliveryState) {
        if let Some(delivery) = self.outbox().deliveries.get_mut(&id) {
            delivery.state = state;
        }
    }

    /// One POST of the exact bytes of a delivery; its status when there was an answer.
    pub(crate) async fn post(&self, id: u64) -> Option<u16> {
        let parts = {
            let outbox = self.outbox();
            let delivery = outbox.get(id)?;
            (delivery.path.clone(), delivery.body.clone(), delivery.signature.clone())
        };
        let (path, body, signature) = parts;
        let attempt = self.post_bytes(&path, body, signature.as_deref()).await;
        let status = attempt.status;
        if let Some(delivery) = self.outbox().deliveries.get_mut(&id) {
            delivery.attempts.push(attempt);
        }
        status
    }

    async fn post_bytes(&self, path: &str, body: Bytes, signature: Option<&str>) -> Attempt {
        let timeout = self.policy().post_timeout;
        let mut subscriber = self.webhook_url.subscribe();
        let url = subscriber.wait_for(Option::is_some).await.ok().and_then(|url| url.clone());
        let (at, started) = (self.now(), Instant::now());
        let base = url.map(|url| url.as_str().trim_end_matches('/').to_owned()).unwrap_or_default();
        let mut request = self
            .http
            .post(format!("{base}{path}"))
            .timeout(timeout)
            .header("content-type", "application/json")
            .header("user-agent", "facebookexternalua")
            .body(body);
        if let Some(signature) = signature {
            request = request.header("x-hub-signature-256", signature);
        }
        let outcome = request.send().await;
        let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        match outcome {
            Ok(answer) => {
                Attempt { at, status: Some(answer.status().as_u16()), error: None, took_ms }
            }
            Err(error) => {
                let error = if error.is_timeout() { "no answer in time" } else { "no connection" };
                Attempt { at, status: None, error: Some(error.to_owned()), took_ms }
            }
        }
    }

    /// One try of a new body of these items, outside order and schedule.
    pub(crate) async fn post_anew(&self, items: &[Arc<Tracked>]) -> Vec<(u64, Option<u16>)> {
        let mut lanes: Vec<(Lane, Vec<Arc<Tracked>>)> = Vec::new();
        for tracked in items {
            let lane = tracked.lane();
            match lanes.iter_mut().find(|(known, _)| *known == lane) {
                Some((_, of_lane)) => of_lane.push(tracked.clone()),
                None => lanes.push((lane, vec![tracked.clone()])),
            }
        }
        let mut outcomes = Vec::new();
        for (lane, of_lane) in lanes {
            let id = self.register(&mut self.outbox(), lane, &of_lane);
            let status = self.post(id).await;
            let accepted = status == Some(200);
            let state = if accepted { DeliveryState::Accepted } else { DeliveryState::GivenUp };
            self.finish(id, state);
            for tracked in of_lane {
                let state = if accepted { ItemState::Accepted(id) } else { ItemState::GivenUp(id) };
                tracked.state.send_replace(state);
            }
            outcomes.push((id, status));
        }
        outcomes
    }

    /// One try of any bytes with any signature.
    pub(crate) async fn post_raw(
        &self,
        path: &str,
        body: Bytes,
        signature: Option<String>,
    ) -> Attempt {
        let id = self.outbox().register(path, 0, body, signature);
        let status = self.post(id).await;
        let accepted = status == Some(200);
        self.finish(id, if accepted { DeliveryState::Accepted } else { DeliveryState::GivenUp });
        let outbox = self.outbox();
        let attempt = outbox.get(id).and_then(|delivery| delivery.attempts.last().cloned());
        attempt.unwrap_or(Attempt { at: self.now(), status, error: None, took_ms: 0 })
    }

    /// Waits until nothing is open any more; false when `within` passed first.
    pub(crate) async fn settled(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        while 0 < self.outbox().open() {
            if deadline <= Instant::now() {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        true
    }
}
