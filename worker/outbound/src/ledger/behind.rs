//! `worker.behind_log`: this ledger is behind the log of attempts, and sends nothing.

use runtime::streams::Era;
use schemas::Timestamp;
use sqlx::{PgConnection, PgPool};

/// Since when the ledger is behind the log, and what it waits for.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct BehindLog {
    /// Since when.
    pub since: Timestamp,
    /// Parts that may have been sent although this ledger did not know.
    pub attempts: i64,
    /// Outcomes in INBOX_EVENTS were compared with the ledger.
    pub outcomes_sought: bool,
    /// The commands of that time are here again.
    pub commands_read: bool,
}

/// Whether the ledger is behind; `None`: it is not.
pub(crate) async fn read(pool: &PgPool) -> sqlx::Result<Option<BehindLog>> {
    sqlx::query_as(
        "select b.since, b.attempts, b.outcomes_sought,
                exists (select from worker.intake i
                         where b.commands_seq <= i.seq or i.era is distinct from b.commands_era) as commands_read
           from worker.behind_log b",
    )
    .fetch_optional(pool)
    .await
}

/// From when on outcomes are looked for, where that is still to be done.
pub(crate) async fn outcomes_wanted(pool: &PgPool) -> sqlx::Result<Option<Option<Timestamp>>> {
    sqlx::query_scalar("select outcomes_from from worker.behind_log where not outcomes_sought")
        .fetch_optional(pool)
        .await
}

/// The ledger is behind; if it was already, by more.
pub(crate) async fn begin(
    conn: &mut PgConnection,
    attempts: i64,
    commands_era: Era,
    commands_seq: u64,
    outcomes_from: Option<Timestamp>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into worker.behind_log as b (attempts, commands_era, commands_seq, outcomes_from) values ($1, $2, $3, $4)
         on conflict (one) do update
            set attempts = b.attempts + excluded.attempts, commands_era = excluded.commands_era,
                commands_seq = excluded.commands_seq, outcomes_sought = false,
                outcomes_from = case when b.outcomes_from is null or excluded.outcomes_from is null then null
                                     else least(b.outcomes_from, excluded.outcomes_from) end",
    )
    .bind(attempts)
    .bind(commands_era)
    .bind(i64::try_from(commands_seq).unwrap_or(i64::MAX))
    .bind(outcomes_from)
    .execute(conn)
    .await?;
    Ok(())
}

/// Outcomes stored from `from` on were looked for.
pub(crate) async fn outcomes_sought(
    conn: &mut PgConnection,
    from: Option<Timestamp>,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.behind_log set outcomes_sought = true where outcomes_from is not distinct from $1",
    )
    .bind(from)
    .execute(conn)
    .await?;
    Ok(())
}

/// The ledger is not behind any more. `false`: it was not, or it fell further behind meanwhile.
pub(crate) async fn end(
    conn: &mut PgConnection,
    since: Timestamp,
    attempts: i64,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "delete from worker.behind_log
          where date_trunc('milliseconds', since) = $1 and attempts = $2 and outcomes_sought",
    )
    .bind(since)
    .bind(attempts)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
