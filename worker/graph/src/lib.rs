//! The Graph client: both hosts, a token per account, time-outs, classed errors, a rate budget (docs/meta-platform.md 8–10).
//!
//! [`error`] says what a failure means, [`limits`] and [`budget`] when not to call, [`client`] makes the calls, [`reads`] and [`send`]
//! know their shapes. Tokens travel in the `Authorization` header and are never part of a log line, an error or a span.

pub mod budget;
pub mod check;
pub mod client;
pub mod error;
pub mod findings;
pub mod limits;
pub mod proof;
pub mod reads;
pub mod send;

pub use client::{Call, Graph, GraphConfig, Host};
pub use error::{Class, Failure, GraphError, Scope, Stage, Use};
pub use limits::Lane;
pub use reads::{Conversation, ConversationPage, FoundMessage, MessagePage, Party};
pub use send::SendAnswer;
