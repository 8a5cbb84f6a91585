//! Erasures that a database does not know of, from their withdrawals: it was put back to an earlier state.

use std::collections::HashSet;

use schemas::facts::{FactWithdrawn, WithdrawReason};
use schemas::{Event, EventId, Fact};
use sqlx::PgConnection;

use super::queue::{self, NewErasure, Target};
use super::rows::forget_events;
use crate::rows::put_erased;

/// Takes in withdrawals of what was erased, in the caller's transaction. Of what is not known yet the facts go at once, and a person is
/// erased again.
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
    forget_events(conn, &ids).await?;
    for (event, body) in erased.iter().filter(|(_, body)| new.contains(&body.event_id)) {
        let (Some(until), Some(contact)) = (body.erased_until, &event.data.contact_id) else {
            continue;
        };
        let target = Target::Person(contact.clone());
        let (channel, account) = (event.data.channel, &event.data.account_id);
        let (reason, asked_by) = ("Postgres did not know of its erasure", "worker");
        let new = NewErasure {
            channel,
            account,
            target: &target,
            until,
            reason,
            asked_by,
            callback: None,
        };
        queue::add(conn, new).await?;
    }
    Ok(())
}
