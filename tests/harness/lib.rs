//! What the integration tests stand on: real nats-server, real Postgres, the real `hookline` binary as separate processes, and a
//! simulated Meta.
//!
//! [`shared`] starts the servers that all tests of a run share, [`servers`] gives a lab its part of them or its own. [`lab`] starts and kills things, [`cable`] cuts connections between them, [`client`] speaks to them from outside,
//! [`collector`] takes their traces. [`cluster`] is three brokers in one, [`traffic`] delivers much and compares it with what became of it.
//! [`old_release`] builds hookline as it was. [`clock`] is a clock that a test sets. [`up`] is `hookline up` as somebody tries it.
//! [`web`] is a browser without a window, [`browser`] a real one.
//! A failing test panics with what it saw, so unwrapping is the way here.
#![allow(clippy::unwrap_used, missing_docs)]

mod binary;
pub mod body;
pub mod browser;
pub mod cable;
pub mod client;
pub mod clock;
pub mod cluster;
pub mod collector;
pub mod crowd;
pub mod lab;
pub mod old_release;
pub mod raw_nats;
pub mod servers;
pub mod shared;
pub mod snapshot;
pub mod traffic;
pub mod up;
pub mod web;

pub use client::{Api, Meta, eventually};
pub use lab::{Lab, LabOptions, Role};

/// The JSON Schema of the events of a kind, as it is stored and published.
pub fn event_schema(kind: schemas::Kind) -> serde_json::Value {
    let schemas = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/json");
    let text = std::fs::read_to_string(schemas.join(format!("{kind}.v1.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The bundle of events of every release of `schemas/released`, by the release.
pub fn released_events() -> Vec<(String, serde_json::Value)> {
    let released = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/released");
    let folders = std::fs::read_dir(released).unwrap().map(|entry| entry.unwrap().path());
    let bundle = |folder: std::path::PathBuf| {
        let text = std::fs::read_to_string(folder.join("events.v1.json")).unwrap();
        (folder.display().to_string(), serde_json::from_str(&text).unwrap())
    };
    folders.filter(|path| path.is_dir()).map(bundle).collect()
}

/// A webhook body of `tests/fixtures/meta/`, as bytes.
pub fn fixture(path: &str) -> Vec<u8> {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/meta").join(path);
    std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
