//! The one way by which the worker publishes events, so that deduplication, revisions, digests and withdrawals are in one place.
//!
//! The order is always the same: *plan* (compare with `worker.facts`) → *publish* (atomic batches with derived ids) → one
//! transaction that *records* the facts together with whatever belongs to them. A crash before the commit repeats all of it: the
//! broker's window answers `duplicate`, and subscribers drop by id and revision what came twice.
//!
//! ```text
//! let mut emission = facts.begin(drafts).await?;          // planned, published, recorded in an open transaction
//! sqlx::query("…").execute(&mut *emission.tx).await?;     // what must be true together with it
//! emission.commit().await?;
//! ```

pub mod accounts;
pub mod decide;
pub mod digest;
pub mod draft;
pub mod follow_up;
pub mod ids;
mod publish;
mod rows;
pub mod seal;

use sqlx::{PgConnection, PgPool, Postgres, Transaction};

pub use decide::{Decision, Known, Planned, Stored};
pub use draft::{Direction, Draft, MessageFact, Secret};
pub use publish::{PublishError, outgoing};

use schemas::{Event, EventId};

use crate::seal::{Seal, SealError};

/// Rounds of planning anew before a call gives up and its caller backs off.
const ROUNDS_MAX: u32 = 8;

/// Publishes events and remembers them.
#[derive(Clone, Debug)]
pub struct FactStore {
    broker: runtime::broker::Broker,
    pool: PgPool,
    seal: Seal,
    replay: Option<std::sync::Arc<str>>,
}

/// What is to be published.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// To publish, in order, and what needs nothing.
    pub decision: Decision,
    /// Events found in the stream that nobody had recorded yet.
    adopted: Vec<Placed>,
}

/// An event and where it stands in INBOX_EVENTS.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The draft as published.
    pub planned: Planned,
    /// Its position in INBOX_EVENTS.
    pub event_seq: u64,
}

/// What was published, to be recorded.
#[derive(Clone, Debug, Default)]
pub struct Published {
    /// In order.
    pub placed: Vec<Placed>,
    /// Known already: not published again.
    pub known: Vec<Draft>,
    /// Withdrawn earlier: not published.
    pub refused: Vec<Draft>,
    adopted: Vec<Placed>,
}

impl Published {
    /// The events that were published, in order.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.placed.iter().map(|placed| &placed.planned.draft.event)
    }
}

/// Published facts, recorded in a transaction that is still open.
#[derive(Debug)]
pub struct Emission {
    /// For what must be true together with the facts. Dropped without [`Emission::commit`], nothing is recorded.
    pub tx: Transaction<'static, Postgres>,
    /// What was published.
    pub published: Published,
}

impl Emission {
    /// Commits the facts and everything else done in the transaction.
    ///
    /// # Errors
    /// When Postgres refuses or cannot be reached; the whole call must then be repeated.
    pub async fn commit(self) -> Result<Published, FactError> {
        self.tx.commit().await?;
        Ok(self.published)
    }
}

