//! Rows that only the work of their time needed. Few at a time, so that nobody waits: each round goes on where the last one ended.

use std::time::Duration;

use runtime::broker::Broker;
use runtime::streams::{self, StreamName};
use sqlx::PgPool;

/// Rows of one round.
const ROUND: i64 = 1000;

/// Forgets what is due in this round.
pub(super) async fn forget(broker: &Broker, pool: &PgPool) -> anyhow::Result<()> {
    let forgotten = metrics::counter!("hookline_rows_forgotten_total");
    forgotten.increment(outbound::retention::forget_echoes(broker.js(), pool, ROUND).await?);
    // A replay asks for these as long as it may bring their webhook again.
    if let Some(age) = streams::keeps_for(broker.js(), StreamName::Raw).await? {
        forgotten.increment(resolved(pool, age * 2).await?);
    }
    Ok(())
}

/// Items of the waiting room whose sender is found, and whose webhook is gone.
async fn resolved(pool: &PgPool, older: Duration) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "delete from worker.waiting where (channel, account_id, message_id, num_edit) in (
             select channel, account_id, message_id, num_edit from worker.waiting
              where state = 'resolved' and due_at is null and (claimed_until is null or claimed_until < now())
                and resolved_at < now() - make_interval(secs => $1)
              order by resolved_at limit $2 for update skip locked)",
    )
    .bind(older.as_secs_f64())
    .bind(ROUND)
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}
