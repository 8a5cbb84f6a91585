//! The Graph client: both hosts, a token per account, time-outs, classed errors, a rate budget (docs/meta-platform.md 8–10).
//!
//! `error` says what a failure means, `limits` and `budget` when not to call, `client` makes the calls, `reads` knows the shapes of
//! answers; `fields`, `growth` and `subscribe` ask for webhook fields, `renew` keeps tokens good. Tokens travel in the `Authorization` header and are never part of a log line, an error or a span.

mod budget;
mod call;
mod check;
mod client;
mod clock;
mod config;
mod disconnect;
mod error;
mod fields;
mod findings;
mod growth;
mod host;
mod identity;
mod limits;
mod proof;
mod reads;
mod renew;
mod response;
mod scopes;
mod subscribe;
#[cfg(test)]
mod testing;
mod timely;

pub use call::Call;
pub use check::check;
pub use client::Graph;
pub use config::GraphConfig;
pub use disconnect::{Disconnected, disconnect};
pub use error::{Class, Failure, GraphError, Scope, Stage, Use};
pub use findings::{Finding, Level};
pub use host::{Host, node};
pub use identity::{Identity, learn};
pub use limits::Lane;
pub use reads::{Conversation, ConversationPage, FoundMessage, MESSAGES_SHOWN, Party, text_of};
pub use renew::{Refreshed, confirm, first_look, look, refresh};
pub use subscribe::UpkeepError;
