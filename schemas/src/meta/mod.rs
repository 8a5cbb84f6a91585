//! ◆ Pure: raw payloads from Meta, read leniently (docs/meta-platform.md 4–7).
//!
//! Nothing here fails a whole body for one bad item: every item is kept as the JSON text it came in and read on its own. Ids are
//! text, whatever Meta wrote them as. Read in this order: [`json`], [`envelope`], [`messenger`], [`instagram`], [`mid`].

pub mod envelope;
pub mod instagram;
pub mod json;
pub mod messenger;
pub mod mid;

pub use envelope::{Item, Object, Place, items};
pub use json::Node;
