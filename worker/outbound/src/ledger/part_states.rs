//! `worker.parts`: changes of state. A trigger of the table refuses those that are not allowed.

use schemas::Timestamp;
use schemas::facts::OutcomeError;
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::decide::LoggedAttempt;
use crate::state::{PartState, SettledBy};

/// An attempt begins; the index `parts_one_in_flight` refuses a second one in the lane.
///
/// # Errors
/// `RowNotFound` when the part may not be attempted; roll back.
pub(crate) async fn begin(
    conn: &mut PgConnection,
    identity: &str,
    n: i32,
    worker: &str,
    now: Timestamp,
    deadline: Timestamp,
) -> sqlx::Result<()> {
    let begun = sqlx::query(
        "update worker.parts
            set state = 'sending', attempt = attempt + 1, worker = $3, first_at = coalesce(first_at, $4), started_at = $4,
                deadline = $5, lost = false, not_before = null, looks = 0, absent_at = null, error = null
          where identity = $1 and n = $2 and state in ('planned', 'refused')",
    )
    .bind(identity)
    .bind(n)
    .bind(worker)
    .bind(now)
    .bind(deadline)
    .execute(conn)
    .await?
    .rows_affected();
    if begun == 1 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
}

/// The log has an attempt that this row does not know: it may have been sent.
pub(crate) async fn recall(
    conn: &mut PgConnection,
    identity: &str,
    n: i32,
    logged: LoggedAttempt,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.parts
            set state = 'sending', attempt = $3, worker = coalesce(worker, 'log'), first_at = least(first_at, $4), started_at = $5,
                deadline = $6, lost = true, uncertain = true, not_before = null, looks = 0, absent_at = null, error = null
          where identity = $1 and n = $2 and state in ('planned', 'refused', 'sending') and attempt < $3",
    )
    .bind(identity)
    .bind(n)
    .bind(i32::try_from(logged.attempt).unwrap_or(i32::MAX))
    .bind(logged.first_at)
    .bind(logged.started_at)
    .bind(logged.deadline)
    .execute(conn)
    .await?;
    Ok(())
}

/// The part ended so, as an outcome reports that an earlier state of this ledger has published. Not for `sent`.
pub(crate) async fn end_as_reported(
    conn: &mut PgConnection,
    identity: &str,
    n: i32,
    state: PartState,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.parts set state = $3, uncertain = uncertain or $3 = 'unknown', lost = false
          where identity = $1 and n = $2 and state <> 'sent'",
    )
    .bind(identity)
    .bind(n)
    .bind(state)
    .execute(conn)
    .await?;
    Ok(())
}

/// How often the part was attempted, as far as its row knows.
pub(crate) async fn attempts(conn: &mut PgConnection, identity: &str, n: i32) -> sqlx::Result<u32> {
    let attempt: i32 =
        sqlx::query_scalar("select attempt from worker.parts where identity = $1 and n = $2")
            .bind(identity)
            .bind(n)
            .fetch_one(conn)
            .await?;
    Ok(u32::try_from(attempt).unwrap_or(0))
}

/// Keeps Meta's answer to an attempt. `false`: it is not the current attempt any more.
pub(crate) async fn keep_answer(
    conn: &mut PgConnection,
    identity: &str,
    n: i32,
    attempt: u32,
    worker: &str,
    answer: &Value,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update worker.parts set answer = $5
          where identity = $1 and n = $2 and state = 'sending' and attempt = $3 and worker = $4",
    )
    .bind(identity)
    .bind(n)
    .bind(i32::try_from(attempt).unwrap_or(i32::MAX))
    .bind(worker)
    .bind(answer)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The part is sent. `false`: it was.
pub(crate) async fn set_sent(
    conn: &mut PgConnection,
    identity: &str,
    n: i32,
    item_id: Option<&str>,
    at: Timestamp,
    by: SettledBy,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update worker.parts
            set state = 'sent', message_id = $3, sent_at = $4, settled_by = $5, error = null, lost = false
          where identity = $1 and n = $2 and state <> 'sent'",
    )
    .bind(identity)
    .bind(n)
    .bind(item_id)
    .bind(at)
    .bind(by)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The message of a part that is sent without one. What a person said about the time gives way to what Meta says. `false`: it has a
