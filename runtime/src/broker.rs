//! The connection to NATS, what is known of its state, and its upkeep.

mod failure;
mod handle;
mod identity;
mod life;
mod options;
mod reading;
mod refused;
mod room;
mod state;
mod streams;
mod upkeep;

pub use failure::PublishFailure;
pub use handle::Broker;
pub(crate) use handle::NotLooked;
pub use identity::{identify, may_subscribe};
pub(crate) use reading::ReadConnection;
pub use state::{BrokerState, KnownEra, Needs};
pub use streams::{gone, made_anew};
