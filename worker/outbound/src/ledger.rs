//! The ledger: its rows, and all SQL over its tables, one file per table. Every change names the state it expects.
//!
//! `worker.commands`: [`commands`] (one command), [`command_sets`] (many), [`queue`] (what is due), [`insert`] (new rows), [`parked`] and [`backlog`] (what people look for).
//! `worker.parts`: [`parts`], [`part_states`] (one part), [`part_sets`] (many), [`under_way`] (of all workers). `worker.echoes`: [`echoes`]. `worker.freezes`, `worker.pauses`: [`stops`]. `worker.intake`,
//! `worker.found_outcomes`: [`mark`]. `worker.attempt_log`: [`attempt_log`]. `worker.logged_attempts`: [`logged`]. `worker.behind_log`:
//! [`behind`]. What changes a part together with its command or its echo: [`transitions`]. What sending learns of conversations is
//! written by [`facts::follow_up::conversations`].

pub(crate) mod attempt_log;
pub mod backlog;
pub(crate) mod behind;
pub(crate) mod clocks;
mod columns;
pub(crate) mod command_sets;
pub(crate) mod commands;
pub(crate) mod echoes;
pub(crate) mod erase;
pub(crate) mod insert;
pub(crate) mod logged;
pub(crate) mod mark;
pub(crate) mod parked;
pub(crate) mod part_sets;
pub(crate) mod part_states;
pub(crate) mod parts;
pub(crate) mod queue;
pub(crate) mod stops;
mod submitted;
pub(crate) mod transitions;
pub(crate) mod under_way;

/// How long one piece of work with the ledger may take: a connection that something in between forgot never answers.
pub(crate) const WITHIN: std::time::Duration = std::time::Duration::from_secs(15);

pub(crate) use commands::{CommandRow, now};
pub(crate) use parts::PartRow;
