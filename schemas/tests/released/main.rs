//! The gate of releases: what today's types, bundles and routes break for those who rely on a release of this major version, and proof that
//! the gate shows it (docs/compatibility.md).

#![allow(clippy::unwrap_used)]

mod bundle;
mod changes;
#[path = "../shared/contains.rs"]
mod contains;
mod finding;
mod gate;
mod openapi;
mod schema;
mod view;
