//! The read models in Postgres: facts, the rows that follow from them, and the position, in one transaction per batch.
//!
//! Read in this order: `schema` and `scope` (which model a statement means), `tables` (the statements), `absorb` (what is read and written
//! for a batch), `writer`; then `serving`, `models` and `prepare` (which model the public views show).

mod absorb;
mod error;
mod mended;
pub(crate) mod models;
mod prepare;
pub(crate) mod schema;
pub(crate) mod scope;
pub(crate) mod serving;
pub(crate) mod tables;
pub(crate) mod two_models;
mod writer;

pub use error::StoreError;
pub(crate) use prepare::{CHECK, prepare};
pub use schema::SchemaName;
pub(crate) use serving::serving;
pub use writer::{Again, NAME, Store};
