//! Commands: a ledger in Postgres that is also the queue, one decision, at most one effect at Meta.
//!
//! Read in this order. Pure: `plan` and `payload` (a command as parts), the room `policy` (what Meta's rules allow), `decide` (what happens
//! next), `matching` (whose effect a message is), `request` and `answer` (what is asked, what the answer means),
//! `concurrency`, `ended` (ends as outcomes report them), `state` (the words of the ledger). Around it: `intake` (commands from the stream), `ledger` (the rows and their
//! SQL), `sender` (the loop), `attempt` (one step: claim, send, settle), `attempt_log` (attempts as they are known outside Postgres), `reconcile` (reading back), `echoes`, `outcome` (events), `scan` (outcomes in the stream),
//! `import` and `media_sync` (conversations and comments read from Graph), `insights` (figures), `reading` (reads that fail), `templates` (message templates), [`recover`] (the ledger of an empty database), [`automate`] (automatic replies), [`admin`] (what people decide).

mod account_acts;
pub mod admin;
mod answer;
mod attempt;
mod attempt_log;
pub mod automate;
mod claim_context;
mod clocks;
mod concurrency;
mod config;
mod deadline;
mod decide;
mod echoes;
mod ended;
pub mod eras;
pub mod erase;
mod handover;
mod hide_many;
mod import;
mod insights;
pub mod intake;
mod ledger;
mod matching;
mod media_sync;
#[cfg(test)]
mod model;
mod outcome;
mod payload;
mod places;
mod plan;
mod reading;
mod reconcile;
pub mod recover;
mod reply_acts;
mod reporter;
mod request;
pub mod retention;
mod scan;
mod sender;
mod services;
mod settler;
mod state;
mod templates;
mod tokens;

pub use config::Waits;
pub use handover::{HandedOver, Handover, handover};
pub use import::{Reason as NotImported, drafts as conversation_drafts};
pub use intake::Commands;
pub use ledger::backlog;
pub use payload::part_key;
pub use sender::Sender;
