//! Meta's door in front of a real nats-server: every row of docs/contract.md 3, few and many at once, outages, and clients that misbehave.

mod answers;
mod batches;
mod door;
mod oddities;
mod outages;
mod singles;
