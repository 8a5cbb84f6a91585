//! ◆ Pure: what events state, and the rows that follow.
//!
//! An event is split into [`RowFact`]s, one per row it is about ([`split()`]). Of each event only the highest version is kept and a
//! withdrawal beats them all ([`absorb()`]); so the kept facts depend on the *set* of events alone. Every row is then a pure function of
//! the facts of its entity ([`message`], [`conversation`], [`comment`], …): any order, duplication or replay gives the same rows.

mod absorb;
mod body;
mod class;
pub(crate) mod comment;
mod contact;
pub(crate) mod conversation;
pub(crate) mod insight;
pub(crate) mod kept;
pub(crate) mod label;
pub(crate) mod mention;
pub(crate) mod message;
pub(crate) mod note;
pub(crate) mod post;
pub(crate) mod reaction;
pub(crate) mod receipt;
mod reply_parts;
mod row_fact;
mod slot;
mod split;
mod version;

#[cfg(test)]
mod convergence;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod history;
#[cfg(test)]
mod message_tests;

pub(crate) use absorb::{Arrival, Changes, Held, Known, absorb};
pub(crate) use class::Class;
pub(crate) use row_fact::{RowFact, Statement};
pub(crate) use slot::Slot;
pub(crate) use split::split;
pub(crate) use version::Version;
