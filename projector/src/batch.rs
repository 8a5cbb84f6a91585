//! ◆ Pure: what a batch of events changes: which rows follow, which conversations are looked at again, which events are set aside.
//!
//! [`crate::store`] reads what these decisions need and writes what they result in.

mod conversations;
mod rows;
mod set_aside;
mod summary;
mod touched;

pub(crate) use conversations::{ConversationBefore, Existing, Summed, TouchedConversations};
pub(crate) use rows::{Changed, FoldedRows, fold_rows};
pub(crate) use set_aside::{FOLD_FAILED, Failed, sort};
pub(crate) use summary::{Summary, Weight};
pub(crate) use touched::TouchedRows;
