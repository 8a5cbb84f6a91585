//! What an erasure works with.

use facts::FactStore;
use inbound::erase::Redactor;
use runtime::broker::Broker;
use sqlx::PgPool;

/// What a chunk of work led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moved {
    /// Something was done; go on.
    On,
    /// It has to wait, for this reason.
    Waits(String),
    /// All of it is done.
    Done,
}

/// Carries out erasures.
pub struct Work {
    pub(crate) broker: Broker,
    pub(crate) pool: PgPool,
    pub(crate) facts: FactStore,
    pub(crate) redactor: Redactor,
}

impl Work {
    /// Over `broker`, recording in `facts`.
    pub fn new(broker: &Broker, facts: &FactStore) -> Self {
        Self {
            broker: broker.clone(),
            pool: facts.pool().clone(),
            facts: facts.clone(),
            redactor: Redactor::new(broker, facts.pool()),
        }
    }
}
