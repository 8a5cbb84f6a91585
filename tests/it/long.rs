//! What takes long: faults, load, clusters, failpoints, every sentence of the contract. `make soak` runs it.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod api;
mod aside;
mod budget;
mod cable;
mod chaos;
mod cluster;
mod completeness;
mod converge;
mod disk;
mod erase;
mod facts;
mod failpoints;
mod hostile;
mod kinds;
mod operate;
mod order;
mod overload;
mod poison;
mod rebuild;
mod recover;
mod redrive;
mod releases;
mod replay;
mod sending;
mod sources;
mod stay;
mod streams;
mod syncing;
mod trace;
mod traces;
mod two_models;
mod verbs;
