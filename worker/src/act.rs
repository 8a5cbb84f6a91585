//! Acts on Meta other than replies. Comments go through the same ledger as replies ([`crate::reply`]): what is asked is in
//! [`crate::reply::request`], how an unknown outcome is read back in its reconciliation, and nothing on comments is ever attempted a
//! second time after an unknown outcome. [`sync`] imports conversations.

pub mod sync;
