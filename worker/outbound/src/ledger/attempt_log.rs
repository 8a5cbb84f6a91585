//! `worker.attempt_log`: how far this ledger knows the log of attempts, by shard.

use runtime::streams::Era;
use sqlx::PgConnection;

/// The mark of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct MarkRow {
    pub(crate) shard: i16,
    /// The era of the stream that it is of; `None` before the first look.
    pub(crate) era: Option<Era>,
    /// The last position that is known; 0 before the first.
    #[sqlx(try_from = "i64")]
    pub(crate) seq: u64,
}

/// All marks, by shard.
pub(crate) async fn read(conn: &mut PgConnection) -> sqlx::Result<Vec<MarkRow>> {
    sqlx::query_as("select shard, era, seq from worker.attempt_log order by shard")
        .fetch_all(conn)
        .await
}

/// All marks, locked: nobody logs an attempt until the transaction ends.
pub(crate) async fn lock_all(conn: &mut PgConnection) -> sqlx::Result<Vec<MarkRow>> {
    sqlx::query_as("select shard, era, seq from worker.attempt_log order by shard for update")
        .fetch_all(conn)
        .await
}

/// The marks of these shards, locked, always in the same order.
pub(crate) async fn lock(conn: &mut PgConnection, shards: &[i16]) -> sqlx::Result<Vec<MarkRow>> {
    sqlx::query_as(
        "select shard, era, seq from worker.attempt_log where shard = any($1) order by shard for update",
    )
    .bind(shards)
    .fetch_all(conn)
    .await
}

/// What was logged moves the marks.
pub(crate) async fn advance(conn: &mut PgConnection, to: &[(i16, u64)]) -> sqlx::Result<()> {
    set(conn, to).await
}

/// Sets marks. They must be locked.
pub(crate) async fn set(conn: &mut PgConnection, to: &[(i16, u64)]) -> sqlx::Result<()> {
    let shards: Vec<i16> = to.iter().map(|(shard, _)| *shard).collect();
    let seqs: Vec<i64> =
        to.iter().map(|(_, seq)| i64::try_from(*seq).unwrap_or(i64::MAX)).collect();
    sqlx::query(
        "update worker.attempt_log m set seq = t.seq
           from unnest($1::smallint[], $2::bigint[]) as t (shard, seq) where m.shard = t.shard",
    )
    .bind(shards)
    .bind(seqs)
    .execute(conn)
    .await?;
    Ok(())
}

/// The marks are of this era.
pub(crate) async fn adopt(conn: &mut PgConnection, era: Era) -> sqlx::Result<()> {
    sqlx::query("update worker.attempt_log set era = $1 where era is distinct from $1")
        .bind(era)
        .execute(conn)
        .await
        .map(|_| ())
}

/// The era of INBOX_ATTEMPTS is another one: nothing of it is known yet.
pub(crate) async fn start_over(conn: &mut PgConnection, era: Era) -> sqlx::Result<()> {
    sqlx::query("update worker.attempt_log set era = $1, seq = 0")
        .bind(era)
        .execute(conn)
        .await
        .map(|_| ())
}
