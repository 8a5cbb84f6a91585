//! Places for commands in flight: a number per account that follows its [`Pace`], fewer for reads than for sends. Where other workers live, what
//! they have in flight takes places, too (docs/decisions/39).

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use runtime::steady::Steady;
use schemas::{AccountId, Channel};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::concurrency::Pace;
use crate::ledger::under_way::Living;

/// How many commands of one worker may only read (looks for lost sends, pages of an import): sends always have places left.
const READING_MAX: usize = 24;

/// How long a worker that finds others waits before it sends: then they know that they are not alone.
const JOINS_AFTER: Duration = Duration::from_secs(2);
/// How long an account whose places other workers have is left alone.
const REST: Duration = Duration::from_millis(100);

/// An account, and whether the place is for reading: slow reads must not take the places of sends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PlaceKey {
    pub(crate) channel: Channel,
    pub(crate) account_id: AccountId,
    pub(crate) reading: bool,
}

/// All places of one worker; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Places {
    paces: Arc<Mutex<HashMap<PlaceKey, Pace>>>,
    reading: Arc<AtomicUsize>,
    freed: Arc<Notify>,
    company: Arc<Mutex<Company>>,
    /// Until when nothing is sent for an account: other workers have its places.
    resting: Arc<Mutex<HashMap<(Channel, AccountId), Instant>>>,
}

/// What is known of other workers.
#[derive(Default)]
struct Company {
    others: bool,
    /// From when on places are given out; `None` before this worker is known to the others.
    opens_at: Option<Instant>,
}

/// A place that was taken; given back on drop, whatever becomes of the task.
pub(crate) struct Place {
    places: Places,
    key: PlaceKey,
}

impl Places {
    fn company(&self) -> MutexGuard<'_, Company> {
        self.company.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in which workers live.
    pub(crate) fn know(&self, living: Living) {
        let mut company = self.company();
        company.others = living.others;
        if living.own && company.opens_at.is_none() {
            let now = Instant::now();
            company.opens_at = Some(if living.others { now + JOINS_AFTER } else { now });
        }
    }

    /// Whether it is known when places are given out: from when on this worker is known to the others.
    pub(crate) fn is_known_to_others(&self) -> bool {
        self.company().opens_at.is_some()
    }

    /// Whether no other worker sends: then the places here are all there are.
    pub(crate) fn are_all(&self) -> bool {
        !self.company().others
    }

    /// Whether one more send of an account may be in flight where all workers have `taken` so many, as far as this one has learnt. If not, none is
    /// given a place for a moment.
    pub(crate) fn has_room(&self, channel: Channel, account_id: &AccountId, taken: i64) -> bool {
        let key = PlaceKey { channel, account_id: account_id.clone(), reading: false };
        let has_room = taken < i64::from(self.pace(&key, |pace| pace.allowed()));
        if !has_room {
            self.resting().insert((channel, account_id.clone()), Instant::now() + REST);
        }
        has_room
    }

    fn resting(&self) -> MutexGuard<'_, HashMap<(Channel, AccountId), Instant>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rests(&self, key: &PlaceKey) -> bool {
        let mut resting = self.resting();
        // Empty as a rule.
        if resting.is_empty() {
            return false;
        }
        let now = Instant::now();
        resting.retain(|_, until| now < *until);
        !key.reading && resting.contains_key(&(key.channel, key.account_id.clone()))
    }

    /// Takes a place, if there is one. Only the loop of this worker does.
    pub(crate) fn take(&self, key: PlaceKey) -> Option<Place> {
        if self.rests(&key) {
            return None;
        }
        if self.company().opens_at.is_none_or(|opens| Instant::now() < opens) {
            return None;
        }
        if key.reading && READING_MAX <= self.reading.load(Ordering::Relaxed) {
            return None;
        }
        if !self.pace(&key, |pace| pace.start(Steady::now())) {
            return None;
        }
        if key.reading {
            self.reading.fetch_add(1, Ordering::Relaxed);
        }
        Some(Place { places: self.clone(), key })
    }

    /// Returns once a place was given back.
    pub(crate) async fn freed(&self) {
        self.freed.notified().await;
    }

    /// Meta answered a send of the account, well or not.
    pub(crate) fn learn(&self, channel: Channel, account_id: &AccountId, well: bool) {
        let key = PlaceKey { channel, account_id: account_id.clone(), reading: false };
        self.pace(&key, |pace| if well { pace.went_well() } else { pace.went_wrong() });
    }

    fn pace<T>(&self, key: &PlaceKey, work: impl FnOnce(&mut Pace) -> T) -> T {
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        work(paces.entry(key.clone()).or_default())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.key.reading {
            self.places.reading.fetch_sub(1, Ordering::Relaxed);
        }
        self.places.pace(&self.key, |pace| pace.end(Steady::now()));
        self.places.freed.notify_one();
    }
}
