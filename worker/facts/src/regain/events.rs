//! Events of the log become facts again, with what follows from them.

use schemas::{Event, Kind, Timestamp, Via};
use sqlx::PgConnection;

use super::{draft_of, rows};
use crate::accounts::regain as accounts;
use crate::decide::Planned;
use crate::digest::digest;
use crate::error::FactError;
use crate::follow_up::conversation_state;
use crate::follow_up::wants::{self, Want};
use crate::messages;
use crate::news;
use crate::published::Placed;
use crate::rows as facts;
use crate::seal::Seal;

/// An event as INBOX_EVENTS has it.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    /// The event.
    pub event: Event,
    /// Its position.
    pub seq: u64,
    /// When the broker stored it.
    pub stored_at: Timestamp,
}

impl StoredEvent {
    /// Whether a worker published it. What people do through the api is in the log alone.
    pub fn is_of_worker(&self) -> bool {
        self.event.data.origin.via != Via::Api
    }
}

/// Records events with what follows from them: facts, withdrawals, messages, profiles wanted, conversations, echoes, and the accounts they are of. An event that is
/// recorded already changes nothing, so a batch may come again. `batch`: in the order of the log.
///
/// # Errors
/// [`FactError`]; roll back and give the batch again.
pub async fn events(
    conn: &mut PgConnection,
    seal: &Seal,
    batch: &[StoredEvent],
) -> Result<(), FactError> {
    let batch: Vec<&StoredEvent> = batch.iter().filter(|one| one.is_of_worker()).collect();
    let placed: Vec<Placed> = batch.iter().map(|one| placed(one)).collect();
    match facts::record_facts(conn, &placed).await {
        // A reading that stands twice in the log, and says something else the second time: the first counts.
        Ok(()) | Err(FactError::Conflict { .. }) => {}
        Err(error) => return Err(error),
    }
    rows::mark_merged(conn, &placed).await?;
    facts::record_withdrawals(conn, &placed).await?;
    messages::record(conn, &placed, &[]).await?;
    news::note(conn, placed.iter()).await?;
    let of_accounts = batch.iter().map(|one| &one.event).filter(|event| names_account(event));
    accounts::regain(
        conn,
        seal,
        of_accounts.map(|event| (event.data.channel, &event.data.account_id)),
    )
    .await?;
    follow_up(conn, &batch).await?;
    Ok(())
}

fn placed(one: &StoredEvent) -> Placed {
    let digest = digest(&one.event);
    let planned = Planned { draft: draft_of(one.event.clone()), digest, merged: false };
    Placed { planned, event_seq: one.seq, stored_at: Some(one.stored_at) }
}

/// An unknown account has events of these kinds only.
fn names_account(event: &Event) -> bool {
    !matches!(event.kind(), Kind::WebhookUnrecognized | Kind::WebhookTest)
}

async fn follow_up(conn: &mut PgConnection, batch: &[&StoredEvent]) -> sqlx::Result<()> {
    let Some(last) = batch.last() else { return Ok(()) };
    // An import wants no profiles. Nothing is in the waiting room yet, so nothing is revealed.
    let wanted = batch.iter().filter(|one| one.event.data.origin.via != Via::Backfill);
    let wanted: Vec<Want> = wanted.filter_map(|one| Want::of(&one.event)).collect();
    wants::note(conn, &wanted).await?;
    // A time in the future was capped when the event was published.
    let (now, later): (Vec<&StoredEvent>, Vec<&StoredEvent>) =
        batch.iter().partition(|one| one.event.time <= one.stored_at);
    let events: Vec<Event> = now.iter().map(|one| one.event.clone()).collect();
    conversation_state::note(conn, &events, last.stored_at).await?;
    for one in later {
        let event = std::slice::from_ref(&one.event);
        conversation_state::note(conn, event, one.stored_at).await?;
    }
    let seen: Vec<(&Event, Timestamp)> =
        batch.iter().map(|one| (&one.event, one.stored_at)).collect();
    conversation_state::seen_at(conn, &seen).await
}
