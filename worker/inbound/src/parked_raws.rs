//! The bytes of raw webhooks that have parked rows: kept until the last of them is carried out or discarded, whatever META_RAW keeps
//! (docs/decisions/35). Rows are deleted by a trigger of `worker.parked`.

use schemas::Timestamp;
use schemas::raw::RawMeta;
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection, PgPool};

use crate::raw_webhook::RawWebhook;

/// What is noted beside the bytes, but for the position.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct KeptMeta {
    received_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    /// It was redacted: of its body as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    redacted: Option<String>,
    /// Its headers cannot be read whole.
    #[serde(default)]
    flawed: bool,
}

impl KeptMeta {
    fn of(meta: &RawMeta) -> Self {
        let RawMeta { stream_sequence: _, received_at, secret, path, traceparent, flaw, redacted } =
            meta;
        Self {
            received_at: *received_at,
            secret: secret.clone(),
            path: path.clone(),
            traceparent: traceparent.clone(),
            flawed: flaw.is_some(),
            redacted: redacted.clone(),
        }
    }

    fn into_meta(self, stream_sequence: u64) -> RawMeta {
        let Self { received_at, secret, path, traceparent, redacted, flawed } = self;
        let flaw = flawed.then_some("its headers could not be read whole");
        RawMeta { stream_sequence, received_at, secret, path, traceparent, flaw, redacted }
    }
}

/// Keeps a raw webhook, in the transaction that parks or locks rows of it; `None`: its bytes are gone. The lock on its row keeps a release of
/// other rows of it from deleting it.
pub(super) async fn keep(
    conn: &mut PgConnection,
    era: i16,
    seq: i64,
    raw: Option<&RawWebhook>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into worker.parked_raws (raw_era, raw_seq, meta, body) values ($1, $2, $3, $4)
         on conflict (raw_era, raw_seq) do update
             set meta = coalesce(parked_raws.meta, excluded.meta), body = coalesce(parked_raws.body, excluded.body)",
    )
    .bind(era)
    .bind(seq)
    .bind(raw.map(|raw| Json(KeptMeta::of(&raw.meta))))
    .bind(raw.map(|raw| raw.body.as_ref()))
    .execute(conn)
    .await
    .map(|_| ())
}

#[derive(FromRow)]
struct Kept {
    meta: Option<Json<KeptMeta>>,
    body: Option<Vec<u8>>,
}

/// A raw webhook that is kept; `None` where its bytes are not.
pub(super) async fn kept(pool: &PgPool, era: i16, seq: i64) -> sqlx::Result<Option<RawWebhook>> {
    let row: Option<Kept> = sqlx::query_as(
        "select meta, body from worker.parked_raws where raw_era = $1 and raw_seq = $2",
    )
    .bind(era)
    .bind(seq)
    .fetch_optional(pool)
    .await?;
    Ok(row.and_then(|Kept { meta, body }| {
        let meta = meta?.0.into_meta(u64::try_from(seq).unwrap_or(0));
        Some(RawWebhook { meta, body: body?.into() })
    }))
}

/// Replaces the bytes of a raw webhook by what is left of them after an erasure. Nothing is done where somebody else has changed them since:
/// they erase, too.
pub(super) async fn redact(
    pool: &PgPool,
    era: i16,
    seq: i64,
    raw: &RawWebhook,
    body: &[u8],
) -> sqlx::Result<()> {
    let mut meta = KeptMeta::of(&raw.meta);
    let of_body = || schemas::ids::sha256_hex(&raw.body);
    meta.redacted = Some(meta.redacted.unwrap_or_else(of_body));
    sqlx::query(
        "update worker.parked_raws set body = $3, meta = $4 where raw_era = $1 and raw_seq = $2 and body = $5",
    )
    .bind(era)
    .bind(seq)
    .bind(body)
    .bind(Json(meta))
    .bind(raw.body.as_ref())
    .execute(pool)
    .await
    .map(|_| ())
}

/// Positions in META_RAW of this era of parked rows whose bytes were never looked for: rows of a release that kept none.
pub(super) async fn missing(pool: &PgPool, era: i16, limit: i64) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar(
        "select distinct p.raw_seq from worker.parked p
          where p.raw_era = $1
            and not exists (select from worker.parked_raws r where r.raw_era = p.raw_era and r.raw_seq = p.raw_seq)
          order by p.raw_seq limit $2",
    )
    .bind(era)
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// Keeps the bytes of a row that was parked without; `None`: META_RAW has them no more. Nothing is kept of what was released meanwhile.
pub(super) async fn keep_late(
    pool: &PgPool,
    era: i16,
    seq: i64,
    raw: Option<&RawWebhook>,
) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    // Locked: it is not released before this is committed, and its trigger finds what is kept.
    let parked: Vec<i64> = sqlx::query_scalar(
        "select id from worker.parked where raw_era = $1 and raw_seq = $2 order by id for update",
    )
    .bind(era)
    .bind(seq)
    .fetch_all(&mut *tx)
    .await?;
    if !parked.is_empty() {
        keep(&mut tx, era, seq, raw).await?;
    }
    tx.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ingest_noted_survives_its_row() {
        let meta = RawMeta {
            redacted: None,
            stream_sequence: 7,
            received_at: Timestamp::from_millis(1_795_000_200_007),
            secret: Some("shop\0".to_owned()),
            path: None,
            traceparent: None,
            flaw: Some("a header has no colon"),
        };
        let text = serde_json::to_string(&KeptMeta::of(&meta)).unwrap();
        let again = serde_json::from_str::<KeptMeta>(&text).unwrap().into_meta(7);
        assert!(again.flaw.is_some());
        assert_eq!(RawMeta { flaw: meta.flaw, ..again }, meta);
    }
}