/// Why facts could not be published or recorded.
#[derive(Debug, thiserror::Error)]
pub enum FactError {
    /// Somebody else published another reading of the same fact at the same moment: plan again.
    #[error("another reading of {event_id} was published at the same moment: plan again")]
    Conflict {
        /// The fact.
        event_id: EventId,
    },
    /// The broker did not take the events: try again later.
    #[error("publishing events")]
    Publish(#[source] Box<PublishError>),
    /// Postgres did not answer as expected: try again later.
    #[error("the table of facts")]
    Database(#[from] sqlx::Error),
    /// A secret could not be sealed.
    #[error("sealing a secret")]
    Seal(#[from] SealError),
}

impl From<PublishError> for FactError {
    fn from(error: PublishError) -> Self {
        Self::Publish(Box::new(error))
    }
}

impl FactStore {
    /// Publishes over `broker`, remembers in `pool`, seals secrets with `seal`.
    pub const fn new(broker: runtime::broker::Broker, pool: PgPool, seal: Seal) -> Self {
        Self { broker, pool, seal, replay: None }
    }

    /// The same for a replay: everything it publishes carries header `Hookline-Replay` with the job's id.
    pub fn replaying(&self, job: &str) -> Self {
        Self { replay: Some(job.into()), ..self.clone() }
    }

    /// The replay job it publishes for.
    pub fn replay(&self) -> Option<&str> {
        self.replay.as_deref()
    }

    /// Opens what was sealed beside the facts.
    pub const fn seal(&self) -> &Seal {
        &self.seal
    }

    /// The database of the facts.
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Compares drafts with what is known. Nothing is written.
    ///
    /// # Errors
    /// [`FactError::Database`].
    pub async fn plan(
        &self,
        conn: &mut PgConnection,
        drafts: Vec<Draft>,
    ) -> Result<Plan, FactError> {
        self.plan_with(conn, drafts, Vec::new()).await
    }

    /// The same, where `before` was planned already but is not recorded. Nothing is written.
    ///
    /// # Errors
    /// [`FactError::Database`].
    pub async fn plan_after(
        &self,
        conn: &mut PgConnection,
        drafts: Vec<Draft>,
        before: &Known,
    ) -> Result<Decision, FactError> {
        let mut known = rows::known(conn, &drafts).await?;
        for draft in &drafts {
            if let Some(planned) = before.facts.get(&draft.event.id) {
                known
                    .facts
                    .entry(draft.event.id.clone())
                    .or_default()
                    .extend(planned.iter().cloned());
            }
        }
        Ok(decide::decide(drafts, known))
    }

    async fn plan_with(
        &self,
        conn: &mut PgConnection,
        drafts: Vec<Draft>,
        adopted: Vec<Placed>,
    ) -> Result<Plan, FactError> {
        let mut known = rows::known(conn, &drafts).await?;
        for placed in &adopted {
            let event = &placed.planned.draft.event;
            let stored = known.facts.entry(event.id.clone()).or_default();
            if !stored.iter().any(|stored| stored.revision == event.revision()) {
                stored.push(Stored::of(event));
            }
        }
        Ok(Plan { decision: decide::decide(drafts, known), adopted })
    }

    /// Plans and publishes, planning anew when somebody else published another reading of a fact meanwhile. The result must be
    /// given to [`FactStore::record`].
    ///
    /// # Errors
    /// [`FactError::Database`], [`FactError::Publish`], and [`FactError::Conflict`] when that happened again and again.
    pub async fn publish(&self, drafts: &[Draft]) -> Result<Published, FactError> {
        let mut adopted = Vec::new();
        for _ in 0..ROUNDS_MAX {
            let plan = {
                let mut conn = self.pool.acquire().await?;
                self.plan_with(&mut conn, drafts.to_vec(), adopted).await?
            };
            match self.publish_plan(plan).await? {
                publish::Attempt::Done(published) => return Ok(published),
                publish::Attempt::Found(found) => adopted = found,
            }
        }
        let event_id =
            drafts.first().map_or_else(|| EventId::from(""), |draft| draft.event.id.clone());
        Err(FactError::Conflict { event_id })
    }

    /// Records what was published: facts, withdrawals, the index of messages, sealed secrets. Belongs into the transaction of
    /// whatever else must be true with it.
    ///
    /// # Errors
    /// [`FactError::Conflict`] when another reading was recorded under the same revision: roll back and start over.
    pub async fn record(
        &self,
        tx: &mut PgConnection,
        published: &Published,
    ) -> Result<(), FactError> {
        rows::record_facts(tx, &published.adopted).await?;
        rows::record_facts(tx, &published.placed).await?;
        rows::record_withdrawals(tx, &published.adopted).await?;
        rows::record_withdrawals(tx, &published.placed).await?;
        rows::record_messages(tx, &published.placed, &published.known).await?;
        rows::record_secrets(tx, &self.seal, &published.placed, &published.known).await?;
        runtime::failpoint!("facts.after_record");
        Ok(())
    }

    /// Plans, publishes and records in a new transaction, which the caller fills further and commits.
    ///
    /// # Errors
    /// As [`FactStore::publish`]; nothing is recorded then.
    pub async fn begin(&self, drafts: &[Draft]) -> Result<Emission, FactError> {
        let mut round = 0;
        loop {
            round += 1;
            let published = self.publish(drafts).await?;
            let mut tx = self.pool.begin().await?;
            match self.record(&mut tx, &published).await {
                Ok(()) => return Ok(Emission { tx, published }),
                Err(FactError::Conflict { .. }) if round < ROUNDS_MAX => tx.rollback().await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// Publishes and records drafts with nothing else in the transaction.
    ///
    /// # Errors
    /// As [`FactStore::begin`].
    pub async fn emit(&self, drafts: &[Draft]) -> Result<Published, FactError> {
        self.begin(drafts).await?.commit().await
    }
}
