//! Plan, publish, record: in this order, and the last in a transaction. [`FactStore::begin`] is the only way to do it.
//!
//! Dead letters and commands are no facts: they have no revisions, so nothing can conflict, and their tables say what was published.

use std::collections::HashMap;

use runtime::BoxFuture;
use runtime::broker::Broker;
use runtime::streams;
use schemas::EventId;
use schemas::subjects::INBOX_EVENTS;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use crate::decide::{self, Decision, Known};
use crate::draft::Draft;
use crate::error::{FactError, PublishError};
use crate::merge::{Report, Reports};
use crate::published::{Placed, PublishPlan, Published};
use crate::recorded::{Place, RecordedFact};
use crate::seal::Seal;
use crate::{erased, messages, news, publish, reports, rows, secrets};

/// Rounds of planning, and of publishing and recording, before a call gives up and its caller backs off.
const ROUNDS_MAX: u32 = 8;
/// Rounds of publishing that each find another reading in the stream. A Postgres that was put back knows none of those published since, and
/// each restore may have left one more of the same fact: they are all to be learnt in one call, for nothing is recorded before its end.
const READINGS_MAX: u32 = 256;

/// Publishes events and remembers them.
#[derive(Clone, Debug)]
pub struct FactStore {
    pub(crate) broker: Broker,
    pool: PgPool,
    seal: Seal,
    replay: Option<std::sync::Arc<str>>,
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

impl FactStore {
    /// Publishes over `broker`, remembers in `pool`, seals secrets with `seal`.
    pub const fn new(broker: Broker, pool: PgPool, seal: Seal) -> Self {
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
    ) -> Result<PublishPlan, FactError> {
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
        let mut known = self.known(conn, &drafts).await?;
        for draft in &drafts {
            let id = &draft.event.id;
            if let Some(planned) = before.facts.get(id) {
                known.facts.entry(id.clone()).or_default().extend(planned.iter().cloned());
                known.reports.remove(id);
            }
            if let Some(reports) = before.reports.get(id) {
                known.reports.insert(id.clone(), reports.clone());
            }
        }
        Ok(decide::decide(drafts, known))
    }

    /// What is known about drafts, with the reports that are needed to decide about them.
    async fn known(&self, conn: &mut PgConnection, drafts: &[Draft]) -> Result<Known, FactError> {
        let mut known = rows::known(conn, drafts).await?;
        let contended = decide::contended(drafts, &known);
        if contended.is_empty() {
            return Ok(known);
        }
        known.reports = reports::read(conn, &contended).await?;
        for id in contended {
            // Published once: the report is the event itself.
            if !known.reports.contains_key(&id)
                && let Some(latest) = known.latest(&id)
                && let Some(event) = publish::read_back(&self.broker, latest.event_seq).await?
                && event.id == id
            {
                let report = Report { digest: latest.digest, event };
                known.reports.insert(id, Reports::one(latest.source, report));
            }
        }
        Ok(known)
    }

    async fn plan_with(
        &self,
        conn: &mut PgConnection,
        drafts: Vec<Draft>,
        adopted: Vec<Placed>,
    ) -> Result<PublishPlan, FactError> {
        let mut known = self.known(conn, &drafts).await?;
        for placed in &adopted {
            known.learn(&placed.planned.draft.event);
        }
        Ok(PublishPlan { decision: decide::decide(drafts, known), adopted })
    }

    /// Plans and publishes, and plans anew when another reading of a fact was published meanwhile. The result must be
    /// given to [`FactStore::record`].
    fn publish<'a>(&'a self, drafts: &'a [Draft]) -> BoxFuture<'a, Result<Published, FactError>> {
        Box::pin(async move {
            let mut adopted = Vec::new();
            for _ in 0..READINGS_MAX {
                let plan = {
                    let mut conn = self.pool.acquire().await?;
                    self.plan_with(&mut conn, drafts.to_vec(), adopted).await?
                };
                match publish::publish_plan(&self.broker, self.replay(), plan).await? {
                    publish::Attempt::Done(published) => return Ok(published),
                    publish::Attempt::Found(found) => adopted = found,
                }
            }
            Err(conflict(drafts))
        })
    }

    /// Whether the newest event of a subject is published and not recorded yet: whoever published it has not come to its commit, or has
    /// died before it. `false` where there is none.
    ///
    /// # Errors
    /// [`FactError::Publish`] or [`FactError::Database`] when the broker or Postgres does not answer; ask again.
    pub async fn newest_unrecorded(&self, subject: &str) -> Result<bool, FactError> {
        let Some(event) = publish::newest(&self.broker, subject).await? else { return Ok(false) };
        Ok(!rows::is_recorded(&self.pool, &event.id).await?)
    }

    /// Facts whose first and only source is one of these raw webhooks, by position in META_RAW: not withdrawn, and neither Graph nor a reply
    /// gave them too.
    ///
    /// # Errors
    /// `sqlx::Error`; ask again.
    pub async fn given_by(&self, raw_seqs: &[u64]) -> sqlx::Result<Vec<RecordedFact>> {
        rows::given_by(&self.pool, raw_seqs).await
    }

