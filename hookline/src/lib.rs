//! The operator's binary: `main` parses the command line and calls this.
//!
//! Read in this order: `cli` (all verbs), `dispatch` (which function carries one out), `args`, `output`, `exit`; `connect`, `operator`, `since` and
//! `account_name`, which most verbs use; then a verb: `role`, `answer` (the role `ops`), `up`, `accounts`, `status`, `completeness`, `doctor`, `health`, `variables`, `replies`, `send`, `redrive`, `rebuild`,
//! `recover`, `verify`, `replay`, `trace`, `streams`, `jobs`, `audit`, `manual`.

mod account_name;
mod accounts;
mod answer;
mod args;
mod audit;
mod cli;
mod completeness;
mod config;
mod connect;
mod db;
mod dispatch;
mod doctor;
mod endpoints;
mod erase;
mod exit;
mod health;
mod jobs;
mod manual;
mod nats_server;
mod operator;
mod output;
mod progress;
mod read_model;
mod rebuild;
mod recover;
mod redrive;
mod replay;
mod replies;
mod role;
mod send;
mod since;
mod status;
mod streams;
mod trace;
mod up;
mod variables;
mod verify;

pub use cli::Arguments;
pub use dispatch::run;
pub use exit::{Exit, report};
