//! The Graph client: both hosts, a token per account, time-outs, classed errors, a rate budget (docs/meta-platform.md 8–10).
//!
//! `error` says what a failure means, `limits` and `budget` when not to call, `shared` and `sharing` what all workers know of that together,
//! `client` makes the calls, `reads` knows the shapes of answers, `oauth` turns the code of a login into tokens; `fields`, `growth` and `subscribe` ask for webhook fields, `renew` keeps tokens good. Tokens travel in the `Authorization` header and are never part of a log line, an error or a span.

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
mod media;
mod oauth;
mod proof;
mod reads;
mod renew;
mod response;
mod scopes;
mod shared;
mod sharing;
mod subscribe;
mod templates;
#[cfg(test)]
mod testing;
mod timely;

pub use call::Call;
pub use check::check;
pub use client::Graph;
pub use clock::HostClock;
pub use config::GraphConfig;
pub use disconnect::{Disconnected, disconnect};
pub use error::{Class, Failure, GraphError, Scope, Stage, Use};
pub use findings::{Finding, Level};
pub use host::{Host, node};
pub use identity::{Identity, learn};
pub use limits::Lane;
pub use media::{CommentPage, FoundComment, FoundMedia, Media, MediaPage, Under};
pub use oauth::{CodeGrant, GivenToken, OAuthApp, OAuthError, Owner, Page, TokenInfo};
pub use reads::{Conversation, ConversationPage, FoundMessage, MESSAGES_SHOWN, Party, text_of};
pub use renew::{Refreshed, confirm, first_look, look, refresh};
pub use subscribe::UpkeepError;
pub use templates::FoundTemplate;
