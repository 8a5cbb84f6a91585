//! What an erasure needs of the rooms of this crate: the queue of erasures, the rules, the rows of facts and of what follows from them
//! (docs/decisions/43).

mod learn;
mod queue;
mod raws;
mod rows;
mod unsent;

use schemas::{Event, EventId};
use sqlx::PgConnection;

use crate::erased::{Erased, rules_of, rules_of_senderless};
use crate::follow_up::senderless::Senderless;
pub use crate::rows::rules_among;

pub use learn::learn;
pub use queue::{
    Erasure, NewErasure, Target, Waiting, add, advance, all_wait, finish, get, next, open_count,
    to_scrub, waiting, waits,
};
pub use raws::{note_raws, place_of, redacted, redacted_at, take_raw, waiting_raws};
pub use rows::{
    ErasurePlan, Forgotten, forget_events, forget_messages, forget_person, plan_messages,
    plan_person,
};
pub use unsent::unsent;

/// The rules that concern these events.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub async fn rules<'a>(
    conn: &mut PgConnection,
    events: impl IntoIterator<Item = &'a Event>,
) -> sqlx::Result<Erased> {
    rules_among(conn, &rule_ids(events)).await
}

/// The ids under which a rule may concern one of these events.
pub fn rule_ids<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<EventId> {
    let mut ids = Vec::new();
    for event in events {
        ids.push(event.id.clone());
        ids.extend(rules_of(event));
    }
    ids
}

/// The same of sender-less items.
pub fn item_rule_ids<'a>(items: impl IntoIterator<Item = &'a Senderless>) -> Vec<EventId> {
    items.into_iter().flat_map(rules_of_senderless).collect()
}

/// The rules that concern these sender-less items.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub async fn rules_of_items<'a>(
    conn: &mut PgConnection,
    items: impl IntoIterator<Item = &'a Senderless>,
) -> sqlx::Result<Erased> {
    rules_among(conn, &item_rule_ids(items)).await
}
