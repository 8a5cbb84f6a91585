//! Webhooks to send and webhooks sent: items, bodies, attempts, and the order of conversations.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::model::{Channel, Login};
use crate::payload::Item;

/// How far the delivery of one item has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ItemState {
    /// Not in a body yet.
    Waiting,
    /// In the body of this delivery.
    Posted(u64),
    /// That delivery was answered 200.
    Accepted(u64),
    /// That delivery was given up.
    GivenUp(u64),
}

/// One item and how far it has come.
pub(crate) struct Tracked {
    pub(crate) item: Item,
    pub(crate) login: Login,
    pub(crate) state: watch::Sender<ItemState>,
}

impl Tracked {
    pub(crate) fn new(item: Item, login: Login) -> Arc<Tracked> {
        Arc::new(Tracked { item, login, state: watch::Sender::new(ItemState::Waiting) })
    }

    pub(crate) fn lane(&self) -> Lane {
        Lane { channel: self.item.account.channel, login: self.login }
    }
}

/// Items of one lane may share a body: same path, same secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Lane {
    pub(crate) channel: Channel,
    pub(crate) login: Login,
}

impl Lane {
    /// The path of the webhook door.
    pub(crate) fn path(self) -> &'static str {
        match self.channel {
            Channel::Instagram => "/webhooks/instagram",
            Channel::Messenger => "/webhooks/facebook",
        }
    }
}

/// One try to deliver a body.
#[derive(Clone, Debug, Serialize)]
pub struct Attempt {
    /// When it began.
    pub at: DateTime<Utc>,
    /// The answer's status; none when there was no answer.
    pub status: Option<u16>,
    /// Why there was no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// How a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Not answered 200 yet.
    Open,
    /// Answered 200.
    Accepted,
    /// Retries ended.
    GivenUp,
}

/// One body and everything that became of it.
#[derive(Clone, Debug, Serialize)]
pub struct Delivery {
    /// Number in the order of making.
    pub id: u64,
    /// Path of the webhook door.
    pub path: String,
    /// Items in the body.
    pub items: usize,
    /// How it stands.
    pub state: DeliveryState,
    /// All tries, duplicates included.
    pub attempts: Vec<Attempt>,
    /// The exact bytes.
    #[serde(skip)]
    pub body: Bytes,
    #[serde(skip)]
    pub(crate) signature: Option<String>,
}

/// How many finished deliveries are remembered.
const DELIVERIES_MAX: usize = 20_000;

pub(crate) struct Outbox {
    pub(crate) deliveries: BTreeMap<u64, Delivery>,
    next_id: u64,
    /// The last delivery of each conversation, so that the next one can wait for it.
    last: HashMap<String, CancellationToken>,
    pub(crate) lingering: HashMap<Lane, Vec<Arc<Tracked>>>,
    in_flight: Option<(usize, Arc<Semaphore>)>,
}

impl Default for Outbox {
    fn default() -> Outbox {
        Outbox {
            deliveries: BTreeMap::new(),
            next_id: 1,
            last: HashMap::new(),
            lingering: HashMap::new(),
            in_flight: None,
        }
    }
}

impl Outbox {
    pub(crate) fn get(&self, id: u64) -> Option<&Delivery> {
        self.deliveries.get(&id)
    }

    pub(crate) fn all(&self) -> impl DoubleEndedIterator<Item = &Delivery> {
        self.deliveries.values()
    }

    /// Bodies not accepted and not given up, items waiting for company included.
    pub(crate) fn open(&self) -> usize {
        let open = |delivery: &&Delivery| delivery.state == DeliveryState::Open;
        let lingering = self.lingering.values().filter(|items| !items.is_empty()).count();
        self.deliveries.values().filter(open).count() + lingering
    }

    pub(crate) fn register(
        &mut self,
        path: &str,
        items: usize,
        body: Bytes,
        signature: Option<String>,
    ) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let (state, attempts) = (DeliveryState::Open, Vec::new());
        let path = path.to_owned();
        let delivery = Delivery { id, path, items, state, attempts, body, signature };
        self.deliveries.insert(id, delivery);
        while DELIVERIES_MAX < self.deliveries.len() {
            let oldest = self.deliveries.iter().find(|(_, d)| d.state != DeliveryState::Open);
            let Some(oldest) = oldest.map(|(id, _)| *id) else { break };
            self.deliveries.remove(&oldest);
        }
        id
    }

    pub(crate) fn semaphore(&mut self, permits: usize) -> Arc<Semaphore> {
        match &self.in_flight {
            Some((size, semaphore)) if *size == permits => semaphore.clone(),
            _ => {
                let semaphore = Arc::new(Semaphore::new(permits));
                self.in_flight = Some((permits, semaphore.clone()));
                semaphore
            }
        }
    }

    /// Takes a place in the order of these conversations: whom to wait for, and what to cancel when done.
    pub(crate) fn queue(
        &mut self,
        items: &[Arc<Tracked>],
    ) -> (Vec<CancellationToken>, CancellationToken) {
        let done = CancellationToken::new();
        // Once per conversation: a body with two of its items must not wait for itself.
        let orders: BTreeSet<&str> =
            items.iter().map(|tracked| tracked.item.order.as_str()).collect();
        let before = orders
            .into_iter()
            .filter_map(|order| self.last.insert(order.to_owned(), done.clone()))
            .filter(|token| !token.is_cancelled())
            .collect();
        if 10_000 < self.last.len() {
            self.last.retain(|_, token| !token.is_cancelled());
        }
        (before, done)
    }
}
