//! The writer of one read model: batches, events folded again, and what is noted about events set aside.

use std::collections::BTreeSet;

use runtime::lease::{Lease, Leases, Position};
use runtime::waits::LEASE;
use schemas::subjects;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use super::absorb::{absorb_again, absorb_batch};
use super::error::StoreError;
use super::schema::SchemaName;
use super::tables::parked_bytes::{self, Kept};
use super::tables::{facts, parked, positions};
use super::{mended, models, scope, serving};
use crate::batch::{FOLD_FAILED, sort};
use crate::fold::Arrival;
use crate::read::{Incoming, Parked};

/// The name of the projector's lease and position.
pub const NAME: &str = "projector";

/// The channel of `pg_notify` that readers hear on how far the read model is.
const NOTIFY: &str = "inbox_projected";

/// What a read model is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// Readers see it: it must be the serving one, and they are notified of how far it is.
    Serving,
    /// Nobody reads it yet, and it can be made again: no notice.
    Aside,
}

/// Writes one read model.
#[derive(Clone)]
pub struct Store {
    purpose: Purpose,
    pool: PgPool,
    schema: SchemaName,
    leases: Leases,
}

/// How an event that was set aside came out when it was folded again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Again {
    /// Its rows are what they should be, and it is off the list.
    Folded,
    /// It failed again; the list has the cause.
    Failed(&'static str),
    /// It is not on the list any more.
    Gone,
}

impl Store {
    /// The read model in `schema`, written as `owner` (unique per process).
    pub fn new(pool: PgPool, schema: &SchemaName, owner: String) -> Self {
        let leases = Leases::new(pool.clone(), schema.as_str(), owner, LEASE.get());
        Self { purpose: Purpose::Serving, pool, schema: schema.clone(), leases }
    }

    /// A read model beside the serving one, which no reader sees.
    pub(crate) fn aside(pool: PgPool, schema: &SchemaName, owner: String) -> Self {
        Self { purpose: Purpose::Aside, ..Self::new(pool, schema, owner) }
    }

    /// The schema it writes.
    pub(crate) const fn schema(&self) -> &SchemaName {
        &self.schema
    }

    /// The leases of this read model.
    pub const fn leases(&self) -> &Leases {
        &self.leases
    }

    /// The schema that the public views show now.
    ///
    /// # Errors
    /// `sqlx::Error`: ask again.
    pub(crate) async fn serving(&self) -> sqlx::Result<SchemaName> {
        serving::serving(&self.pool).await
    }

    /// Absorbs a batch and moves the position from `from` to `to`, all or nothing. Returns the events set aside.
    ///
    /// # Errors
    /// See [`StoreError`]; then nothing was written.
    pub async fn apply(
        &self,
        lease: &Lease,
        from: Position,
        to: Position,
        batch: Vec<Incoming>,
    ) -> Result<Vec<Parked>, StoreError> {
        let mut tx = self.begin(&lease.name).await?;
        if positions::stored(&mut tx, &lease.name).await? != from.seq {
            return Err(StoreError::Fenced);
        }
        let mut sorted = sort(batch);
        let failed = absorb_batch(&mut tx, std::mem::take(&mut sorted.arrivals)).await?;
        let aside = sorted.set_aside(&failed);
        for event in &aside {
            parked::put(&mut tx, event).await?;
        }
        if !self.leases.move_position(&mut tx, lease, subjects::INBOX_EVENTS, from.seq, to).await? {
            return Err(StoreError::Fenced);
        }
        if self.purpose == Purpose::Aside {
            tx.commit().await?;
            return Ok(aside);
        }
        notify(&mut tx, to.seq).await?;
        runtime::failpoint!("projector.before_commit");
        tx.commit().await?;
        runtime::failpoint!("projector.after_commit");
        Ok(aside)
    }

    /// Folds an event that was set aside, computes every row that is kept of it anew, and takes it off the list; nothing where a row fails.
    /// `name`: of the lease whose holder is to wait meanwhile.
    ///
    /// # Errors
    /// See [`StoreError`]; then nothing was written.
    pub async fn fold_again(&self, name: &str, incoming: Incoming) -> Result<Again, StoreError> {
        let mut tx = self.begin(name).await?;
        let seq = i64::try_from(incoming.seq).unwrap_or(i64::MAX);
        if !parked::remove(&mut tx, seq).await? {
            return Ok(Again::Gone);
        }
        let cause = match incoming.outcome {
            Err(parked) => Some((parked.cause, parked.detail)),
            Ok((arrival, _)) => {
                let held = forget(&mut tx, &arrival).await?;
                let failed = absorb_again(&mut tx, arrival, held).await?;
                (!failed.entities.is_empty())
                    .then(|| (FOLD_FAILED, "computing the row failed again".to_owned()))
            }
        };
        let Some((cause, detail)) = cause else {
            let position = positions::stored(&mut tx, name).await?;
            mended::put(&mut tx, seq, position).await?;
            tx.commit().await?;
            return Ok(Again::Folded);
        };
        tx.rollback().await?;
        self.note(seq, cause, &detail).await?;
        Ok(Again::Failed(cause))
    }

    /// Gives up the model that is kept from the last swap: it follows no more, so what is erased would stay in it. From now on nobody goes back
    /// to it; [`Store::drop_left`] drops it. `true`: there was one.
    ///
    /// # Errors
    /// `sqlx::Error`; call again.
    pub(crate) async fn leave_kept(&self) -> sqlx::Result<bool> {
        models::leave_kept(&self.pool).await
    }

