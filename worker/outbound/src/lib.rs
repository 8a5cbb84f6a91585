//! Commands: a ledger in Postgres that is also the queue, one decision, at most one effect at Meta.
//!
//! Read in this order. Pure: [`plan`] (a command as parts), [`policy`] (what Meta's rules allow), [`decide`] (what happens next),
//! [`matching`] (whose effect a message is), [`request`] and [`answer`] (what is asked, what the answer means), [`split`],
//! [`concurrency`]. Around it: [`intake`] (commands from the stream), [`ledger`] (the rows), [`sender`] with its steps, [`echoes`],
//! [`outcome`] (events), [`import`] (conversations read from Graph), [`automate`] (automatic replies), [`admin`] (what people decide).

pub mod admin;
pub mod answer;
mod attempt;
pub mod automate;
pub mod concurrency;
pub mod config;
pub mod deadline;
pub mod decide;
pub mod echoes;
pub mod import;
pub mod intake;
pub mod ledger;
pub mod matching;
#[cfg(test)]
mod model;
pub mod outcome;
pub mod plan;
pub mod policy;
mod reconcile;
pub mod request;
pub mod sender;
mod situation;
pub mod split;

pub use config::Waits;
pub use intake::Commands;
pub use sender::Sender;
