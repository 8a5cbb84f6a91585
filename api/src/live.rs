//! `GET /v1/live`: events as they are projected, by server-sent events, resumable by `Last-Event-ID`.
//!
//! One reader per process follows INBOX_EVENTS and hands out to all clients what the read model has come to. A client that resumes gets
//! what was handed out of late from memory, and reads what is older from the broker until it meets the others: in turns that end by time and
//! bytes, so that nobody waits for a client's socket. A client that is too slow is cut: it resumes where it was. What was unsent meanwhile is
//! shown without its words.

mod client;
mod end;
mod filter;
mod hub;
pub(crate) mod log;
mod mended;
mod past;
mod recent;
pub(crate) mod route;
pub(crate) mod source;
mod unsent;

pub(crate) use hub::Outcome;
