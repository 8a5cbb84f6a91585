//! Private nats-server and Postgres: child processes on loopback, with their data in a folder of ours.
//!
//! `hookline up` uses them for whatever has no URL, and the test harness for everything. Read in this order: [`binaries`] finds the programs,
//! `guardian` makes a child die with its parent, `nats` and `postgres` are the two servers; `data_folder` makes Postgres data, `user` says who
//! runs it.
//!
//! Invariants: one owner per folder (a file lock, released by the kernel when the owner dies), so a server still running on a folder whose
//! lock we hold is an orphan of a crash and is stopped; nothing listens outside 127.0.0.1; clients need the generated password; data outlives
//! a run.

pub mod binaries;
pub mod ports;

mod data_folder;
mod files;
mod guardian;
mod nats;
mod postgres;
mod process;
mod user;

#[cfg(test)]
mod deployed;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use nats::{NatsOptions, NatsServer};
pub use postgres::{PgOptions, Postgres, create_database_sql};
