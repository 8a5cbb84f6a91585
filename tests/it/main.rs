//! Behaviour of the whole, against real servers and real processes. One program, so that it is linked once.
#![allow(clippy::unwrap_used, missing_docs)]

mod api;
mod crash;
mod enrich;
mod facts;
mod fixtures;
mod ingest;
mod kinds;
mod once;
mod operate;
mod outage;
mod refuse;
mod reply;
mod resolve;
mod sending;
mod tidy;
mod traces;
mod up;
