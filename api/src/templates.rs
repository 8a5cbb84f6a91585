//! Message templates of pages: written here, submitted, read and sent by commands. What Meta says of them is the worker's.

pub(crate) mod list;
mod rows;
pub(crate) mod send;
pub(crate) mod write;
