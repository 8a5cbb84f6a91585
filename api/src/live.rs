//! `GET /v1/live`: events as they are projected, by server-sent events, resumable by `Last-Event-ID`.
//!
//! One reader per process follows INBOX_EVENTS and hands out to all clients what the read model has come to. A client that resumes reads
//! the past by a reader of its own until it meets the others. A client that is too slow is cut: it resumes where it was.

mod client;
mod filter;
mod hub;
mod mended;
pub(crate) mod route;
pub(crate) mod source;
