//! Table `parked`: the bytes of events set aside. They are people's words: an erasure finds them by the event's id.

use schemas::Timestamp;
use sqlx::PgConnection;

/// An event as INBOX_EVENTS had it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Kept {
    pub(crate) subject: String,
    pub(crate) body: Vec<u8>,
    /// When it was stored, at the latest: when it was set aside.
    pub(crate) stored_at: Timestamp,
}

/// Positions of events whose bytes were not looked up yet, at most `limit`. Those of a lost stream cannot be.
pub(crate) async fn to_look_up(conn: &mut PgConnection, limit: i64) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar("select seq from parked where not looked and seq > 0 order by seq limit $1")
        .bind(limit)
        .fetch_all(conn)
        .await
}

/// Forgets events that were erased: what could not be absorbed of them does not matter any more.
pub(crate) async fn forget(conn: &mut PgConnection, events: &[&str]) -> sqlx::Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    sqlx::query("delete from parked where event_id = any($1)")
        .bind(events)
        .execute(conn)
        .await
        .map(|_| ())
}

/// Keeps the bytes of an event; `None`: there are none. Those of an event that was erased meanwhile are not kept.
pub(crate) async fn keep(
    conn: &mut PgConnection,
    seq: i64,
    kept: Option<&Kept>,
) -> sqlx::Result<()> {
    sqlx::query(
        "update parked p set looked = true, subject = $2,
                body = case when not exists (select from withdrawn w where w.event_id = p.event_id and w.reason = 'erased') then $3::bytea end
          where p.seq = $1 and not p.looked",
    )
    .bind(seq)
    .bind(kept.map(|kept| &kept.subject))
    .bind(kept.map(|kept| &kept.body))
    .execute(conn)
    .await
    .map(|_| ())
}

/// Whether the model keeps bytes: an earlier release may have made it.
pub(crate) async fn are_kept(conn: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select from pg_attribute where attrelid = 'parked'::regclass and attname = 'body')",
    )
    .fetch_one(conn)
    .await
}

/// The bytes of an event; `None` where they are not kept.
pub(crate) async fn kept(conn: &mut PgConnection, seq: i64) -> sqlx::Result<Option<Kept>> {
    sqlx::query_as("select subject, body, first_seen as stored_at from parked where seq = $1 and subject is not null and body is not null")
        .bind(seq)
        .fetch_optional(conn)
        .await
}
