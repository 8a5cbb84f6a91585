//! Where read models are made and compared.

use runtime::broker::Broker;
use sqlx::PgPool;

/// The servers that a rebuild or a verification works with.
#[derive(Clone)]
pub struct Place {
    /// The broker with INBOX_EVENTS.
    pub broker: Broker,
    /// Postgres, where the read models are.
    pub pool: PgPool,
}
