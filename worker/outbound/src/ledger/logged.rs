//! `worker.logged_attempts`: attempts that the log has and the ledger did not.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::PgConnection;

use crate::decide::LoggedAttempt;

/// What the log has of parts.
type Attempts = BTreeMap<(String, i32), LoggedAttempt>;

/// Parts written by one statement.
const BATCH: usize = 1_000;

/// Carries out a statement whose $1 to $6 are the columns of `attempts`: identity, part, number, first and last begin, deadline.
async fn write(
    conn: &mut PgConnection,
    attempts: &Attempts,
    statement: &'static str,
) -> sqlx::Result<()> {
    let rows: Vec<_> = attempts.iter().collect();
    for rows in rows.chunks(BATCH) {
        let number = |attempt: u32| i32::try_from(attempt).unwrap_or(i32::MAX);
        sqlx::query(statement)
            .bind(rows.iter().map(|((identity, _), _)| identity.as_str()).collect::<Vec<_>>())
            .bind(rows.iter().map(|((_, n), _)| *n).collect::<Vec<_>>())
            .bind(rows.iter().map(|(_, one)| number(one.attempt)).collect::<Vec<_>>())
            .bind(rows.iter().map(|(_, one)| one.first_at).collect::<Vec<_>>())
            .bind(rows.iter().map(|(_, one)| one.started_at).collect::<Vec<_>>())
            .bind(rows.iter().map(|(_, one)| one.deadline).collect::<Vec<_>>())
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

/// Keeps them until their parts are claimed, which is at once for those that are here.
pub(crate) async fn keep(conn: &mut PgConnection, attempts: &Attempts) -> sqlx::Result<()> {
    write(
        conn,
        attempts,
        "with kept as (
            insert into worker.logged_attempts as l (identity, n, attempt, first_at, started_at, deadline)
            select * from unnest($1::text[], $2::int[], $3::int[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[])
            on conflict (identity, n) do update
               set attempt = greatest(l.attempt, excluded.attempt), first_at = least(l.first_at, excluded.first_at),
                   started_at = greatest(l.started_at, excluded.started_at), deadline = greatest(l.deadline, excluded.deadline)
            returning identity),
         later as (
            select c.identity from worker.commands c join kept on kept.identity = c.identity
             where c.state = 'open' and c.due_at > clock_timestamp() for update of c skip locked)
         update worker.commands c set due_at = clock_timestamp() from later where c.identity = later.identity",
    )
    .await
}

/// Parts that ended without this attempt: an echo of it may still show that they were sent.
pub(crate) async fn doubt(conn: &mut PgConnection, attempts: &Attempts) -> sqlx::Result<()> {
    write(
        conn,
        attempts,
        "update worker.parts p
            set uncertain = true, attempt = greatest(p.attempt, t.attempt), first_at = least(p.first_at, t.first_at),
                started_at = coalesce(p.started_at, t.first_at), deadline = greatest(p.deadline, t.deadline)
           from unnest($1::text[], $2::int[], $3::int[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[])
                as t (identity, n, attempt, first_at, started_at, deadline)
          where p.identity = t.identity and p.n = t.n and p.state <> 'sent'",
    )
    .await
}

/// Writes the attempts of parts that have ended, as their outcomes reported, into their rows.
pub(crate) async fn regain(conn: &mut PgConnection, attempts: &Attempts) -> sqlx::Result<()> {
    write(
        conn,
        attempts,
        "update worker.parts p
            set attempt = greatest(p.attempt, t.attempt), first_at = t.first_at, started_at = t.started_at, deadline = t.deadline
           from unnest($1::text[], $2::int[], $3::int[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[])
                as t (identity, n, attempt, first_at, started_at, deadline)
          where p.identity = t.identity and p.n = t.n and p.state in ('sent', 'failed', 'unknown')",
    )
    .await
}

/// Whether these attempts, `(identity, part, number)` each, must not be made: the log has one of them that the claim did not know, or the
/// ledger was found to be behind. To be asked with the marks locked, after they are.
pub(crate) async fn forbid(
    conn: &mut PgConnection,
    attempts: &[(&str, i32, u32)],
) -> sqlx::Result<bool> {
    let number = |attempt: u32| i32::try_from(attempt).unwrap_or(i32::MAX);
    sqlx::query_scalar(
        "select exists (select from worker.behind_log)
             or exists (select from unnest($1::text[], $2::int[], $3::int[]) as t (identity, n, attempt)
                          join worker.logged_attempts l on l.identity = t.identity and l.n = t.n
                         where t.attempt <= l.attempt)",
    )
    .bind(attempts.iter().map(|(identity, ..)| *identity).collect::<Vec<_>>())
    .bind(attempts.iter().map(|(_, n, _)| *n).collect::<Vec<_>>())
    .bind(attempts.iter().map(|(.., attempt)| number(*attempt)).collect::<Vec<_>>())
    .fetch_one(conn)
    .await
}

/// How many are still to be settled: looked for, or next in their lane and not looked for yet. One whose account is stopped waits for a
/// person, and holds up nobody else.
pub(crate) async fn unsettled(conn: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select count(*) from worker.logged_attempts l
           join worker.parts p on p.identity = l.identity and p.n = l.n
           join worker.commands c on c.identity = l.identity
          where c.state = 'open' and c.held is distinct from 'account_stopped'
            and (p.state = 'sending'
                 or (p.state in ('planned', 'refused') and p.attempt < l.attempt
                     and not exists (select from worker.parts e where e.identity = p.identity and e.n < p.n and e.state <> 'sent')
                     and not exists (select from worker.commands e
                                      where e.lane = c.lane and e.state = 'open' and (e.stream_era, e.stream_seq) < (c.stream_era, c.stream_seq))))",
    )
    .fetch_one(conn)
    .await
}

/// Forgets those whose part has ended, and those `older` than any command that may still come; `None`: a command may come for ever.
pub(crate) async fn forget_settled(
    conn: &mut PgConnection,
    older: Option<Duration>,
) -> sqlx::Result<()> {
    sqlx::query(
        "delete from worker.logged_attempts l
          where exists (select from worker.parts p
                         where p.identity = l.identity and p.n = l.n and p.state in ('sent', 'failed', 'unknown', 'skipped'))
             or l.logged_at < now() - make_interval(secs => $1)",
    )
    .bind(older.map(|older| older.as_secs_f64()))
    .execute(conn)
    .await?;
    Ok(())
}
