//! Behaviour of the whole, against real servers and real processes. One program, so that it is linked once.
#![allow(clippy::unwrap_used, missing_docs)]

mod cases;
mod config;
mod connect;
mod console;
mod counts;
mod crash;
mod endpoints;
mod enrich;
mod eras;
mod first_start;
mod fixtures;
mod ingest;
mod least;
mod once;
mod outage;
mod parked;
mod plans;
mod refuse;
mod reply;
mod resolve;
mod scrub;
mod shared;
mod statements;
mod up;
