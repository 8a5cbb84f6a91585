//! Behaviour of the whole, against real servers and real processes. One program, so that it is linked once.
#![allow(clippy::unwrap_used, missing_docs)]

mod tidy;
