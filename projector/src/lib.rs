//! The projector: follows INBOX_EVENTS and keeps the read model `inbox.*` in Postgres.
//!
//! Read in this order: [`fold`] (pure).

pub mod fold;
