//! What every role needs around its own work: configuration, the broker, streams, following them, leases, Postgres, health,
//! telemetry, serving HTTP and stopping in order.
//!
//! Read in this order: [`config`], [`broker`], [`streams`], [`publish`], [`follow`], [`lease`], [`db`], [`notify`], [`claim`], [`health`],
//! [`serve`], [`admin`], [`telemetry`], [`meters`], [`shutdown`], [`reload`], [`vouch`], [`seal`], [`guard`], [`retry`], [`process`], [`steady`], [`tls`], [`mod@failpoint`].

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod admin;
pub mod append;
pub mod broker;
pub mod claim;
pub mod config;
pub mod db;
pub mod deadline;
pub mod durability;
pub mod failpoint;
pub mod follow;
pub mod guard;
pub mod health;
pub mod lease;
pub mod meters;
pub mod notify;
pub mod process;
pub mod publish;
pub mod reload;
pub mod retry;
pub mod seal;
pub mod serve;
pub mod shutdown;
pub mod steady;
pub mod streams;
pub mod telemetry;
pub mod tls;
pub mod vouch;
pub mod waits;

/// A future on the heap. What other crates await of a role's shell returns one: an `async fn` is compiled anew in every crate that awaits
/// it, with all it awaits in turn.
pub use futures::future::BoxFuture;

/// Now, by this machine's clock. Shells call it and hand the value to the pure core.
pub fn now() -> schemas::Timestamp {
    schemas::Timestamp::from(std::time::SystemTime::now())
}
