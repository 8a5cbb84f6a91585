//! Reads the events of one account over NATS: each once, in order. For services outside hookline; what is promised stands in `clients/README.md`.
//!
//! Read in this order: [`event`] is what is read, [`store`] what was handled already, [`reader`] does with an event what is to be done with it,
//! [`follow()`] brings them from the broker.

pub mod event;
mod follow;
pub mod reader;
pub mod store;

pub use event::Event;
pub use follow::{Options, Start, Stopped, follow};
pub use reader::{Handler, Meta, Retry, Unknown};
pub use schemas::{Fact, Kind};
pub use store::{Store, Window};

/// What a handler or a store fails with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
