//! The simulator as its users meet it: on a real port, with a real receiver of webhooks.

mod control;
mod faults;
mod graph;
mod stage;
mod webhooks;
