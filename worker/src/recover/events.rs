//! Stage *events*: INBOX_EVENTS becomes facts again, with what follows from them.

use facts::Direction;
use facts::follow_up::waiting::resolution_context;
use facts::regain::{self, StoredEvent};
use runtime::follow::{Follower, Received};
use runtime::lease::Position;
use runtime::streams::StreamName;
use schemas::facts::Message;
use schemas::subjects::{EVENT_ALL, INBOX_EVENTS};
use schemas::{ContactId, Event, Fact, Via};
use sqlx::PgConnection;

use super::place::{At, Recovery, Show, commit};
use super::rows::{self, ProfileRead};
use super::stage::{Done, Stage};
use crate::enrich::freshness::FRESH;
use crate::resolve::{Author, Resolution, store_resolution};

/// Events in one transaction.
const BATCH: usize = 500;

/// Reads all events after `position`.
pub(super) async fn read(
    recovery: &Recovery,
    mut position: u64,
    mut done: Done,
    show: Show<'_>,
) -> anyhow::Result<()> {
    let (era, end) = recovery.stands(StreamName::Events).await?;
    let from = Position { seq: position, era: Some(era), at: None };
    let mut follower = Follower::new(recovery.broker.clone(), INBOX_EVENTS, EVENT_ALL, from);
    while let Some(batch) = follower.next_up_to(end, BATCH).await? {
        let Some(to) = batch.last().map(|last| last.sequence) else { break };
        let events: Vec<StoredEvent> = batch.iter().filter_map(event_of).collect();
        done.unreadable += (batch.len() - events.len()) as u64;
        done.events += events.iter().filter(|one| one.is_of_worker()).count() as u64;
        let mut tx = recovery.pool.begin().await?;
        regain::events(&mut tx, recovery.facts.seal(), &events).await?;
        for one in &events {
            note(recovery, &mut tx, &one.event).await?;
        }
        commit(tx, Stage::Events, (position, to), &done).await?;
        position = to;
        show(At { stage: Stage::Events, position, end });
    }
    rows::calm_wants(&recovery.pool).await?;
    recovery.go_on(Stage::Events, Stage::Raws, &done).await
}

fn event_of(message: &Received) -> Option<StoredEvent> {
    let event = serde_json::from_slice(&message.payload).ok()?;
    Some(StoredEvent { event, seq: message.sequence, stored_at: message.stored_at })
}

/// What single events leave beside facts: a profile that was read, a sender that was found.
async fn note(recovery: &Recovery, conn: &mut PgConnection, event: &Event) -> anyhow::Result<()> {
    let data = &event.data;
    let by_graph = |_: &&ContactId| data.origin.via == Via::Reconcile;
    let Some(contact) = data.contact_id.as_ref().filter(by_graph) else { return Ok(()) };
    match &data.fact {
        Fact::ContactEnriched(profile) => {
            let read = ProfileRead {
                channel: data.channel,
                account: &data.account_id,
                contact,
                digest: rows::digest_of(profile),
                at: event.time,
            };
            rows::enriched(conn, &read, event.time.plus(FRESH)).await?;
            Ok(())
        }
        Fact::MessageReceived(body) => {
            let author = Author { contact: contact.clone(), direction: Direction::Inbound };
            found(recovery, conn, event, body, &author).await
        }
        Fact::MessageSent(body) => {
            let author = Author { contact: contact.clone(), direction: Direction::Outbound };
            found(recovery, conn, event, body, &author).await
        }
        _ => Ok(()),
    }
}

/// A message whose sender was found: input to a replay.
async fn found(
    recovery: &Recovery,
    conn: &mut PgConnection,
    event: &Event,
    body: &Message,
    author: &Author,
) -> anyhow::Result<()> {
    let data = &event.data;
    let Some(resolution) = &body.sender_resolution else { return Ok(()) };
    // As a draft: its revision is decided anew wherever it is published.
    let mut draft = event.clone();
    draft.data.origin.revision = 0;
    let context = resolution_context(data.channel, &data.account_id, &body.message_id);
    let sealed = recovery.facts.seal().seal(&context, &serde_json::to_string(&draft)?)?;
    let stored = Resolution {
        method: &resolution.method,
        author,
        evidence: resolution.evidence.as_ref().unwrap_or(&serde_json::Value::Null),
        event_id: event.id.as_str(),
        sealed,
    };
    let key = (data.channel, &data.account_id, &body.message_id);
    store_resolution(conn, key, stored).await?;
    Ok(())
}
