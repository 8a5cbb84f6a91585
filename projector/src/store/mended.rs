//! Table `inbox.mended`: events that were set aside and were folded since, for readers that have passed them (`GET /v1/live`). Positions
//! only. It belongs to no read model: who reads it need not know which one serves.

use sqlx::PgConnection;

/// Makes the table, under the lock of those who change schema `inbox`: two who did at once would fail.
pub(super) async fn make(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query(
        "create table if not exists inbox.mended (
             n         bigint generated always as identity primary key,
             -- Its position in INBOX_EVENTS.
             seq       bigint not null,
             -- Where the read model was.
             position  bigint not null,
             mended_at timestamptz not null default clock_timestamp()
         )",
    )
    .execute(conn)
    .await
    .map(|_| ())
}

/// Notes an event, in the transaction that folds it, and forgets those of the day before. Writers of the model come one after the other, so
/// the numbers are in the order of the commits.
pub(crate) async fn put(conn: &mut PgConnection, seq: i64, position: u64) -> sqlx::Result<()> {
    sqlx::query(
        "with forgotten as (delete from inbox.mended where mended_at < now() - interval '1 day')
         insert into inbox.mended (seq, position) values ($1, $2)",
    )
    .bind(seq)
    .bind(i64::try_from(position).unwrap_or(i64::MAX))
    .execute(conn)
    .await
    .map(|_| ())
}

/// Forgets all: positions mean something else from now on.
pub(crate) async fn forget(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("delete from inbox.mended").execute(conn).await.map(|_| ())
}
