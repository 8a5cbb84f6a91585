//! Two models row by row: a digest of each table on either side, and where digests differ, which rows and columns do. Never a value.

mod found;
mod reader;
mod statements;

pub use found::{Comparison, Differing, Maker, Table};
pub(crate) use reader::{Reader, composed};
