//! Jobs of operators and the record of what operators did, in Postgres (schema `ops`).
//!
//! A job is not bound to a process. What it has done stands in `progress`, which is written in the transaction of the effect while the claim
//! is held; after `kill -9` the same words, or `hookline jobs resume`, go on from there. A claim is a lease with an epoch: of two
//! processes that believe they hold a job only one can commit.
//!
//! Read in this order: `job` (what a job is), `store`, `jobs` and `claim` (table `ops.jobs`), `audit` (table `ops.audit`); then `plans`, and `ask` (what the
//! api asks the role `ops`).

mod ask;
mod audit;
mod claim;
mod job;
mod jobs;
mod plans;
mod store;
mod unfinished;

pub use ask::{Answer, Ask, Asked, JobWish, RedriveAct, Sending, WantedWork, Why};
pub use audit::{Act, Recorded, record};
pub use claim::{BEAT, Beat, CLAIM, Claim};
pub use job::{Job, JobState, NewJob, Wish};
pub use plans::{NewPlan, Plan};
pub use store::Ops;
pub use unfinished::{UnfinishedJob, unfinished};
