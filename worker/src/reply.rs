//! Replies and every other command: a ledger in Postgres that is also the queue, one decision, at most one effect at Meta.

pub mod content;
pub mod knowledge;
pub mod state;
