//! What several reports of one fact said, from the raw webhooks that are still there.

use std::collections::HashMap;

use schemas::{EventId, Via};
use sqlx::PgConnection;

use crate::decide::Stored;
use crate::digest::digest;
use crate::draft::Draft;
use crate::error::FactError;
use crate::merge::{Report, Reports, Source, is_merged};
use crate::store::FactStore;
use crate::{messages, publish, reports as stored, rows, secrets};

/// Keeps what drafts of raw webhooks add to facts that are recorded: reports, sealed secrets, whose message a mid is. Returns the drafts of facts
/// that are not recorded, in order. Nothing of those is kept, and nothing is published. `drafts`: as their webhooks came.
///
/// # Errors
/// [`FactError`]; roll back and give the drafts again.
pub async fn reports(
    facts: &FactStore,
    conn: &mut PgConnection,
    drafts: Vec<Draft>,
) -> Result<Vec<Draft>, FactError> {
    let known = rows::known(conn, &drafts).await?;
    let drafts: Vec<Draft> =
        drafts.into_iter().filter(|draft| !known.refuses(&draft.event)).collect();
    let (recorded, unknown): (Vec<Draft>, Vec<Draft>) =
        drafts.into_iter().partition(|draft| known.facts.contains_key(&draft.event.id));
    secrets::record(conn, facts.seal(), &[], &recorded).await?;
    messages::record(conn, &[], &recorded).await?;
    let further: Vec<(&Draft, &Stored)> = recorded
        .iter()
        .filter_map(|draft| {
            let first = first_report(known.facts.get(&draft.event.id)?)?;
            (is_merged(draft.event.kind()) && Source::of(&draft.event) != first.source)
                .then_some((draft, first))
        })
        .collect();
    let mut ids: Vec<EventId> = further.iter().map(|(draft, _)| draft.event.id.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut reports = stored::read(conn, &ids).await?;
    for (draft, first) in further {
        let id = &draft.event.id;
        if !reports.contains_key(id) {
            let Some(base) = base(facts, id, first).await? else { continue };
            reports.insert(id.clone(), base);
        }
        let report = Report { event: draft.event.clone(), digest: digest(&draft.event) };
        if let Some(reports) = reports.get_mut(id) {
            reports.hear(Source::of(&draft.event), report);
        }
    }
    let several: HashMap<EventId, Reports> =
        reports.into_iter().filter(|(_, reports)| reports.len() > 1).collect();
    stored::record(conn, &several).await?;
    Ok(unknown)
}

/// The last reading that is one report by itself: those of the first source that a webhook gave.
fn first_report(stored: &[Stored]) -> Option<&Stored> {
    let mut readings: Vec<&Stored> =
        stored.iter().filter(|stored| stored.rank == Via::Webhook.rank()).collect();
    readings.sort_by_key(|stored| stored.revision);
    let source = readings.first()?.source;
    readings.into_iter().take_while(|stored| stored.source == source).last()
}

/// The report that was published by itself is the event; `None` where it is gone.
async fn base(
    facts: &FactStore,
    id: &EventId,
    first: &Stored,
) -> Result<Option<Reports>, FactError> {
    let event = publish::read_back(&facts.broker, first.event_seq).await?;
    let report = event.filter(|event| event.id == *id);
    Ok(report.map(|event| Reports::one(first.source, Report { event, digest: first.digest })))
}
