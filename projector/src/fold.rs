//! ◆ Pure: what events say, and the rows that follow from it.
//!
//! An event is split into [`Piece`]s, one per row it speaks of ([`split()`]). Of each event only the highest version is kept and a
//! withdrawal beats them all ([`absorb()`]); so the kept pieces depend on the *set* of events alone. Every row is then a pure function of
//! the pieces of its entity ([`message`], [`conversation`], [`comment`], [`feed`]): any order, duplication or replay gives the same rows.

pub mod absorb;
pub mod comment;
pub mod contact;
pub mod conversation;
pub mod feed;
pub mod message;
pub mod piece;
pub mod split;

#[cfg(test)]
mod convergence;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod message_tests;

pub use absorb::{Arrival, Changes, Held, Known, absorb};
pub use piece::{Class, Piece, Said, Slot, Version};
pub use split::split;
