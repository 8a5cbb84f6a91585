//! Erasures that a database does not know of, from their withdrawals: it was put back to an earlier state.

use std::collections::{BTreeMap, HashSet};

use schemas::facts::{FactWithdrawn, WithdrawReason};
use schemas::{AccountId, Channel, Event, EventId, Fact, MessageId, Timestamp};
use sqlx::PgConnection;

use super::queue::{self, NewErasure, Target};
use super::rows::forget_events;
use super::unsent::{MessageRow, by_account};
use crate::rows::put_erased;

/// Takes in withdrawals of what was erased, in the caller's transaction. Of what is not known yet the facts go at once, and a person or a
/// message is erased again.
///
/// # Errors
/// `sqlx::Error`; roll back.
pub async fn learn(conn: &mut PgConnection, events: &[Event]) -> sqlx::Result<()> {
    let of_event = |event: &Event| match &event.data.fact {
        Fact::FactWithdrawn(body) if body.reason == WithdrawReason::Erased => Some(body.clone()),
        _ => None,
    };
    let erased: Vec<(&Event, FactWithdrawn)> =
        events.iter().filter_map(|event| Some((event, of_event(event)?))).collect();
    let bodies: Vec<&FactWithdrawn> = erased.iter().map(|(_, body)| body).collect();
    let new: HashSet<EventId> = put_erased(conn, &bodies).await?.into_iter().collect();
    if new.is_empty() {
        return Ok(());
    }
    let ids: Vec<EventId> = new.iter().cloned().collect();
    // Before their facts go: these say which messages they were.
    for ((channel, account), messages) in messages_of(conn, &ids).await? {
        let target = Target::Messages(messages);
        queue::add(conn, again(channel, &account, &target, at(&erased))).await?;
    }
    forget_events(conn, &ids).await?;
    for (event, body) in erased.iter().filter(|(_, body)| new.contains(&body.event_id)) {
        let (Some(until), Some(contact)) = (body.erased_until, &event.data.contact_id) else {
            continue;
        };
        let target = Target::Person(contact.clone());
        let (channel, account) = (event.data.channel, &event.data.account_id);
        queue::add(conn, again(channel, account, &target, until)).await?;
    }
    Ok(())
}

/// The latest of these withdrawals.
fn at(erased: &[(&Event, FactWithdrawn)]) -> Timestamp {
    erased.iter().map(|(event, _)| event.time).max().unwrap_or(Timestamp::EPOCH)
}

fn again<'a>(
    channel: Channel,
    account: &'a AccountId,
    target: &'a Target,
    until: Timestamp,
) -> NewErasure<'a> {
    let (reason, asked_by) = ("Postgres did not know of its erasure", "worker");
    NewErasure { channel, account, target, until, reason, asked_by, callback: None }
}

/// The messages that these events are, by account. Not those of a person who is erased as a whole: the rule about them comes with them, and
/// an erasure that is under way knows its withdrawals.
async fn messages_of(
    conn: &mut PgConnection,
    ids: &[EventId],
) -> sqlx::Result<BTreeMap<(Channel, AccountId), Vec<MessageId>>> {
    let rows: Vec<MessageRow> = sqlx::query_as(
        "select distinct f.channel, f.account_id, f.message_id from worker.facts f
          where f.event_id = any($1) and f.kind in ('message.received', 'message.sent') and f.message_id is not null
            and not exists (select from worker.erasures e
                             where e.finished_at is null and e.channel = f.channel and e.account_id = f.account_id
                               and (e.contact_id = f.contact_id or f.message_id = any(e.message_ids)))
          order by 1, 2, 3",
    )
    .bind(ids.iter().map(EventId::as_str).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    Ok(by_account(rows))
}
