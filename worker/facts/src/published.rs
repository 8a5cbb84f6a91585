//! ◆ Pure: what a call publishes, and where it then stands in INBOX_EVENTS.

use std::collections::HashMap;

use schemas::{Event, EventId, Timestamp};

use crate::decide::{Decision, Planned};
use crate::draft::Draft;
use crate::merge::Reports;

/// What is to be published.
#[derive(Clone, Debug, Default)]
pub struct PublishPlan {
    /// To publish, in order, and what needs nothing.
    pub decision: Decision,
    /// Events found in the stream that were not recorded yet.
    pub(crate) adopted: Vec<Placed>,
}

/// An event and where it stands in INBOX_EVENTS.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The draft as published.
    pub planned: Planned,
    /// Its position in INBOX_EVENTS.
    pub event_seq: u64,
    /// When the broker stored it; `None`: now.
    pub(crate) stored_at: Option<Timestamp>,
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
    /// Reports to keep, of facts that have several.
    pub(crate) reports: HashMap<EventId, Reports>,
    pub(crate) adopted: Vec<Placed>,
}

impl Published {
    /// The events that were published, in order.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.placed.iter().map(|placed| &placed.planned.draft.event)
    }
}
