//! ◆ Pure: withdrawals of events.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::{EventId, MessageId, Timestamp};

/// Why an event no longer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum WithdrawReason {
    /// A better fact took its place.
    Superseded,
    /// Today's normaliser no longer finds it.
    Vanished,
    /// Its content was erased.
    Erased,
}

crate::words! {
    WithdrawReason, "reason of a withdrawal": Superseded = "superseded", Vanished = "vanished", Erased = "erased"
}

/// Withdrawal of an event.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FactWithdrawn {
    /// The event that no longer holds.
    pub event_id: EventId,
    /// Why.
    pub reason: WithdrawReason,
    /// What took its place.
    pub superseded_by: Option<EventId>,
    /// The message it spoke of, for read models that index by message.
    pub message_id: Option<MessageId>,
    /// Of the erasure of a person: what they did up to then is not to be published again.
    pub erased_until: Option<Timestamp>,
}
