//! No worker works on an empty database while the streams are not: it would publish everything again.

use std::time::Duration;

use async_nats::jetstream::Context;
use runtime::broker::Broker;
use runtime::db::absent_is_empty;
use runtime::health::Health;
use runtime::streams::{self, StreamName};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::rows;

/// The check of `/readyz`.
const CHECK: &str = "recovery";
/// Between two looks.
const PERIOD: Duration = Duration::from_millis(500);

/// Postgres is empty.
const EMPTY: &str = "Postgres is empty and the streams are not: stop workers and run `hookline recover` \
     (deploy/runbooks/recover.md)";
/// A recovery was begun.
const UNFINISHED: &str = "a recovery of this Postgres is not finished: let it run, or run `hookline recover` again where it was interrupted";

/// Why no worker may work on this database; `None`: it may.
///
/// # Errors
/// Broker or Postgres did not answer; ask again.
pub async fn closed(pool: &PgPool, js: &Context) -> anyhow::Result<Option<&'static str>> {
    match absent_is_empty(rows::read(pool).await)? {
        Some(row) if !row.finished => return Ok(Some(UNFINISHED)),
        Some(_) => return Ok(None),
        None => {}
    }
    if absent_is_empty(rows::is_used(pool).await)? {
        // Perhaps by a recovery that has begun meanwhile.
        let begun = absent_is_empty(rows::read(pool).await)?;
        return Ok(begun.filter(|row| !row.finished).map(|_| UNFINISHED));
    }
    let events = streams::find(js, StreamName::Events.as_str()).await?;
    let has_events = events.is_some_and(|events| events.cached_info().state.messages > 0);
    // Of a first start another worker may have made the first events meanwhile.
    let is_empty = has_events && !absent_is_empty(rows::is_used(pool).await)?;
    Ok(is_empty.then_some(EMPTY))
}

/// Waits until a worker may work. `false`: `shutdown` came first.
pub async fn open(
    pool: &PgPool,
    broker: &Broker,
    health: &Health,
    shutdown: &CancellationToken,
) -> bool {
    let mut said = None;
    while !shutdown.is_cancelled() {
        match closed(pool, broker.js()).await {
            Ok(None) => {
                health.set(CHECK, Ok(()));
                return true;
            }
            Ok(Some(reason)) => {
                health.set(CHECK, Err(reason.to_owned()));
                if said.replace(reason) != Some(reason) {
                    tracing::error!("This worker does nothing: {reason}");
                }
            }
            Err(error) => {
                tracing::debug!(error = %format!("{error:#}"), "Not known yet whether Postgres is to be recovered");
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
    false
}
