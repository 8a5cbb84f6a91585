//! Tables `worker.account_syncs` and `worker.synced_threads`: how far the import of a whole account has come, and what it found.

use schemas::{AccountId, Channel, Timestamp};
use sqlx::{PgConnection, PgPool};

use super::page::{Known, Sorted};
use super::report::{Counted, NAMED_MAX, Report};
use super::walk::Walk;
use crate::ledger::CommandRow;

#[derive(sqlx::FromRow)]
struct WalkRow {
    command: String,
    again: bool,
    cursor: Option<String>,
    #[sqlx(try_from = "i32")]
    page: u32,
    #[sqlx(try_from = "i32")]
    tries: u32,
    #[sqlx(try_from = "i32")]
    restarts: u32,
    #[sqlx(try_from = "i32")]
    rounds: u32,
}

#[derive(sqlx::FromRow)]
struct ThreadRow {
    thread_id: String,
    updated_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct CountedRow {
    outcome: String,
    #[sqlx(try_from = "i64")]
    threads: u64,
    #[sqlx(try_from = "i64")]
    messages: u64,
}

impl From<CountedRow> for Counted {
    fn from(row: CountedRow) -> Self {
        let CountedRow { outcome, threads, messages } = row;
        Self { outcome, threads, messages }
    }
}

/// Where the command stands. One that begins forgets what the import before it has left.
pub(super) async fn walk(pool: &PgPool, command: &CommandRow) -> sqlx::Result<Walk> {
    let row: Option<WalkRow> = sqlx::query_as(
        "select command, again, cursor, page, tries, restarts, rounds from worker.account_syncs
          where channel = $1 and account_id = $2",
    )
    .bind(command.channel)
    .bind(&command.account_id)
    .fetch_optional(pool)
    .await?;
    if let Some(row) = row
        && row.command == command.identity
    {
        let WalkRow { again, cursor, page, tries, restarts, rounds, .. } = row;
        return Ok(Walk { again, cursor, page: page.max(1), tries, restarts, rounds });
    }
    let walk = Walk::default();
    let mut tx = pool.begin().await?;
    sqlx::query("delete from worker.synced_threads where channel = $1 and account_id = $2")
        .bind(command.channel)
        .bind(&command.account_id)
        .execute(&mut *tx)
        .await?;
    save(&mut tx, command, &walk).await?;
    tx.commit().await?;
    Ok(walk)
}

/// Keeps where the command stands.
pub(super) async fn save(
    conn: &mut PgConnection,
    command: &CommandRow,
    walk: &Walk,
) -> sqlx::Result<()> {
    let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    sqlx::query(
        "insert into worker.account_syncs (channel, account_id, command, again, cursor, page, tries, restarts, rounds)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict (channel, account_id) do update
            set command = excluded.command, again = excluded.again, cursor = excluded.cursor, page = excluded.page,
                tries = excluded.tries, restarts = excluded.restarts, rounds = excluded.rounds",
    )
    .bind(command.channel)
    .bind(&command.account_id)
    .bind(&command.identity)
    .bind(walk.again)
    .bind(walk.cursor.as_deref())
    .bind(number(walk.page))
    .bind(number(walk.tries))
    .bind(number(walk.restarts))
    .bind(number(walk.rounds))
    .execute(conn)
    .await?;
    Ok(())
}

/// When these conversations were last active as this import read them; without those that it has not read.
pub(super) async fn known(
    pool: &PgPool,
    channel: Channel,
    account_id: &AccountId,
    threads: &[&str],
) -> sqlx::Result<Known> {
    let rows: Vec<ThreadRow> = sqlx::query_as(
        "select t.thread_id, t.updated_at from unnest($3::text[]) as k (thread_id)
          cross join lateral (select * from worker.synced_threads one
                               where one.channel = $1 and one.account_id = $2 and one.thread_id = k.thread_id offset 0) t",
    )
    .bind(channel)
    .bind(account_id)
    .bind(threads)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (row.thread_id, row.updated_at)).collect())
}

/// Keeps what became of conversations.
pub(super) async fn put(
    conn: &mut PgConnection,
    command: &CommandRow,
    sorted: &Sorted,
) -> sqlx::Result<()> {
    let threads = || sorted.threads.values();
    sqlx::query(
        "insert into worker.synced_threads (channel, account_id, command, thread_id, updated_at, outcome, messages)
         select $1, $2, $3, t.* from unnest($4::text[], $5::timestamptz[], $6::text[], $7::bigint[]) as t
         on conflict (channel, account_id, thread_id) do update
            set command = excluded.command, updated_at = excluded.updated_at, outcome = excluded.outcome, messages = excluded.messages",
    )
    .bind(command.channel)
    .bind(&command.account_id)
    .bind(&command.identity)
    .bind(sorted.threads.keys().map(String::as_str).collect::<Vec<_>>())
    .bind(threads().map(|thread| thread.updated_at).collect::<Vec<_>>())
    .bind(threads().map(|thread| thread.outcome.as_str()).collect::<Vec<_>>())
    .bind(threads().map(|thread| i64::try_from(thread.messages).unwrap_or(i64::MAX)).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// The report of what was read so far.
pub(super) async fn report(conn: &mut PgConnection, command: &CommandRow) -> sqlx::Result<Report> {
    let counted: Vec<CountedRow> = sqlx::query_as(
        "select outcome, count(*) as threads, sum(messages)::bigint as messages from worker.synced_threads
          where channel = $1 and account_id = $2 and command = $3 group by outcome",
    )
    .bind(command.channel)
    .bind(&command.account_id)
    .bind(&command.identity)
    .fetch_all(&mut *conn)
    .await?;
    let left: Vec<(String, String)> = sqlx::query_as(
        "select thread_id, outcome from worker.synced_threads
          where channel = $1 and account_id = $2 and command = $3 and outcome <> 'synced' order by thread_id limit $4",
    )
    .bind(command.channel)
    .bind(&command.account_id)
    .bind(&command.identity)
    .bind(i64::try_from(NAMED_MAX).unwrap_or(i64::MAX))
    .fetch_all(conn)
    .await?;
    let counted: Vec<Counted> = counted.into_iter().map(Counted::from).collect();
    Ok(Report::of(&counted, left))
}