    /// Drops the models that are given up and that nobody reads.
    ///
    /// # Errors
    /// `sqlx::Error`, also where somebody reads one of them: call again later.
    pub(crate) async fn drop_left(&self) -> sqlx::Result<()> {
        models::drop_unread(&self.pool).await
    }

    /// Sets the position to the beginning of the stream, which was put back to an earlier state: what is absorbed again changes nothing, and
    /// the rows are made of one era more.
    ///
    /// # Errors
    /// See [`StoreError`]; then nothing was written.
    pub(crate) async fn start_over(&self, lease: &Lease, from: Position) -> Result<(), StoreError> {
        let mut tx = self.begin(&lease.name).await?;
        let start = Position { seq: 0, era: from.era, at: None };
        let stream = subjects::INBOX_EVENTS;
        if !self.leases.move_position(&mut tx, lease, stream, from.seq, start).await? {
            return Err(StoreError::Fenced);
        }
        positions::count_era(&mut tx, &lease.name).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Notes why an event that is set aside failed again.
    ///
    /// # Errors
    /// `sqlx::Error`; the list says what it said before.
    pub(crate) async fn note(&self, seq: i64, cause: &str, detail: &str) -> sqlx::Result<()> {
        let mut tx = scope::begin(&self.pool, &self.schema).await?;
        parked::note(&mut tx, seq, cause, detail).await?;
        tx.commit().await
    }

    /// How many events are set aside, and those whose copy in INBOX_DEAD is missing: at most `limit`, in order.
    ///
    /// # Errors
    /// `sqlx::Error`: ask again.
    pub(crate) async fn parked(&self, limit: i64) -> sqlx::Result<(i64, Vec<parked::Unannounced>)> {
        let mut tx = scope::begin(&self.pool, &self.schema).await?;
        let count = parked::count(&mut tx).await?;
        let unannounced = parked::unannounced(&mut tx, limit).await?;
        tx.commit().await?;
        Ok((count, unannounced))
    }

    /// Notes that the copies of the events at these positions are published.
    ///
    /// # Errors
    /// `sqlx::Error`; they are published again then.
    pub(crate) async fn announced(&self, positions: &[i64]) -> sqlx::Result<()> {
        if positions.is_empty() {
            return Ok(());
        }
        let mut tx = scope::begin(&self.pool, &self.schema).await?;
        parked::announced(&mut tx, positions).await?;
        tx.commit().await
    }

    /// Positions of events set aside whose bytes were not looked up yet, at most `limit`.
    ///
    /// # Errors
    /// `sqlx::Error`: ask again.
    pub(crate) async fn to_look_up(&self, limit: i64) -> sqlx::Result<Vec<i64>> {
        let mut tx = scope::begin(&self.pool, &self.schema).await?;
        let positions = parked_bytes::to_look_up(&mut tx, limit).await?;
        tx.commit().await?;
        Ok(positions)
    }

    /// Keeps the bytes of an event set aside; `None`: the stream has them no more.
    ///
    /// # Errors
    /// `sqlx::Error`; they are looked up again.
    pub(crate) async fn keep(&self, seq: i64, kept: Option<&Kept>) -> sqlx::Result<()> {
        let mut tx = scope::begin(&self.pool, &self.schema).await?;
        parked_bytes::keep(&mut tx, seq, kept).await?;
        tx.commit().await
    }

    /// The bytes of an event set aside, where they are kept.
    ///
    /// # Errors
    /// `sqlx::Error`: ask again.
    pub(crate) async fn kept(&self, seq: i64) -> sqlx::Result<Option<Kept>> {
        let mut tx = scope::begin(&self.pool, &self.schema).await?;
        if !parked_bytes::are_kept(&mut tx).await? {
            return Ok(None);
        }
        let kept = parked_bytes::kept(&mut tx, seq).await?;
        tx.commit().await?;
        Ok(kept)
    }

    /// Begins to write. Two writers come one after the other, and the second one sees that it is late. A lock on the lease's row would hold
    /// up its renewal, and before the first batch there is no position to lock.
    async fn begin(&self, name: &str) -> Result<Transaction<'static, Postgres>, StoreError> {
        let mut tx = self.leases.begin_derived().await?;
        scope::lock_to_write(&mut tx, &self.schema, name).await?;
        // A swap holds the same lock until it has committed: nothing is written to a model that serves no more.
        if self.purpose == Purpose::Serving {
            let serving = serving::serving_now(&mut tx).await?;
            if serving.is_some_and(|serving| serving != self.schema) {
                return Err(StoreError::Moved);
            }
        }
        Ok(tx)
    }
}

/// Takes back what is kept of this very version of an event, since today's code may split it differently, and returns the rows that any
/// version of it was about: which of them failed is not known.
async fn forget(conn: &mut PgConnection, arrival: &Arrival) -> sqlx::Result<BTreeSet<String>> {
    let event = arrival.event_id();
    let held = facts::entities_of(conn, event).await?;
    if let Arrival::Fact { version, .. } = arrival {
        facts::drop_version(conn, event, version).await?;
    }
    Ok(held.into_iter().collect())
}

/// Notifies readers of the position, once the transaction is committed.
async fn notify(conn: &mut PgConnection, position: u64) -> sqlx::Result<()> {
    sqlx::query("select pg_notify($1, $2)")
        .bind(NOTIFY)
        .bind(position.to_string())
        .execute(conn)
        .await
        .map(|_| ())
}