/// message, or is not sent.
pub(crate) async fn set_message(
    conn: &mut PgConnection,
    identity: &str,
    n: i32,
    item_id: &str,
    at: Timestamp,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update worker.parts
            set message_id = $3, sent_at = case when settled_by = 'person' then $4 else sent_at end
          where identity = $1 and n = $2 and state = 'sent' and message_id is null",
    )
    .bind(identity)
    .bind(n)
    .bind(item_id)
    .bind(at)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Whether the part is sent as another message than `item_id`.
pub(crate) async fn has_other_message(
    conn: &mut PgConnection,
    identity: &str,
    n: i32,
    item_id: &str,
) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select from worker.parts where identity = $1 and n = $2 and state = 'sent' and message_id <> $3)",
    )
    .bind(identity)
    .bind(n)
    .bind(item_id)
    .fetch_one(conn)
    .await
}

/// The part failed.
pub(crate) async fn set_failed(
    conn: &mut PgConnection,
    identity: &str,
    n: i32,
    error: &OutcomeError,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.parts set state = 'failed', error = $3, lost = false
          where identity = $1 and n = $2 and state in ('planned', 'refused', 'sending', 'unknown')",
    )
    .bind(identity)
    .bind(n)
    .bind(Json(error))
    .execute(conn)
    .await?;
    Ok(())
}

/// The outcome of the part is unknown.
pub(crate) async fn set_unknown(
    conn: &mut PgConnection,
    identity: &str,
    n: i32,
    error: &OutcomeError,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.parts set state = 'unknown', uncertain = true, error = $3
          where identity = $1 and n = $2 and state in ('sending', 'refused')",
    )
    .bind(identity)
    .bind(n)
    .bind(Json(error))
    .execute(conn)
    .await?;
    Ok(())
}

/// Not executed: may be attempted again, not before `not_before`.
pub(crate) async fn set_refused(
    conn: &mut PgConnection,
    identity: &str,
    n: i32,
    not_before: Timestamp,
    error: Option<&OutcomeError>,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.parts set state = 'refused', refusals = refusals + 1, not_before = $3, error = $4
          where identity = $1 and n = $2 and state = 'sending'",
    )
    .bind(identity)
    .bind(n)
    .bind(not_before)
    .bind(error.map(Json))
    .execute(conn)
    .await?;
    Ok(())
}

/// Proven absent: may be attempted again.
pub(crate) async fn set_absent(
    conn: &mut PgConnection,
    identity: &str,
    n: i32,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.parts set state = 'refused', uncertain = true, not_before = null
          where identity = $1 and n = $2 and state = 'sending'",
    )
    .bind(identity)
    .bind(n)
    .execute(conn)
    .await?;
    Ok(())
}

/// The attempt ended without an answer that settles it; the part stays `sending`.
pub(crate) async fn set_lost(conn: &mut PgConnection, identity: &str, n: i32) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.parts set lost = true, uncertain = true where identity = $1 and n = $2 and state = 'sending'",
    )
    .bind(identity)
    .bind(n)
    .execute(conn)
    .await?;
    Ok(())
}

/// A read settled nothing: the next one is due at `next`.
pub(crate) async fn count_look(
    conn: &mut PgConnection,
    identity: &str,
    n: i32,
    absent_at: Option<Timestamp>,
    next: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.parts set looks = looks + 1, absent_at = $3, not_before = $4
          where identity = $1 and n = $2 and state = 'sending'",
    )
    .bind(identity)
    .bind(n)
    .bind(absent_at)
    .bind(next)
    .execute(conn)
    .await?;
    Ok(())
}

/// The parts that were not attempted will not be.
pub(crate) async fn skip_planned(conn: &mut PgConnection, identity: &str) -> sqlx::Result<()> {
    sqlx::query(
        "update worker.parts set state = 'skipped' where identity = $1 and state = 'planned'",
    )
    .bind(identity)
    .execute(conn)
    .await?;
    Ok(())
}
