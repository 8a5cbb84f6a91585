//! Replies and every other command: a ledger in Postgres that is also the queue, one decision, at most one effect at Meta.
//!
//! Read in this order. Pure: [`plan`] (a command as parts), [`policy`] (what Meta's rules allow), [`decide`] (what happens next),
//! [`matching`] and [`content`] (whose effect a message is), [`request`] and [`answer`] (what is asked, what the answer means), [`split`],
//! [`pace`], [`knowledge`]. Around it: [`state`] (what the shards tell), [`ledger`] (the rows), [`sender`] with its steps, [`settle`]
//! (echoes), [`outcome`] (events), [`operate`] (people).

pub mod answer;
mod attempt;
pub mod content;
pub mod decide;
pub mod fence;
pub mod knowledge;
pub mod ledger;
pub mod matching;
#[cfg(test)]
mod model;
pub mod operate;
pub mod outcome;
pub mod pace;
pub mod plan;
pub mod policy;
mod reconcile;
pub mod request;
pub mod sender;
pub mod settle;
mod situation;
pub mod split;
pub mod state;

pub use sender::Sender;
