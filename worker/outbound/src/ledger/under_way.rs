//! Attempts under way, of all workers: `worker.parts` with `worker.members`.

use std::collections::HashMap;

use schemas::{AccountId, Channel};
use sqlx::PgConnection;

/// Which workers live, as one of them sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Living {
    /// It is one of them.
    pub(crate) own: bool,
    /// There are others.
    pub(crate) others: bool,
}

/// Looks which workers live.
pub(crate) async fn living(conn: &mut PgConnection, worker: &str) -> sqlx::Result<Living> {
    sqlx::query_as(
        "select count(*) filter (where owner = $1) > 0 as own, count(*) filter (where owner <> $1) > 0 as others
           from worker.members
          where seen_at between clock_timestamp() - make_interval(secs => $2) and clock_timestamp() + make_interval(secs => $2)",
    )
    .bind(worker)
    .bind(runtime::waits::LEASE.get().as_secs_f64())
    .fetch_one(conn)
    .await
}

#[derive(sqlx::FromRow)]
struct UnderWayRow {
    channel: Channel,
    account_id: AccountId,
    attempts: i64,
}

/// The attempts that may be at Meta now, of all living workers, by account where there are any. Exact for accounts whose shard of the log the
/// transaction has locked.
pub(crate) async fn by_account(
    conn: &mut PgConnection,
) -> sqlx::Result<HashMap<(Channel, AccountId), i64>> {
    let rows: Vec<UnderWayRow> = sqlx::query_as(
        "select c.channel, c.account_id, count(*) as attempts
           from worker.parts p
           join worker.members m on m.owner = p.worker
            and m.seen_at between clock_timestamp() - make_interval(secs => $1) and clock_timestamp() + make_interval(secs => $1)
           join worker.commands c on c.identity = p.identity
          where p.state = 'sending' and not p.lost and p.deadline > clock_timestamp()
          group by c.channel, c.account_id",
    )
    .bind(runtime::waits::LEASE.get().as_secs_f64())
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| ((row.channel, row.account_id), row.attempts)).collect())
}
