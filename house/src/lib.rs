//! The rules of the house that no compiler keeps, and the map of it. For developers only: no role depends on this crate.
//!
//! In the order to read them: [`tree`] reads files and manifests, [`house`] parses them into modules, `resolve` finds the file that a
//! path leads to, `imports` lists who uses whom. On these stand the rules ([`rules`] has the list) and [`map`], so that what
//! `make map` counts is what the rules refuse. `exceptions` is what a rule does not refuse yet.
//!
//! [`statements`] is the half of the statements check that needs no database: `tests/it/statements.rs` prepares what it finds.

pub mod house;
pub mod map;
pub mod rules;
pub mod statements;
pub mod tree;

mod circles;
mod exceptions;
mod finding;
mod functions;
mod imports;
mod pages;
mod pure;
mod resolve;
mod rooms;
mod tables;
#[cfg(test)]
mod tidy;
mod tokens;
mod words;

pub use finding::Finding;
pub use house::{House, Sources};

/// Longest file that is allowed, in lines.
pub const FILE_LINES_MAX: usize = 400;
/// Longest function that is allowed, in lines of code between its braces: `too-many-lines-threshold` in clippy.toml.
pub const FUNCTION_LINES_MAX: usize = 80;
