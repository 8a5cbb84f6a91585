//! What people do to the ledger and read of it: `hookline replies list|resolve`, `hookline send freeze|thaw`, `hookline accounts sync`. Needs
//! nothing but Postgres.

mod behind;
mod clocks;
mod command;
mod freezes;
mod parked;
mod resolve;
mod whose;

pub use behind::{BehindLog, behind_log};
pub use clocks::{GraphClock, graph_clocks};
pub use command::{CommandStanding, standing};
pub use freezes::{Freeze, FreezeScope, account_of, freeze, freezes, thaw, waiting};
pub use parked::{Parked, parked};
pub(crate) use resolve::resolve_within;
pub use resolve::{Finding, Resolution, ResolveError, Resolved, resolve};
pub use whose::Whose;
