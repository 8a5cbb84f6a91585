//! What the ledger forgets, and when. Commands and their parts stay: a command that comes again finds its end.

use std::time::Duration;

use async_nats::jetstream::Context;
use runtime::streams::{self, StreamName};
use sqlx::PgPool;

use crate::ledger::echoes;

/// The age at which no command comes from the stream any more, with as much time again for one that was put back; `None`: they come for ever.
///
/// # Errors
/// The broker does not answer; ask again.
pub(crate) async fn commands_gone_after(js: &Context) -> anyhow::Result<Option<Duration>> {
    Ok(streams::keeps_for(js, StreamName::Commands).await?.map(|age| age * 2))
}

/// Forgets up to `limit` echoes that no command can have caused any more; returns how many.
///
/// # Errors
/// Broker or database do not answer; call again.
pub async fn forget_echoes(js: &Context, pool: &PgPool, limit: i64) -> anyhow::Result<u64> {
    match commands_gone_after(js).await? {
        Some(older) => Ok(echoes::forget(pool, older, limit).await?),
        None => Ok(0),
    }
}
