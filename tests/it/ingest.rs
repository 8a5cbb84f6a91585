//! Meta's door in front of a real nats-server: every row of section 3 of the contract, batches, outages, and clients that misbehave.

mod answers;
mod batches;
mod door;
mod oddities;
mod outages;
