//! Raw webhooks become events: one holder per shard of META_RAW, in order, from the position in Postgres.
//!
//! Everything that decides is pure ([`normalize`], [`facts::decide`]); the shell around it is [`Inbound`]: it shares the shards
//! out over the live workers, and for each held one reads, publishes, and records facts and position in one transaction.

mod acts;
mod balance;
mod context;
mod effect;
pub mod erase;
mod failure;
mod feed;
mod instagram;
mod lanes;
mod members;
mod message;
mod messaging;
mod messaging_act;
pub mod normalize;
mod normalizer;
mod output;
pub mod parked;
pub mod parked_causes;
mod parked_outputs;
mod parked_raws;
mod parking;
mod raw_webhook;
mod reading;
pub mod recover;
mod redact;
mod release;
pub mod replay;
mod rule_failpoint;
mod shard;
mod shards;
#[cfg(test)]
mod tests;
mod unread;

pub use normalizer::Inbound;
pub use unread::first_unread;

/// The lease and the position of the reader of a shard of META_RAW.
pub fn reader_name(shard: u32) -> String {
    format!("raw-{shard:02}")
}
