//! The public shapes of hookline: ids, raw payloads, events, commands and subjects, exactly as the contract names them.
//!
//! Read in this order: [`time`], [`channel`], [`ids`], [`raw`], [`meta`], [`event`], [`facts`], [`command`], [`subjects`], [`export`].
//! Everything here is pure: no clock, no I/O, no async.

pub mod channel;
pub mod command;
pub mod event;
pub mod export;
pub mod facts;
pub mod ids;
pub mod meta;
pub mod raw;
#[cfg(feature = "sqlx")]
mod sql;
pub mod subjects;
pub mod time;
mod words;

pub use channel::Channel;
pub use command::Command;
pub use event::{Data, Event, Origin, Via};
pub use facts::{Fact, Kind};
pub use ids::{AccountId, CommandId, ContactId, ConversationId, EventId, MessageId};
pub use time::Timestamp;
pub use words::UnknownWord;
