//! Statements over `worker.reports`: the reports of facts that have several.

use std::collections::HashMap;

use schemas::EventId;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection};

use crate::error::FactError;
use crate::merge::{Report, Reports, Source};
use crate::rows::{digest_of, number};

#[derive(FromRow)]
struct ReportRow {
    event_id: EventId,
    era: i16,
    raw_seq: i64,
    raw_index: i32,
    digest: Vec<u8>,
    event: String,
}

/// The reports of these facts, of those that have several.
pub(super) async fn read(
    conn: &mut PgConnection,
    ids: &[EventId],
) -> Result<HashMap<EventId, Reports>, FactError> {
    let rows: Vec<ReportRow> = sqlx::query_as(
        "select event_id, raw_seq, raw_index, digest, event::text as event,
                (raw_era - (select worker.current_era('META_RAW')))::smallint as era
           from worker.reports where event_id = any($1) and event is not null",
    )
    .bind(ids.iter().map(EventId::as_str).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    let mut reports: HashMap<EventId, Reports> = HashMap::new();
    for row in rows {
        // One that a newer release wrote may not be readable here.
        let Ok(event) = serde_json::from_str(&row.event) else { continue };
        let source = Source {
            era: row.era,
            raw_seq: u64::try_from(row.raw_seq).unwrap_or(0),
            index: u32::try_from(row.raw_index).unwrap_or(0),
        };
        let report = Report { event, digest: digest_of(&row.digest) };
        reports.entry(row.event_id).or_default().add(source, report);
    }
    Ok(reports)
}

/// Keeps reports. An item that was read anew replaces what it said before.
pub(super) async fn record(
    conn: &mut PgConnection,
    reports: &HashMap<EventId, Reports>,
) -> Result<(), FactError> {
    let mut rows: Vec<(&EventId, Source, &Report)> = reports
        .iter()
        .flat_map(|(id, reports)| reports.iter().map(move |(source, report)| (id, source, report)))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    rows.sort_by_key(|(id, source, _)| (*id, *source));
    sqlx::query(
        "insert into worker.reports (event_id, raw_seq, raw_index, digest, event, raw_era)
         select t.event_id, t.raw_seq, t.raw_index, t.digest, t.event,
                t.era + (select worker.current_era('META_RAW'))
           from unnest($1::text[], $2::bigint[], $3::int[], $4::bytea[], $5::json[], $6::smallint[])
                as t (event_id, raw_seq, raw_index, digest, event, era)
         on conflict (event_id, raw_era, raw_seq, raw_index) do update set digest = excluded.digest, event = excluded.event",
    )
    .bind(rows.iter().map(|(id, ..)| id.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, source, _)| number(source.raw_seq)).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, source, _)| i32::try_from(source.index).unwrap_or(i32::MAX)).collect::<Vec<_>>())
    .bind(rows.iter().map(|(.., report)| report.digest.to_vec()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(.., report)| Json(&report.event)).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, source, _)| source.era).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}
