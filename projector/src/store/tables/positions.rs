//! Table `positions`: how far a read model has come in INBOX_EVENTS. It is moved by `runtime::lease`.

use runtime::streams::Era;
use sqlx::{PgConnection, PgPool};

use super::parked;
use crate::store::mended;

/// The stored position; 0 before the first batch.
pub(crate) async fn stored(conn: &mut PgConnection, name: &str) -> sqlx::Result<u64> {
    let seq: Option<i64> = sqlx::query_scalar("select seq from positions where name = $1")
        .bind(name)
        .fetch_optional(conn)
        .await?;
    Ok(unsigned(seq))
}

/// How far the model that serves has come, by its view.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub(crate) struct Serving {
    #[sqlx(try_from = "i64")]
    pub(crate) seq: u64,
    /// The era of INBOX_EVENTS that the position is of.
    pub(crate) era: Option<Era>,
    /// How many eras its rows are made of.
    pub(crate) eras: i16,
}

/// The position of the model that serves; `None` before the first batch. A view of an earlier release has no eras yet.
pub(crate) async fn of_serving(pool: &PgPool) -> sqlx::Result<Option<Serving>> {
    sqlx::query_as(
        "select seq, to_jsonb(p) ->> 'era' as era, coalesce((to_jsonb(p) ->> 'eras')::smallint, 1::smallint) as eras from inbox.position p",
    )
    .fetch_optional(pool)
    .await
}

/// How many eras the rows of a model are made of.
pub(crate) async fn eras(conn: &mut PgConnection, name: &str) -> sqlx::Result<i16> {
    let eras: Option<i16> = sqlx::query_scalar("select eras from positions where name = $1")
        .bind(name)
        .fetch_optional(conn)
        .await?;
    Ok(eras.unwrap_or(1))
}

/// Whether the model has eras: an earlier release may have made it.
pub(crate) async fn has_eras(conn: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select from pg_attribute where attrelid = 'positions'::regclass and attname = 'eras')",
    )
    .fetch_one(conn)
    .await
}

/// From now on the rows are made of one era more: the stream does not hold all of their events.
pub(crate) async fn count_era(conn: &mut PgConnection, name: &str) -> sqlx::Result<()> {
    let before = eras(conn, name).await?;
    parked::lose(conn, before).await?;
    mended::forget(conn).await?;
    sqlx::query("update positions set eras = eras + 1 where name = $1")
        .bind(name)
        .execute(conn)
        .await
        .map(|_| ())
}

/// A position as the stream counts; 0 where there is none.
pub(crate) fn unsigned(seq: Option<i64>) -> u64 {
    u64::try_from(seq.unwrap_or(0)).unwrap_or(0)
}