    /// Where the newest reading of each event stands; without those that are not recorded.
    ///
    /// # Errors
    /// `sqlx::Error`; ask again.
    pub async fn places(&self, ids: &[&str]) -> sqlx::Result<HashMap<EventId, Place>> {
        rows::places(&self.pool, ids).await
    }

    /// Records what was published: facts, withdrawals, the index of messages, sealed secrets.
    /// [`FactError::Conflict`]: another reading was recorded under the same revision; roll back and start over.
    fn record<'a>(
        &'a self,
        tx: &'a mut PgConnection,
        published: &'a Published,
    ) -> BoxFuture<'a, Result<(), FactError>> {
        Box::pin(async move {
            rows::record_facts(tx, &published.adopted).await?;
            rows::record_facts(tx, &published.placed).await?;
            rows::record_withdrawals(tx, &published.adopted).await?;
            rows::record_withdrawals(tx, &published.placed).await?;
            reports::record(tx, &published.reports).await?;
            messages::record(tx, &published.placed, &published.known).await?;
            secrets::record(tx, &self.seal, &published.placed, &published.known).await?;
            news::note(tx, published.adopted.iter().chain(&published.placed)).await?;
            runtime::failpoint!("facts.after_record");
            Ok(())
        })
    }

    /// Withdraws events that were published too late, and erases them in the stream.
    async fn take_back(&self, late: &[&Placed]) -> Result<(), FactError> {
        let withdrawals: Vec<Draft> = late
            .iter()
            .map(|placed| {
                let event = &placed.planned.draft.event;
                let data = &event.data;
                let (id, person) = (event.id.clone(), data.contact_id.clone());
                erased::withdrawal(data.channel, &data.account_id, person, id, event.time)
            })
            .collect();
        let published = self.publish(&withdrawals).await?;
        let mut tx = self.pool.begin().await?;
        self.record(&mut tx, &published).await?;
        tx.commit().await?;
        self.erase(late).await
    }

    async fn erase(&self, events: &[&Placed]) -> Result<(), FactError> {
        let seqs: Vec<u64> = events.iter().map(|placed| placed.event_seq).collect();
        streams::erase(self.broker.js(), INBOX_EVENTS, &seqs).await.map_err(PublishError::from)?;
        Ok(())
    }

    /// Plans, publishes and records in a new transaction, which the caller fills further and commits.
    ///
    /// # Errors
    /// [`FactError::Database`], [`FactError::Publish`], [`FactError::Seal`], and [`FactError::Conflict`] when other readings of the same
    /// facts came first in every round. Nothing is recorded then; repeat with the same drafts.
    pub fn begin<'a>(&'a self, drafts: &'a [Draft]) -> BoxFuture<'a, Result<Emission, FactError>> {
        Box::pin(async move { self.begin_in(drafts, || self.pool.begin()).await })
    }

    /// The same in a transaction that `open` begins, once per round, after publishing.
    ///
    /// # Errors
    /// As [`FactStore::begin`].
    pub async fn begin_in<F>(
        &self,
        drafts: &[Draft],
        open: impl Fn() -> F,
    ) -> Result<Emission, FactError>
    where
        F: Future<Output = sqlx::Result<Transaction<'static, Postgres>>>,
    {
        for _ in 0..ROUNDS_MAX {
            let published = self.publish(drafts).await?;
            let mut tx = open().await?;
            let late = erased_since(&mut tx, &published).await?;
            if !late.gone.is_empty() {
                tx.rollback().await?;
                self.take_back(&late.gone).await?;
                continue;
            }
            if late.has_words {
                // Planned anew they are found in the stream, and published once more without the words.
                tx.rollback().await?;
                continue;
            }
            self.erase(&late.replaced).await?;
            match self.record(&mut tx, &published).await {
                Ok(()) => return Ok(Emission { tx, published }),
                Err(FactError::Conflict { .. }) => tx.rollback().await?,
                Err(error) => return Err(error),
            }
        }
        Err(conflict(drafts))
    }
}

/// What was published although it was erased between planning and now. Whoever erases has perhaps read the stream before it came.
struct Late<'a> {
    /// Events of which nothing stays.
    gone: Vec<&'a Placed>,
    /// An event was published with words that are erased.
    has_words: bool,
    /// Such events, after which another reading without the words is published now.
    replaced: Vec<&'a Placed>,
}

async fn erased_since<'a>(
    conn: &mut PgConnection,
    published: &'a Published,
) -> Result<Late<'a>, FactError> {
    let placed = || published.placed.iter().chain(&published.adopted);
    let events = placed().map(|placed| &placed.planned.draft.event);
    let rules = crate::erase::rules(conn, events).await?;
    let has_words = |placed: &&Placed| rules.has_words(&placed.planned.draft.event);
    Ok(Late {
        gone: placed().filter(|placed| rules.has(&placed.planned.draft.event)).collect(),
        has_words: published.placed.iter().any(|placed| has_words(&placed)),
        replaced: published.adopted.iter().filter(has_words).collect(),
    })
}

fn conflict(drafts: &[Draft]) -> FactError {
    let first = drafts.first().map(|draft| draft.event.id.clone());
    FactError::Conflict { event_id: first.unwrap_or_else(|| EventId::from("")) }
}
