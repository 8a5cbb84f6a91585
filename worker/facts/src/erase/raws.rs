//! Statements over `worker.erase_raws` and `worker.redacted_raws`: raw webhooks that are to be redacted, and where redacted ones stand.

use std::collections::BTreeSet;

use sqlx::{FromRow, PgConnection, PgPool};

use crate::rows::number;

/// Notes raw webhooks of the present META_RAW that brought something erased, in the transaction that refuses it.
///
/// # Errors
/// `sqlx::Error`; roll back.
pub async fn note_raws(conn: &mut PgConnection, seqs: &BTreeSet<u64>) -> sqlx::Result<()> {
    if seqs.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into worker.erase_raws (raw_era, raw_seq)
         select (select worker.current_era('META_RAW')), t.seq from unnest($1::bigint[]) as t (seq) order by t.seq
         on conflict do nothing",
    )
    .bind(seqs.iter().map(|seq| number(*seq)).collect::<Vec<_>>())
    .execute(conn)
    .await
    .map(|_| ())
}

/// Positions of raw webhooks that are to be redacted, where they stand now.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub async fn waiting_raws(pool: &PgPool, limit: i64) -> sqlx::Result<Vec<(i64, i64)>> {
    let rows: Vec<WaitingRaw> = sqlx::query_as(
        "select e.raw_seq, coalesce(r.now_seq, e.raw_seq) as now_seq
           from worker.erase_raws e left join worker.redacted_raws r on r.raw_era = e.raw_era and r.raw_seq = e.raw_seq
          where e.raw_era = (select worker.current_era('META_RAW')) order by e.raw_seq limit $1",
    )
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (row.raw_seq, row.now_seq)).collect())
}

#[derive(FromRow)]
struct WaitingRaw {
    raw_seq: i64,
    now_seq: i64,
}

/// A raw webhook is redacted, or there is nothing to redact in it.
///
/// # Errors
/// `sqlx::Error`; it is looked at again.
pub async fn take_raw(pool: &PgPool, seq: i64) -> sqlx::Result<()> {
    sqlx::query(
        "delete from worker.erase_raws where raw_era = (select worker.current_era('META_RAW')) and raw_seq = $1",
    )
    .bind(seq)
    .execute(pool)
    .await
    .map(|_| ())
}

/// Notes where a raw webhook stands that was stored again.
///
/// # Errors
/// `sqlx::Error`; roll back, or call again.
pub async fn redacted(conn: &mut PgConnection, first: u64, now: u64) -> sqlx::Result<()> {
    sqlx::query(
        "insert into worker.redacted_raws (raw_era, raw_seq, now_seq) values ((select worker.current_era('META_RAW')), $1, $2)
         on conflict (raw_era, raw_seq) do update set now_seq = excluded.now_seq",
    )
    .bind(number(first))
    .bind(number(now))
    .execute(conn)
    .await
    .map(|_| ())
}

/// Notes where redacted raw webhooks stand that were read, `(first position, position now)`: for a database that has lost it.
///
/// # Errors
/// `sqlx::Error`; roll back.
pub async fn redacted_at(conn: &mut PgConnection, places: &[(u64, u64)]) -> sqlx::Result<()> {
    for (first, now) in places {
        redacted(&mut *conn, *first, *now).await?;
    }
    Ok(())
}

/// Where a raw webhook of the present META_RAW stands now; its first position where it was not redacted.
///
/// # Errors
/// `sqlx::Error`; ask again.
pub async fn place_of(pool: &PgPool, first: i64) -> sqlx::Result<i64> {
    let now: Option<i64> = sqlx::query_scalar(
        "select now_seq from worker.redacted_raws where raw_era = (select worker.current_era('META_RAW')) and raw_seq = $1",
    )
    .bind(first)
    .fetch_optional(pool)
    .await?;
    Ok(now.unwrap_or(first))
}
