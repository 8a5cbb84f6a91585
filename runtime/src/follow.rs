//! Following a stream from a position that lives in Postgres: in order, without acks, open again after every trouble.
//!
//! The broker keeps nothing about us, so nothing can be out of step: what counts as done is what the position says, and that is written
//! in the transaction of the effect.
//!
//! [`follow`] is the loop of every reader of a stream; [`Follower`] is what it reads with, for those that need no loop; [`stored`] looks single
//! messages up.

mod care;
mod follower;
mod headers;
mod open;
mod reader;
mod received;
pub mod stored;

pub use follower::{Follower, StreamPutBack, StreamRecreated, Unfollowable};
pub use reader::{End, RECREATED_PAUSE, Reader, Source, Taken, follow, parts};
pub use received::Received;
