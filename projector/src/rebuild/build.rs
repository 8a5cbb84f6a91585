//! Folds INBOX_EVENTS into a schema beside the serving one, up to a position and never beyond.

use std::collections::VecDeque;
use std::time::Duration;

use runtime::broker::Broker;
use runtime::follow::{Follower, Received};
use runtime::health::Health;
use runtime::lease::{Lease, Position};
use schemas::subjects;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::RebuildError;
use super::heartbeat::Heartbeat;
use super::live::Live;
use super::log::holds_between;
use super::place::Place;
use crate::apply::Sink;
use crate::read::Incoming;
use crate::store::schema::{drop_readers_indexes, migrate};
use crate::store::tables::{leases, positions};
use crate::store::{NAME, SchemaName, Store, scope};

/// Events per transaction at most: small enough that giving way to the projector takes effect soon.
const BATCH_MAX: usize = 4000;
/// Longer than this no batch may take.
const STORED_WITHIN: Duration = Duration::from_secs(180);
/// Nothing came for this long: perhaps nothing is there.
const SILENCE: Duration = Duration::from_secs(2);
/// Giving way for this long, the build takes a small step all the same: else a busy projector would keep it where it is.
const GIVE_WAY_MAX: Duration = Duration::from_secs(1);
/// How many events such a step has.
const SMALL: usize = 200;

/// One model beside the serving one.
pub(crate) struct Builder {
    broker: Broker,
    store: Store,
    lease: Lease,
    position: Position,
    /// How many eras its rows are made of.
    eras: i16,
    follower: Follower,
    queue: VecDeque<Received>,
    health: Health,
}

impl Builder {
    /// Opens the schema, makes it where it is missing, and takes its lease: who has the job has the schema, and whoever had it before is
    /// fenced by the lease's epoch.
    ///
    /// # Errors
    /// When Postgres does not answer, or a migration is wrong.
    pub(crate) async fn open(place: &Place, schema: &SchemaName) -> Result<Self, RebuildError> {
        let pool = place.pool.clone();
        migrate(&pool, schema, &CancellationToken::new()).await?;
        let owner = format!("rebuild-{}-{:016x}", std::process::id(), rand::random::<u64>());
        let mut tx = scope::begin(&pool, schema).await?;
        let epoch = leases::seize(&mut tx, NAME, &owner).await?;
        if positions::stored(&mut tx, NAME).await? == 0 {
            drop_readers_indexes(&mut tx).await?;
        }
        let eras = positions::eras(&mut tx, NAME).await?;
        tx.commit().await?;
        let store = Store::aside(pool, schema, owner.clone());
        let lease = Lease::for_good(NAME, owner, epoch);
        let position = store.leases().position(NAME).await?;
        let follower = Follower::new(
            place.broker.clone(),
            subjects::INBOX_EVENTS,
            subjects::EVENT_ALL,
            position,
        );
        let (queue, health) = (VecDeque::new(), Health::new());
        let broker = place.broker.clone();
        Ok(Self { broker, store, lease, position, eras, follower, queue, health })
    }

    /// The schema it writes.
    pub(super) const fn schema(&self) -> &SchemaName {
        self.store.schema()
    }

    /// How far it is.
    pub(crate) const fn position(&self) -> u64 {
        self.position.seq
    }

    /// Makes sure that both models are made from the same stream. `accept_loss`: also where it does not hold all events of the serving one.
    pub(crate) async fn same_stream(
        &self,
        live: &Live,
        accept_loss: bool,
    ) -> Result<(), RebuildError> {
        let (serving, eras) = live.eras().await?;
        if eras > self.eras && !accept_loss {
            return Err(RebuildError::Refused(
                "INBOX_EVENTS does not hold the events of the serving model: it was made anew and adopted, or put back to an earlier state, \
                 since. A model made of what it holds now would lack them, and says nothing about them; `rebuild --accept-loss` builds one \
                 nevertheless (deploy/runbooks/stream-restored.md)"
                    .to_owned(),
            ));
        }
        match (serving, self.position.era) {
            (Some(serving), Some(ours)) if serving != ours => Err(RebuildError::Refused(
                "the two models were made from different streams: INBOX_EVENTS was made anew in between. Restore it, \
                 or `hookline streams adopt INBOX_EVENTS`"
                    .to_owned(),
            )),
            _ => Ok(()),
        }
    }

