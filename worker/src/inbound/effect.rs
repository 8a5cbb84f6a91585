//! What follows from events besides publishing them: facts, the waiting room, wants, what the sending side knows. One transaction.

use sqlx::PgConnection;

use schemas::Event;

use super::Inbound;
use super::output::Senderless;
use crate::enrich::wants::{self, Want};
use crate::facts::{Draft, FactError, Published};
use crate::reply::state;
use crate::resolve::waiting::{self, Revealed};

/// Records published events and everything that belongs to them in the caller's transaction.
///
/// # Errors
/// [`FactError::Conflict`]: roll back and publish again. Others: roll back.
pub(super) async fn record(
    inbound: &Inbound,
    tx: &mut PgConnection,
    published: &Published,
    hints: &[Senderless],
) -> Result<(), FactError> {
    inbound.facts.record(tx, published).await?;
    let now = runtime::now();
    let events = told(published);
    waiting::admit(tx, hints, now, inbound.twin_grace).await?;
    let revealed: Vec<Revealed> = events.iter().filter_map(Revealed::by).collect();
    waiting::reveal(tx, &revealed).await?;
    let wanted: Vec<Want> = events.iter().filter_map(Want::of).collect();
    wants::note(tx, &wanted).await?;
    state::note(tx, &events, now).await?;
    Ok(())
}

/// Publishes drafts and records all that belongs to them in a transaction of its own.
///
/// # Errors
/// As [`crate::facts::FactStore::begin`].
pub(super) async fn carry_out(
    inbound: &Inbound,
    drafts: &[Draft],
    hints: &[Senderless],
) -> Result<(), FactError> {
    loop {
        let published = inbound.facts.publish(drafts).await?;
        let mut tx = inbound.facts.pool().begin().await?;
        match record(inbound, &mut tx, &published, hints).await {
            Ok(()) => {
                tx.commit().await?;
                return Ok(());
            }
            Err(FactError::Conflict { .. }) => tx.rollback().await?,
            Err(error) => return Err(error),
        }
    }
}

/// Every event these raw webhooks told, published now or before: what belongs to them is noted again after a crash in between.
fn told(published: &Published) -> Vec<Event> {
    let known = published.known.iter().map(|draft| &draft.event);
    published.events().chain(known).cloned().collect()
}
