//! The read model against the stream: folded again into a scratch schema and compared, while everything goes on.

mod choose;
mod sample;
mod scratch;
mod verified;
mod whole;

pub use sample::sample;
pub use verified::{Sample, Verified};
pub use whole::whole;
