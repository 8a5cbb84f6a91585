//! Meta's door in front of a real nats-server: every row of section 3 of the contract, batches, outages, and clients that misbehave.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "ingest/answers.rs"]
mod answers;
#[path = "ingest/batches.rs"]
mod batches;
#[path = "ingest/door.rs"]
mod door;
#[path = "ingest/oddities.rs"]
mod oddities;
#[path = "ingest/outages.rs"]
mod outages;
