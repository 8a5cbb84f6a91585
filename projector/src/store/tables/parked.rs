//! Table `parked`: events set aside. Ids and the cause, never content.

use chrono::{DateTime, Utc};
use schemas::{Channel, Timestamp};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};

use crate::read::Parked;

/// An event set aside whose copy in INBOX_DEAD is missing.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Unannounced {
    /// Its position in INBOX_EVENTS.
    pub(crate) seq: i64,
    pub(crate) event_id: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) channel: Option<Channel>,
    /// Empty where it has none.
    pub(crate) account_id: String,
    pub(crate) cause: String,
    #[sqlx(rename = "first_seen")]
    pub(crate) parked_at: Timestamp,
}

/// An event set aside, as the public view has it.
#[derive(sqlx::FromRow)]
pub(crate) struct Listed {
    pub(crate) seq: i64,
    pub(crate) event_id: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) cause: String,
    pub(crate) detail: String,
    pub(crate) first_seen: Timestamp,
}

/// Events set aside for one cause.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct ParkedCause {
    /// The stable word of the cause.
    pub cause: String,
    /// How many.
    pub count: i64,
    /// Since when.
    pub since: Timestamp,
}

/// What another read model of the same stream knows of an event set aside.
#[derive(sqlx::FromRow)]
pub(crate) struct Mark {
    pub(crate) seq: i64,
    pub(crate) announced: bool,
    pub(crate) first_seen: DateTime<Utc>,
}

/// Sets an event aside; one that is set aside already stays as it is.
pub(crate) async fn put(conn: &mut PgConnection, parked: &Parked) -> sqlx::Result<()> {
    sqlx::query(
        "insert into parked (seq, event_id, kind, channel, account_id, cause, detail)
         values ($1, $2, $3, $4, $5, $6, $7) on conflict (seq) do nothing",
    )
    .bind(i64::try_from(parked.seq).unwrap_or(i64::MAX))
    .bind(&parked.event_id)
    .bind(&parked.kind)
    .bind(parked.channel.map(Channel::as_str))
    .bind(&parked.account_id)
    .bind(parked.cause)
    .bind(&parked.detail)
    .execute(conn)
    .await
    .map(|_| ())
}

/// Gives the events that are set aside other numbers, below zero: the INBOX_EVENTS that held them is lost, and their positions may be those of
/// other events from now on. `era`: how many eras the rows were made of until now.
pub(crate) async fn lose(conn: &mut PgConnection, era: i16) -> sqlx::Result<()> {
    sqlx::query("update parked set seq = -(1000000000000000 * $1::bigint + seq) where seq > 0")
        .bind(i64::from(era))
        .execute(conn)
        .await
        .map(|_| ())
}

/// Takes an event off the list. `false`: it is not on it.
pub(crate) async fn remove(conn: &mut PgConnection, seq: i64) -> sqlx::Result<bool> {
    let done = sqlx::query("delete from parked where seq = $1").bind(seq).execute(conn).await?;
    Ok(done.rows_affected() == 1)
}

/// Notes why an event failed again.
pub(crate) async fn note(
    conn: &mut PgConnection,
    seq: i64,
    cause: &str,
    detail: &str,
) -> sqlx::Result<()> {
    sqlx::query("update parked set cause = $2, detail = $3 where seq = $1")
        .bind(seq)
        .bind(cause)
        .bind(detail)
        .execute(conn)
        .await
        .map(|_| ())
}

/// How many events are set aside.
pub(crate) async fn count(conn: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("select count(*) from parked").fetch_one(conn).await
}

/// Events whose copy in INBOX_DEAD is missing, at most `limit`, in order.
pub(crate) async fn unannounced(
    conn: &mut PgConnection,
    limit: i64,
) -> sqlx::Result<Vec<Unannounced>> {
    sqlx::query_as(
        "select seq, event_id, kind, channel, account_id, cause, first_seen from parked
          where not announced order by seq limit $1",
    )
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// Notes that the copies of the events at these positions are published.
pub(crate) async fn announced(conn: &mut PgConnection, positions: &[i64]) -> sqlx::Result<()> {
    sqlx::query("update parked set announced = true where seq = any($1)")
        .bind(positions)
        .execute(conn)
        .await
        .map(|_| ())
}

/// The events set aside in the model that serves, oldest first, by its view.
pub(crate) async fn list_serving(pool: &PgPool) -> sqlx::Result<Vec<Listed>> {
    sqlx::query_as(
        "select seq, event_id, kind, cause, detail, first_seen from inbox.parked order by seq",
    )
    .fetch_all(pool)
    .await
}

/// One of them by its position.
pub(crate) async fn find_serving(pool: &PgPool, seq: i64) -> sqlx::Result<Option<Listed>> {
    sqlx::query_as(
        "select seq, event_id, kind, cause, detail, first_seen from inbox.parked where seq = $1",
    )
    .bind(seq)
    .fetch_optional(pool)
    .await
}

/// The events set aside in the model that serves, by cause, by its view.
pub(crate) async fn causes_serving(pool: &PgPool) -> sqlx::Result<Vec<ParkedCause>> {
    sqlx::query_as("select cause, count(*) as count, min(first_seen) as since from inbox.parked group by cause order by cause")
        .fetch_all(pool)
        .await
}

/// The ids of the event at a position, as text; none where it has none or is not set aside.
pub(crate) async fn event_at(conn: &mut PgConnection, seq: &str) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar("select event_id from parked where seq::text = $1 and event_id is not null")
        .bind(seq)
        .fetch_all(conn)
        .await
}

/// What is known of all events set aside beyond what the stream says.
pub(crate) async fn marks(conn: &mut PgConnection) -> sqlx::Result<Vec<Mark>> {
    sqlx::query_as("select seq, announced, first_seen from parked").fetch_all(conn).await
}

/// Takes over what another model knows of the same events.
pub(crate) async fn set_marks(conn: &mut PgConnection, marks: &[Mark]) -> sqlx::Result<()> {
    sqlx::query(
        "update parked n set announced = o.announced, first_seen = o.first_seen
           from unnest($1::bigint[], $2::boolean[], $3::timestamptz[]) as o(seq, announced, first_seen)
          where o.seq = n.seq",
    )
    .bind(marks.iter().map(|mark| mark.seq).collect::<Vec<_>>())
    .bind(marks.iter().map(|mark| mark.announced).collect::<Vec<_>>())
    .bind(marks.iter().map(|mark| mark.first_seen).collect::<Vec<_>>())
    .execute(conn)
    .await
    .map(|_| ())
}

/// Deletes all rows.
pub(crate) async fn clear(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("delete from parked").execute(conn).await.map(|_| ())
}

/// Which of these events are set aside, for `hookline trace`.
pub(crate) async fn trace(
    conn: &mut PgConnection,
    events: &[String],
    limit: i64,
) -> sqlx::Result<Vec<Value>> {
    sqlx::query_scalar(
        "select jsonb_build_object('seq', seq, 'stage', 'project', 'event_id', event_id, 'kind', kind, 'cause', cause, 'detail', detail,
                'parked_at', first_seen) from parked where event_id = any($1) limit $2",
    )
    .bind(events)
    .bind(limit)
    .fetch_all(conn)
    .await
}
