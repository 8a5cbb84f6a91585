//! Private NATS and Postgres servers: child processes on loopback, with their data in a folder of ours.
//!
//! Used by `hookline up` for whatever has no URL, and by the test harness. Read in this order:
//! [`binaries`] finds the programs, [`guardian`] makes a child die with its parent, [`nats`] and
//! [`postgres`] are the two servers.
//!
//! Invariants: one owner per folder (a file lock, released by the kernel when the owner dies), so a
//! server still running on a folder we hold the lock of is an orphan of a crash and is stopped; nothing listens
//! outside 127.0.0.1; nobody without the generated password gets in; data outlives a run.

pub mod binaries;
pub mod guardian;
pub mod nats;
pub mod postgres;

mod cluster;
mod files;
pub mod ports;
mod process;
mod user;

#[cfg(test)]
mod deployed;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use nats::{NatsOptions, NatsServer};
pub use postgres::{PgOptions, Postgres};
