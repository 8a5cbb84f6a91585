//! Facts for a database that has lost them: from INBOX_EVENTS, which holds every reading, and from META_RAW, which holds what several
//! reports of one fact said. Nothing is published here (docs/decisions/34).

mod draft;
mod events;
mod reports;
mod rows;

use draft::draft_of;
pub use events::{StoredEvent, events};
pub use reports::reports;
pub use rows::{FactOfRaw, PlacedFact, facts_of, last_raw, readings};

/// Filling a database cannot go on before somebody has acted; the text says how.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Halted(pub &'static str);
