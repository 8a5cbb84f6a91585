//! ◆ Pure: the rows that a set of events ends in, without a database: what tests compare with.

use std::collections::BTreeSet;

use schemas::Event;
use serde_json::Value;

use crate::fold::Class;
use crate::fold::comment::comment_row;
use crate::fold::kept::Kept;
use crate::fold::message::message_row;

/// Rows as the tables have them, by id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// Messages.
    pub messages: Vec<Value>,
    /// Comments.
    pub comments: Vec<Value>,
}

/// The rows of messages and comments that these events end in.
///
/// # Errors
/// Never for rows made here; an error of `serde_json` otherwise.
pub fn rows(events: impl IntoIterator<Item = Event>) -> Result<Rows, serde_json::Error> {
    let mut kept = Kept::default();
    kept.take(events);
    let mut rows = Rows::default();
    let entities: BTreeSet<&str> = kept.entities().collect();
    for entity in entities {
        let facts = kept.of(entity);
        match Class::of(entity) {
            Some(Class::Message) => {
                rows.messages
                    .extend(message_row(entity, &facts).map(serde_json::to_value).transpose()?);
            }
            Some(Class::Comment) => {
                rows.comments
                    .extend(comment_row(entity, &facts).map(serde_json::to_value).transpose()?);
            }
            _ => {}
        }
    }
    Ok(rows)
}
