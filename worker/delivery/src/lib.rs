//! One signed request to the receiver of outgoing webhooks (docs/contract.md 10), for whoever makes it: the worker that delivers events, the
//! api and the verb that test an endpoint.
//!
//! Read in this order: `secret`, `sign`, `definition`, `client`, `probe`. Which addresses may be reached is decided by [`runtime::guard`].

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod client;
mod definition;
mod probe;
mod secret;
mod sign;

pub use client::{Answer, Client, Delivery, Outcome};
pub use definition::{Wanted, Wrong, check_accounts, check_description, check_kinds, check_url};
pub use probe::{Probe, TEST_TYPE};
pub use secret::{Secret, secret_context};