    /// Reads again how far it is: a batch was given up in the middle.
    pub(super) async fn refresh(&mut self) -> Result<(), RebuildError> {
        self.position = self.store.leases().position(NAME).await?;
        self.queue.clear();
        self.follower.rewind(self.position);
        Ok(())
    }

    /// Folds up to `target` exactly. With `yields`, the serving projector goes first.
    ///
    /// # Errors
    /// See [`RebuildError`]; what was stored so far stays.
    pub(crate) async fn advance(
        &mut self,
        target: u64,
        mut yields: Option<&mut Live>,
        heart: &mut Heartbeat<'_>,
    ) -> Result<(), RebuildError> {
        while self.position.seq < target {
            heart.at(self.position.seq, target);
            heart.beat("building").await?;
            let mut most = heart.rate().map_or(BATCH_MAX, batch_of);
            if let Some(live) = yields.as_deref_mut() {
                let since = Instant::now();
                while live.behind().await? {
                    if since.elapsed() > GIVE_WAY_MAX {
                        most = most.min(SMALL);
                        break;
                    }
                    heart.beat("giving way to live events").await?;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            let began = Instant::now();
            let folded = self.step(target, most).await?;
            if let Some(rate) = heart.rate() {
                rest(began, folded, rate, heart).await?;
            }
        }
        heart.at(self.position.seq, target);
        Ok(())
    }

    /// One batch, or the knowledge that nothing is there.
    async fn step(&mut self, target: u64, most: usize) -> Result<usize, RebuildError> {
        if self.queue.is_empty() {
            match tokio::time::timeout(SILENCE, self.follower.next_batch(most)).await {
                Ok(Ok(batch)) => self.queue.extend(batch),
                Ok(Err(recreated)) => return Err(RebuildError::Refused(recreated.to_string())),
                Err(_)
                    if holds_between(
                        &self.broker,
                        subjects::EVENT_ALL,
                        self.position.seq,
                        target,
                    )
                    .await? =>
                {
                    return Ok(0);
                }
                // Erased in the meantime: nothing is to be folded up to there.
                Err(_) => {
                    self.apply(target, Vec::new()).await?;
                    return Ok(0);
                }
            }
        }
        let count = self.queue.iter().take(most).take_while(|one| one.sequence <= target).count();
        let batch: Vec<Incoming> = self.queue.drain(..count).map(Incoming::of).collect();
        // What comes next is beyond the target: the rest of the way is empty.
        let to = match (self.queue.front(), batch.last()) {
            (Some(next), _) if next.sequence > target => target,
            (_, Some(last)) => last.seq,
            (_, None) => target,
        };
        self.apply(to, batch).await?;
        Ok(count)
    }

    /// Folds events in any order and stays where it is: for a model that is to know a part only.
    pub(crate) async fn fold(&mut self, batch: Vec<Incoming>) -> Result<(), RebuildError> {
        if batch.is_empty() { Ok(()) } else { self.apply(self.position.seq, batch).await }
    }

    async fn apply(&mut self, to: u64, batch: Vec<Incoming>) -> Result<(), RebuildError> {
        let to = Position { seq: to, era: self.follower.era().or(self.position.era), at: None };
        let stop = CancellationToken::new();
        let (health, lease) = (&self.health, &self.lease);
        let sink = Sink { store: &self.store, health, lease, stop: &stop };
        let storing = sink.store(self.position, to, batch);
        match tokio::time::timeout(STORED_WITHIN, storing).await {
            Ok(Ok(_)) => {
                self.position = to;
                Ok(())
            }
            Ok(Err(_)) => Err(RebuildError::Lost),
            Err(_) => Err(RebuildError::Database(sqlx::Error::PoolTimedOut)),
        }
    }
}

/// A tenth of a second's worth, so that a pause takes effect soon.
fn batch_of(rate: f64) -> usize {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let batch = (rate / 10.0).clamp(1.0, 1000.0) as usize;
    batch
}

async fn rest(
    began: Instant,
    folded: usize,
    rate: f64,
    heart: &mut Heartbeat<'_>,
) -> Result<(), RebuildError> {
    #[allow(clippy::cast_precision_loss)]
    let due = began + Duration::from_secs_f64(folded as f64 / rate.max(0.1));
    while Instant::now() < due {
        heart.beat("building").await?;
        tokio::time::sleep_until(due.min(Instant::now() + Duration::from_millis(500))).await;
    }
    Ok(())
}
