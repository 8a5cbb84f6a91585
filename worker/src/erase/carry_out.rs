//! Erasures as those who carry them out see them: added, gone on with, looked at.

use facts::erase::{self, Erasure, ErasurePlan, NewErasure, Target};
use runtime::follow::stored;
use schemas::subjects::{EVENT_ALL, INBOX_EVENTS};
use sqlx::PgPool;

use super::work::{Moved, Work};
use super::{events, steps};

impl Work {
    /// Adds an erasure, or finds the one of the same target that is not done. Returns its id.
    ///
    /// # Errors
    /// `sqlx::Error`; call again with the same words.
    pub async fn add(&self, new: NewErasure<'_>) -> sqlx::Result<String> {
        let mut tx = self.pool.begin().await?;
        let id = erase::add(&mut tx, new).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// How far an erasure is.
    ///
    /// # Errors
    /// `sqlx::Error`; ask again.
    pub async fn look(&self, id: &str) -> sqlx::Result<Option<Erasure>> {
        erase::get(&self.pool, id).await
    }

    /// The last position of INBOX_EVENTS.
    ///
    /// # Errors
    /// The broker did not answer; ask again.
    pub async fn newest_event(&self) -> anyhow::Result<u64> {
        let last = stored::last(self.broker.js(), INBOX_EVENTS, EVENT_ALL).await?;
        Ok(last.map_or(0, |last| last.sequence))
    }

    /// Does the next piece of an erasure.
    ///
    /// # Errors
    /// Broker or Postgres did not answer; call again.
    pub async fn go_on(&mut self, id: &str) -> anyhow::Result<Moved> {
        let Some(erasure) = self.look(id).await? else { return Ok(Moved::Done) };
        let Some(target) = erasure.target() else { return Ok(Moved::Done) };
        let moved = Box::pin(steps::step(self, &erasure, &target)).await?;
        if let Moved::Waits(why) = &moved {
            erase::waits(&self.pool, id, why).await?;
        }
        Ok(moved)
    }

    /// Looks through all of META_RAW and INBOX_EVENTS for what the rules forbid, and erases it: after a stream was restored. `show` is called
    /// with the stream and the position. Returns how many raw webhooks and events it found.
    ///
    /// # Errors
    /// Broker or Postgres did not answer; call again.
    pub async fn again(
        &mut self,
        show: &mut (dyn FnMut(&'static str, u64) + Send),
    ) -> anyhow::Result<(u64, u64)> {
        let events = Box::pin(events::again(self, show)).await?;
        let raws = Box::pin(steps::raws_again(self, show)).await?;
        Ok((raws, events))
    }
}

/// What there is of a target, before anything is done.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub async fn plan(
    pool: &PgPool,
    channel: schemas::Channel,
    account: &schemas::AccountId,
    target: &Target,
) -> sqlx::Result<ErasurePlan> {
    match target {
        Target::Person(contact) => erase::plan_person(pool, channel, account, contact).await,
        Target::Messages(ids) => erase::plan_messages(pool, channel, account, ids).await,
    }
}
