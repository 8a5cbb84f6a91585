//! `hookline redrive list`: parked work, grouped by cause.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::PgPool;

use super::parked::{LIST_MAX, of_normalizer, of_projector};
use crate::exit::Exit;
use crate::output::{Output, say, table};

pub(crate) async fn list(pool: &PgPool, output: Output) -> anyhow::Result<Exit> {
    let rows = worker::inbound::parked::list(pool, LIST_MAX).await?;
    let aside = projector::parked::list(pool, LIST_MAX).await?;
    if output == Output::Json {
        let all: anyhow::Result<Vec<Value>> =
            rows.iter().map(of_normalizer).chain(aside.iter().map(of_projector)).collect();
        say(serde_json::to_string(&all?)?);
        return Ok(Exit::Done);
    }
    // A lane counts under the cause of its first row; the others wait behind it.
    let mut causes: BTreeMap<(&str, String), (u64, u64, String)> = BTreeMap::new();
    let mut cause_of_lane: BTreeMap<&str, &str> = BTreeMap::new();
    for row in &rows {
        let cause = *cause_of_lane.entry(&row.lane).or_insert(&row.cause);
        let entry = causes
            .entry(("normalize", cause.to_owned()))
            .or_insert_with(|| (0, 0, row.parked_at.to_string()));
        if row.role == "failed" {
            entry.0 += 1;
        } else {
            entry.1 += 1;
        }
    }
    for row in &aside {
        let entry = causes
            .entry(("projector", row.cause.clone()))
            .or_insert_with(|| (0, 0, row.parked_at.to_string()));
        entry.0 += 1;
    }
    let rows: Vec<Vec<String>> = causes
        .into_iter()
        .map(|((stage, cause), (failed, behind, since))| {
            vec![stage.to_owned(), cause, failed.to_string(), behind.to_string(), since]
        })
        .collect();
    table(&["stage", "cause", "failed", "waiting behind", "since"], &rows);
    Ok(Exit::Done)
}
